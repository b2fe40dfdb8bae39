"""The scripts train when they are run: pytest must not import them in search of examples."""

collect_ignore_glob = ["*.py"]
