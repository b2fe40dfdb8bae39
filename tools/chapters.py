"""The rules that every chapter keeps, so that it reads right as a page, in Colab and on slides."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import nbformat
import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from myst_parser.config.main import MdParserConfig
from myst_parser.mdit_to_docutils.base import compute_unique_slug
from myst_parser.parsers.mdit import create_md_parser
from nbformat import NotebookNode

from tools import markup
from tools.execution import cell_name

SETUP = """\
# Installs the book's package where it is missing (Colab, or this notebook on its own).
from importlib import metadata
import subprocess, sys

try:
    metadata.version("dissecting-deep-learning")
except metadata.PackageNotFoundError:
    source = "dissecting-deep-learning @ git+{url}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)

import ddl

ddl.setup()"""
"""The first code cell of every chapter."""

FIGURE = re.compile(r"<(Figure|\w*Axes)")
"""How the text of an output begins where the output is a matplotlib figure."""


class Exercise(NamedTuple):
    """An exercise of a chapter: where it stands, the reader's cell, and the solution's code, if any."""

    place: str
    stub: str
    solution: str | None


def paths(root: Path) -> list[Path]:
    """Return the notebooks of all chapters."""
    return sorted((root / "chapters").glob("*.ipynb"))


def repository_url(root: Path) -> str:
    """Return the address of the book's repository, from `_config.yml`."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"]


def setup_source(url: str) -> str:
    """Return the first code cell of every chapter, for a repository at `url`."""
    return SETUP.format(url=url)


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """Return a chapter's exercises: the cells tagged `exercise`, each with the solution folded below it."""
    found = []
    for index, cell in enumerate(notebook.cells):
        if "exercise" in cell.metadata.get("tags", []):
            below = (later.source for later in notebook.cells[index + 1 :] if later.cell_type == "markdown")
            found.append(Exercise(cell_name(notebook, index), cell.source, _folded_code(next(below, ""))))
    return found


def broken_rules(notebook: NotebookNode, path: Path, root: Path) -> list[str]:
    """Return how a chapter breaks the rules.

    Parameters
    ----------
    notebook
        The chapter.
    path
        Its file, from which relative links lead.
    root
        The repository.

    Returns
    -------
    list of str
        One sentence for each breach, with the cell and the remedy.
    """
    return [
        *_setup_faults(notebook, root),
        *_heading_faults(notebook),
        *_markdown_faults(notebook),
        *_note_faults(notebook),
        *_image_faults(notebook),
        *_link_faults(notebook, path),
        *_exercise_faults(notebook),
    ]


def anchors(path: Path) -> set[str]:
    """Return what links can name in a page: its headings, as pages and GitHub name them, and HTML anchors."""
    if path.suffix == ".ipynb":
        return _anchors(nbformat.read(path, as_version=4))
    return _anchors_of_text(path.read_text(encoding="utf-8")) if path.suffix == ".md" else set()


def _setup_faults(notebook: NotebookNode, root: Path) -> Iterator[str]:
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    wanted = setup_source(repository_url(root))
    if not code:
        yield f"the chapter has no code; its first code cell must be\n{wanted}"
    elif notebook.cells[code[0]].source != wanted:
        yield f"{cell_name(notebook, code[0])} is not the setup cell of this repository, which is\n{wanted}"


def _heading_faults(notebook: NotebookNode) -> Iterator[str]:
    headings = [(place, token) for place, token in _tokens(notebook) if token.type == "heading_open"]
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell does not begin with the chapter's title (`# Title`)"
    for place, token in headings[1:]:
        if token.tag == "h1":
            yield f"{place} has a second title (`#`); sections begin with `##`"
    for (_, upper), (place, lower) in pairwise(headings):
        if int(lower.tag[1]) > int(upper.tag[1]) + 1:
            yield f"{place} has a heading of level {lower.tag[1]} below one of level {upper.tag[1]}"


def _markdown_faults(notebook: NotebookNode) -> Iterator[str]:
    kinds = {
        "myst_role": "a MyST role",
        "myst_target": "a MyST target",
        "myst_line_comment": "a MyST comment",
        "myst_block_break": "a MyST block break",
        "colon_fence": "a MyST directive",
        "footnote_ref": "a footnote",
    }
    for place, token in _tokens(notebook):
        kind = kinds.get(token.type)
        if token.type == "fence" and token.info.startswith("{"):
            kind = "a MyST directive"
        if kind:
            name = token.meta.get("name") or token.meta.get("label") or token.info
            text = f"{name} {token.content}".strip().split("\n")[0]
            yield f"{place} has {kind} ({text!r}), raw text in Colab and on slides; write plain Markdown"


