"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import books
import matplotlib as mpl
import pytest

mpl.use("agg")


@pytest.fixture(scope="session")
def built_book() -> Path:
    """The folder of the book's pages; built only where something has changed since the last build."""
    # Builds of one checkout wait for each other, so that parallel test processes share one.
    build = books.build(books.REPOSITORY)
    assert build.returncode == 0, build.stdout
    return books.REPOSITORY / "_build" / "html"
