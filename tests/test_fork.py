"""After `python -m tools.fork URL` nothing names the old repository."""

from __future__ import annotations

import shutil

import books
import pytest

from tools import chapters, fork, notebooks

NEW = fork.Address("https://gitlab.example.org/me/my-book", "trunk")


@pytest.fixture
def checkout(tmp_path):
    """A copy of the files of this repository, without this one, which names other addresses."""
    folder = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(
        "_build", "build", "dist", ".git", ".venv", "*_cache", "__pycache__", "*.egg-info", "test_fork.py"
    )
    shutil.copytree(books.REPOSITORY, folder, ignore=ignored)
    return folder


def texts(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder), path.read_bytes().decode("utf-8", errors="ignore")


def test_no_trace_of_the_old_address_remains(checkout):
    old = fork.configured_address(checkout)
    run = books.run_python("-m", "tools.fork", NEW.url, "--branch", NEW.branch, cwd=checkout)
    assert run.returncode == 0, run.stdout
    assert "changed _config.yml" in run.stdout
    assert fork.configured_address(checkout) == NEW
    branches = [f"{NEW.slug}/{old.branch}", f"{NEW.slug}/blob/{old.branch}", f"branches: [{old.branch}]"]
    traces = [old.slug, old.pages, *branches]
    found = [(str(path), trace) for path, text in texts(checkout) for trace in traces if trace in text]
    assert found == []
    for path in chapters.paths(checkout):
        assert notebooks.check(path) == []
        assert chapters.broken_rules(notebooks.read(path), path, checkout) == []


def test_there_and_back_changes_nothing(checkout):
    before = dict(texts(checkout))
    old = fork.configured_address(checkout)
    assert fork.fork(checkout, NEW)
    assert dict(texts(checkout)) != before
    fork.fork(checkout, old)
    assert dict(texts(checkout)) == before


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ('"x @ git+https://github.com/a/b"', '"x @ git+https://gitlab.example.org/me/my-book"'),
        ("https://colab.google.com/github/a/b/blob/main/c.ipynb", "https://colab.google.com/github/me/my-book/blob/trunk/c.ipynb"),
        ("https://mybinder.org/v2/gh/a/b/main?urlpath=lab", "https://mybinder.org/v2/gh/me/my-book/trunk?urlpath=lab"),
        ("https://a.github.io/b/", "https://me.github.io/my-book/"),
        ("branches: [main]\n  branch: main\n", "branches: [trunk]\n  branch: trunk\n"),
        ("see a/b.", "see me/my-book."),
        ("data/b aa/b a/bc a/b-c mainly the main point", "data/b aa/b a/bc a/b-c mainly the main point"),
    ],
)  # fmt: skip
def test_address_is_moved_in_all_its_forms_and_nothing_else(text, moved):
    assert fork.move(text, fork.Address("https://github.com/a/b", "main"), NEW) == moved


@pytest.mark.parametrize(
    "url",
    [
        "github.com/me/book",
        "http://github.com/me/book",
        "https://github.com/me",
        "https://github.com/me/book/",
        "https://github.com/me/book.git",
        "https://github.com/me/book/tree/main",
        "https://github.com/me/my book",
        "git@github.com:me/book",
    ],
)
def test_bad_address_is_refused_and_nothing_is_changed(url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(books.REPOSITORY / "_config.yml", tmp_path)
    assert fork.main([url]) == 1
    assert f"{url!r} is no address of a repository" in capsys.readouterr().err
    assert (tmp_path / "_config.yml").read_bytes() == (books.REPOSITORY / "_config.yml").read_bytes()


def test_bad_branch_is_refused():
    with pytest.raises(ValueError, match="'a b' is no name of a branch"):
        fork.parse_address(NEW.url, "a b")


def test_folder_that_is_no_book_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert fork.main([NEW.url]) == 1
    assert "_config.yml" in capsys.readouterr().err
