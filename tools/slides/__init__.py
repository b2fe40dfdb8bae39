"""Decks of the chapters, made by `python -m tools.slides` from the notebooks that the build executed."""
