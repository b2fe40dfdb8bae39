"""Fixtures that several test files share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def built_book() -> Path:
    """The folder of the book's pages, built if anything has changed since the last build."""
    with FileLock(REPOSITORY / "_build" / ".test.lock"):
        build = subprocess.run(
            [sys.executable, "-m", "jupyter_book", "build", "."],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
    assert build.returncode == 0, f"`jupyter-book build .` failed:\n{build.stdout}\n{build.stderr}"
    return REPOSITORY / "_build" / "html"
