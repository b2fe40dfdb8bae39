"""The Markdown pages: what they tell readers to run runs, what they name exists, what they cite is listed."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import unicodedata
from pathlib import Path

import pytest

from tools.chapters import anchors

REPOSITORY = Path(__file__).resolve().parent.parent
CHAPTERS = REPOSITORY / "chapters"
COMMANDS = ["setup.md", "instructors.md"]
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
ANCHOR = re.compile(r'^- <a id="([^"]+)"></a>(.+)$', re.MULTILINE)


def blocks(page: str, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall((CHAPTERS / page).read_text()) if kind == language]


def commands(page: str) -> list[str]:
    """The lines of the page's shell blocks, and what stands in backticks and looks like a command."""
    text = (CHAPTERS / page).read_text()
    inline = re.findall(r"`((?:python3?|pip|jupyter-book|pytest) [^`]+)`", BLOCK.sub("", text))
    return [line.strip() for block in blocks(page, "bash") for line in block.splitlines()] + inline


def test_the_python_of_the_setup_page_runs_from_top_to_bottom(tmp_path):
    code = blocks("setup.md", "python")
    assert len(code) >= 4
    script = tmp_path / "setup_page.py"
    script.write_text("\n".join(code))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DDL_")}
    run = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=REPOSITORY,
        env=environment | {"MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_the_check_of_the_setup_page_prints_the_line_it_shows():
    (check,) = [line for line in commands("setup.md") if line.startswith("python -c")]
    code = re.fullmatch(r'python -c "(.+)"', check).group(1)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    (shown,) = blocks("setup.md", "text")

    def without_values(line: str) -> str:
        return re.sub(r"\[[^\]]*\]", "[]", line)

    assert without_values(run.stdout) == without_values(shown)


@pytest.mark.parametrize("page", COMMANDS)
def test_modules_that_commands_run_exist(page):
    modules = {name for line in commands(page) for name in re.findall(r"python3? -m ([\w.]+)", line)}
    assert modules
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    assert not missing, f"{page} runs modules that do not exist: {missing}"


@pytest.mark.parametrize("page", COMMANDS)
def test_files_that_commands_name_exist(page):
    paths = {
        path
        for line in commands(page)
        for path in re.findall(
            r"(?<![\w./-])((?:[\w-]+/)*[\w-]+\.(?:txt|ipynb|md|py|yml|toml))(?![\w/])", line
        )
    }
    missing = [path for path in paths if not (REPOSITORY / path).exists()]
    assert paths
    assert not missing, f"{page} names files that do not exist: {missing}"


@pytest.mark.parametrize("page", COMMANDS)
def test_environment_variables_are_those_of_the_package(page):
    package = "".join(path.read_text() for path in (REPOSITORY / "ddl").rglob("*.py"))
    named = set(re.findall(r"\bDDL_[A-Z]+", (CHAPTERS / page).read_text()))
    assert named
    assert not [name for name in named if name not in package]


def test_versions_of_the_setup_page_are_those_of_the_project():
    text = (CHAPTERS / "setup.md").read_text()
    (torch,) = re.findall(r"^torch==(\S+)$", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    assert set(re.findall(r"torch==([\d.]*\d)", text)) == {torch}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert f"not in '{','.join(reversed(project['requires-python'].split(',')))}'" in text


def test_links_within_and_between_the_pages_lead_somewhere():
    broken = []
    for page in sorted(CHAPTERS.glob("*.md")):
        for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", BLOCK.sub("", page.read_text())):
            file, _, anchor = target.partition("#")
            path = page.parent / file if file else page
            if not path.exists() or (anchor and anchor not in anchors(path)):
                broken.append(f"{page.name}: {target}")
    assert not broken


def plain(name):
    """A name as it is sorted: small letters without accents."""
    return unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore")


def test_references_are_in_alphabetical_order_each_with_an_anchor_of_its_own():
    text = (CHAPTERS / "references.md").read_text()
    entries = ANCHOR.findall(text)
    assert len(entries) == len(re.findall("^- ", text, re.MULTILINE))
    names = [name for name, _ in entries]
    assert len(set(names)) == len(names)
    keys = [
        (plain(re.split(r"[ ,]", entry)[0]), re.search(r"\((\d{4}\w?)\)", entry).group(1))
        for _, entry in entries
    ]
    assert keys == sorted(keys)
    assert all(re.search(r"\(\d{4}\w?\)\. ", entry) for _, entry in entries)


@pytest.mark.parametrize("table", ["network_sizes.csv", "nervous_systems.csv"])
def test_every_number_of_the_size_tables_has_a_source_in_the_references(table):
    references = dict(ANCHOR.findall((CHAPTERS / "references.md").read_text()))
    with (REPOSITORY / "ddl" / "assets" / table).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = ("units", "parameters") if "parameters" in rows[0] else ("neurons", "synapses")
    for row in rows:
        assert any(row[column] for column in numbers), row
        assert all(row[column].isdigit() for column in numbers if row[column]), row
        assert row["counted"], row
        assert row["source"], row
        entry = references[row["reference"]]
        year = re.search(r"\((\d{4}\w?)\)", row["source"]).group(1)
        assert f"({year})" in entry, (row["source"], entry)
        assert row["url"] in entry, (row["url"], entry)


def test_references_that_the_chapters_cite_are_listed():
    names = {name for name, _ in ANCHOR.findall((CHAPTERS / "references.md").read_text())}
    cited = {
        anchor
        for path in [*CHAPTERS.glob("*.md"), *CHAPTERS.glob("*.ipynb"), REPOSITORY / "index.md"]
        for anchor in re.findall(r"references\.md#([\w-]+)", path.read_text())
    }
    assert not cited - names
