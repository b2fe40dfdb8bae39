"""What is imported is named among the requirements, and can be installed with them."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import books
import pytest

OURS = {path.stem for path in (books.REPOSITORY / "tests").glob("*.py")} | {"benchmarks", "ddl", "tools"}


def imported(folder: Path) -> set[str]:
    """The distributions that the modules in a folder import."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    known = packages_distributions()
    third_party = names - sys.stdlib_module_names - OURS
    # What is not installed, such as what is only benchmarked, is called as it is imported.
    return {plain(known.get(name, [name])[0]) for name in third_party}


def plain(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(path: str = "requirements.txt") -> dict[str, str]:
    """The versions in a file of requirements, without the files that it includes."""
    lines = (books.REPOSITORY / path).read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith(("#", "-e", "-r"))]
    return {plain(name): version for name, version in pairs}


@pytest.mark.parametrize("folder", ["ddl", "tools", "tests"])
def test_what_is_imported_is_pinned(folder):
    assert imported(books.REPOSITORY / folder) - set(pinned()) == set()


def test_what_the_benchmarks_import_is_pinned():
    also = pinned("benchmarks/requirements.txt")
    assert imported(books.REPOSITORY / "benchmarks") - set(pinned()) - set(also) == set()


def test_what_the_package_imports_are_its_dependencies():
    project = tomllib.loads((books.REPOSITORY / "pyproject.toml").read_text())["project"]
    bounds = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", line).groups() for line in project["dependencies"])
    part_of_every_kernel = {"ipython", "matplotlib-inline"}
    assert imported(books.REPOSITORY / "ddl") - part_of_every_kernel - set(bounds) == set()
    for name, bound in bounds.items():
        assert numbers(bound) <= numbers(pinned()[name]), f"{name} is pinned below its lower bound"


def numbers(version: str) -> list[int]:
    """A version's numbers, to be compared."""
    return [int(number) for number in re.findall(r"\d+", version)]


def test_binder_installs_the_books_requirements():
    lines = (books.REPOSITORY / "binder" / "requirements.txt").read_text().splitlines()
    assert "-r ../requirements.txt" in lines
    python = (books.REPOSITORY / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    project = tomllib.loads((books.REPOSITORY / "pyproject.toml").read_text())["project"]
    low, high = re.fullmatch(r">=([\d.]+),<([\d.]+)", project["requires-python"]).groups()
    assert numbers(low) <= numbers(python) < numbers(high)
