"""Every chapter holds for other base seeds too: only when asked for, with `pytest --book-seeds 1,2,3`.

`pytest -n 2 tests/test_chapters.py --book-seeds 1,2,3` runs two at a time.
"""

from __future__ import annotations

import books
import nbformat
import pytest
from books import MARKDOWN

from tools import chapters, execution


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        paths = chapters.paths(books.REPOSITORY)
        metafunc.parametrize("path", paths, ids=lambda path: path.stem)
        metafunc.parametrize("seed", seeds(metafunc.config.getoption("--book-seeds")))


def seeds(text):
    """The base seeds that the option names."""
    try:
        numbers = [int(number) for number in text.split(",") if number.strip()]
    except ValueError:
        numbers = [-1]
    if any(number < 0 for number in numbers):
        raise pytest.UsageError(f"--book-seeds={text!r} is no list of seeds; write it like 1,2,3")
    return numbers


def test_chapter_holds_for_the_seed(path, seed):
    notebook = nbformat.read(path, as_version=4)
    execution.execute(notebook, path, execution.kernel_environment(static=False, seed=seed))


@pytest.mark.parametrize("text", ["1;2", "1,-2", "one"])
def test_seeds_that_are_none_are_refused(text):
    with pytest.raises(pytest.UsageError, match="--book-seeds="):
        seeds(text)


def test_claim_that_fails_for_one_seed_is_found(tmp_path):
    claim = 'import ddl\n\nddl.claim("The seed is 1", ddl.environment.base_seed() == 1, seed=0)'
    folder = books.write_book(tmp_path, one=books.notebook(MARKDOWN + "# One", claim))
    for name in ("conftest.py", "books.py", "test_chapters.py"):
        (folder / "tests" / name).write_bytes((books.REPOSITORY / "tests" / name).read_bytes())
    options = ["tests", "-k", "holds", "--book-seeds", "1,2", "--color=no", "-p", "no:cacheprovider"]
    run = books.run_python("-m", "pytest", *options, cwd=folder)
    assert "1 failed, 1 passed" in run.stdout
    assert "FAILED tests/test_chapters.py::test_chapter_holds_for_the_seed[one-2]" in run.stdout
