"""Small books to build in tests, with the configuration and the tools of the real one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

REPOSITORY = Path(__file__).resolve().parent.parent
JUPYTER_BOOK = Path(sysconfig.get_path("scripts")) / "jupyter-book"
COPIED = ("_config.yml", "requirements.txt", "pyproject.toml", "conftest.py", "tests/nbval_sanitize.cfg")
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook(*sources: str, metadata: dict[int, dict] | None = None) -> nbformat.NotebookNode:
    """Make a notebook of these cells, of code unless they begin with :data:`MARKDOWN`."""
    cells = []
    for index, source in enumerate(sources):
        new = new_markdown_cell if source.startswith(MARKDOWN) else new_code_cell
        cells.append(
            new(source.removeprefix(MARKDOWN), id=f"cell-{index}", metadata=(metadata or {}).get(index, {}))
        )
    return new_notebook(cells=cells, metadata=METADATA)


MARKDOWN = "%%markdown\n"
"""Prefix of the sources that :func:`notebook` makes Markdown cells of."""


def write_book(folder: Path, **chapters: nbformat.NotebookNode) -> Path:
    """Write a book of these chapters into `folder`, with the real book's tools and settings."""
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("_static", "tools"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    # Only hashed: the kernels import the installed package.
    (folder / "ddl").mkdir()
    (folder / "ddl" / "module.py").write_text("value = 1\n")
    (folder / "chapters").mkdir()
    (folder / "index.md").write_text("# A small book\n")
    toc = "format: jb-book\nroot: index\nchapters:\n"
    for name, chapter in chapters.items():
        toc += f"  - file: chapters/{name}\n"
        write_chapter(folder, name, chapter)
    (folder / "_toc.yml").write_text(toc)
    return folder


def write_chapter(folder: Path, name: str, chapter: nbformat.NotebookNode) -> Path:
    """Write one chapter of a book in `folder`; return its file."""
    path = folder / "chapters" / f"{name}.ipynb"
    nbformat.write(chapter, path)
    return path


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `jupyter-book build` on the book in `folder`."""
    return run(str(JUPYTER_BOOK), "build", str(folder), *options, cwd=folder)


def run_python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run this Python in `cwd`."""
    return run(sys.executable, *arguments, cwd=cwd)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in `cwd`; keep what it prints, both streams together."""
    return subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
