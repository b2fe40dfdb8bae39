"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import books
import matplotlib as mpl
import pytest

mpl.use("agg")

# What is no test file holds no examples either; collected for them, its plugins would be imported too early.
collect_ignore = [path.name for path in Path(__file__).parent.glob("*.py") if not path.match("test_*")]


@pytest.fixture(scope="session")
def built_book() -> Path:
    """The folder of the book's pages; built only where something has changed since the last build."""
    # Builds of one checkout wait for each other, so that parallel test processes share one.
    build = books.build(books.REPOSITORY)
    assert build.returncode == 0, build.stdout
    return books.REPOSITORY / "_build" / "html"
