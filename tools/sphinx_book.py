"""The Sphinx extension of the book."""
def setup(app): return {}
