"""The package as others install it: the wheel, and what it asks for."""

from __future__ import annotations

import re
import shutil
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import books
import pytest

import ddl

PROJECT = tomllib.loads((books.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
USE = """
import os
os.environ["DDL_STATIC"] = "1"
import ddl, matplotlib.pyplot as plt

@ddl.explore(x=[1, 2])
def shape(x):
    "A shape."
    return plt.figure(figsize=(1, 1))

ddl.setup()
print(ddl.__file__, len(shape.to_html()), len(repr(ddl.cited.network_sizes())), ddl.datasets.wine().name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the package, built from a copy: a build leaves folders beside the sources."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]):
        shutil.copy(books.REPOSITORY / name, source)
    shutil.copytree(books.REPOSITORY / "ddl", source / "ddl", ignore=shutil.ignore_patterns("__pycache__"))
    # The pinned environment has what builds it (setuptools), so nothing is fetched.
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", "wheels"]
    built = books.run_python("-m", "pip", "wheel", *options, ".", cwd=source)
    assert built.returncode == 0, built.stdout
    (path,) = (source / "wheels").glob("*.whl")
    return path


def test_the_wheel_has_every_file_of_the_package(wheel):
    here = {
        path.relative_to(books.REPOSITORY).as_posix()
        for path in (books.REPOSITORY / "ddl").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as files:
        there = {name for name in files.namelist() if ".dist-info/" not in name}
    assert there == here
    assert {"ddl/assets/explorable.js", "ddl/assets/explorable.css", "ddl/assets/network_sizes.csv"} <= there


def test_the_wheel_works_without_the_repository(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path)
    run = books.run_python("-c", USE, cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    versions, shown = run.stdout.splitlines()
    assert versions.startswith(f"ddl [{ddl.__version__}]")
    assert shown.startswith(str(tmp_path / "ddl"))


def test_the_wheel_asks_for_lower_bounds_only(wheel):
    # An upper bound or an exact version could make pip replace what Colab has, its torch first of all.
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(files.read(name).decode())
    asked = metadata.get_all("Requires-Dist")
    assert [line for line in asked if not re.fullmatch(r'[\w-]+>=[\d.]+(; extra == "\w+")?', line)] == []
    assert "ipywidgets>=7.7.1" in asked
    assert metadata["Name"] == "dissecting-deep-learning"