def _note_faults(notebook: NotebookNode) -> Iterator[str]:
    for place, source in _markdown(notebook):
        for lead in re.findall(r"^> \*\*(\w+\.?)\*\*", source, re.MULTILINE):
            if not markup.note_classes(lead):
                kinds = ", ".join(f"{kind.capitalize()}." for kind in sorted(markup.NOTE_KINDS))
                yield f"{place} has a note that begins with {lead!r}; notes begin with one of {kinds}"


def _image_faults(notebook: NotebookNode) -> Iterator[str]:
    for index, cell in enumerate(notebook.cells):
        texts = (output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", []))
        shown = [text for text in texts if FIGURE.search(text)]
        alternative = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if shown and not alternative.strip():
            yield f"{cell_name(notebook, index)} shows a figure without alternative text (mystnb.image.alt)"
        if len([text for text in shown if text.startswith("<Figure")]) > 1:
            yield f"{cell_name(notebook, index)} shows several figures with one alternative text; split it"
        for text in shown:
            if not text.startswith("<Figure"):
                yield f"{cell_name(notebook, index)} prints {text!r}; end its last line with a semicolon"
    for place, token in _tokens(notebook):
        if token.type == "image" and not token.content.strip():
            yield f"{place} has an image without alternative text: {token.attrs['src']}"
        for tag in re.findall(r"<img\b[^>]*>", token.content) if token.type.startswith("html_") else ():
            if not re.search(r"\balt=.\w", tag):
                yield f"{place} has an image without alternative text: {tag}"


def _link_faults(notebook: NotebookNode, path: Path) -> Iterator[str]:
    for place, token in _tokens(notebook):
        link = str(token.attrs.get("href" if token.type == "link_open" else "src", ""))
        parts = urlsplit(link)
        if not link or parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_file():
            yield f"{place} links to {link!r}, which does not exist"
        elif parts.fragment and unquote(parts.fragment) not in (
            _anchors(notebook) if target == path else anchors(target)
        ):
            yield f"{place} links to {link!r}, but {target.name} has no such heading or anchor"


def _exercise_faults(notebook: NotebookNode) -> Iterator[str]:
    for exercise in exercises(notebook):
        if not ast.unparse(ast.parse(exercise.stub).body[-1:]).startswith("ddl.exercises."):
            yield f"{exercise.place} is an exercise that does not end in its checker (`ddl.exercises.…`)"
        if exercise.solution is None:
            yield f"{exercise.place} is an exercise without a solution (Python in a <details>) below it"


@cache
def _parser() -> MarkdownIt:
    """Return the parser of the pages, which also sees the directives that pages do not enable."""
    return create_md_parser(MdParserConfig(enable_extensions={"dollarmath", "colon_fence"}), RendererHTML)


def _markdown(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Give the place and the source of each Markdown cell."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            yield cell_name(notebook, index), cell.source


def _tokens(notebook: NotebookNode) -> Iterator[tuple[str, Token]]:
    """Give all Markdown tokens of a notebook, the inline ones among them, each with its place."""
    for place, source in _markdown(notebook):
        for token in _parser().parse(source):
            yield place, token
            for child in token.children or []:
                yield place, child


def _folded_code(markdown: str) -> str | None:
    """Return the Python block inside `<details>`, or None."""
    folded = False
    for token in _parser().parse(markdown):
        if token.type == "html_block":
            folded = token.content.rfind("<details") > token.content.rfind("</details")
        elif folded and token.type == "fence" and token.info == "python":
            return token.content
    return None


def _anchors(notebook: NotebookNode) -> set[str]:
    """Return what links can name in a notebook: headings, as pages and GitHub name them, and HTML anchors."""
    return _anchors_of_text("\n\n".join(source for _, source in _markdown(notebook)))


def _anchors_of_text(text: str) -> set[str]:
    found = set(markup.html_ids(text))
    tree = SyntaxTreeNode(_parser().parse(text))
    for node in tree.walk():
        if node.type == "heading":
            found.add(compute_unique_slug(node, found))
        elif node.type == "myst_target":
            found.add(node.content)
    return found
