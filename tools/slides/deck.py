"""Write decks: one folder per chapter that opens from disk, with reveal.js and MathJax inside."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import jinja2
import yaml
from nbconvert.exporters import TemplateExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from tools.slides.markdown import highlight_code, make_renderer
from tools.slides.outline import Slide, outline

HERE = Path(__file__).parent
DECK_FILES = [HERE / "assets" / "deck.css", HERE / "assets" / "deck.js"]
LIST_STYLE = HERE / "assets" / "decks.css"
CODE_STYLE = "a11y-high-contrast-light"
"""The colours that code has in the pages."""

VENDORED = {
    "reveal.css": ("sphinx-revealjs", "sphinx_revealjs/_static/revealjs/dist/reveal.css"),
    "reveal.js": ("sphinx-revealjs", "sphinx_revealjs/_static/revealjs/dist/reveal.js"),
    "notes.js": ("sphinx-revealjs", "sphinx_revealjs/_static/revealjs/plugin/notes/notes.js"),
    # Formulas as SVG: one file with all glyphs in it, and the speaker's window shows them without MathJax.
    "mathjax.js": ("sphinx-mathjax-offline", "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"),
}
"""What a deck takes from installed packages: its name there, the distribution, the file in it."""

PREFERENCE = ["text/html", "image/png", "image/jpeg", "text/markdown", "text/latex", "text/plain"]
"""Which form of an output a slide shows: an explorable is HTML where it has any."""


@dataclass(frozen=True)
class Deck:
    """A deck as the list of decks shows it."""

    name: str
    """The chapter's file name without ending, which is also the deck's folder."""
    title: str
    slides: int


def chapters(root: Path) -> list[Path]:
    """Return the notebooks of the book in reading order, as `_toc.yml` lists them.

    Parameters
    ----------
    root
        The repository.
    """
    toc = (root / "_toc.yml").read_text(encoding="utf-8")
    files = [root / f"{name}.ipynb" for name in _files(yaml.safe_load(toc))]
    return [file for file in files if file.exists()]


def _files(toc: object) -> list[str]:
    """Collect what stands under the keys `file` at any depth of a table of contents."""
    if isinstance(toc, list):
        return [name for entry in toc for name in _files(entry)]
    if isinstance(toc, dict):
        return [name for key, entry in toc.items() for name in ([entry] if key == "file" else _files(entry))]
    return []


def book_title(root: Path) -> str:
    """Return the title of the book, as `_config.yml` gives it."""
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["title"]


def describe(notebook: NotebookNode, path: Path) -> Deck:
    """Return a notebook's deck as the list of decks shows it; nothing is written."""
    sections = outline(notebook)
    return Deck(path.stem, _plain(sections[0][0].heading) or path.stem, sum(map(len, sections)))


def write_deck(notebook: NotebookNode, path: Path, *, root: Path, out: Path) -> Deck:
    """Write the deck of one chapter.

    Parameters
    ----------
    notebook
        The chapter with its outputs.
    path
        The chapter's file, from where its relative links start.
    root
        The repository.
    out
        The folder of all decks; this one goes into the folder in it that has the chapter's name.

    Returns
    -------
    Deck
        What was written.

    Raises
    ------
    ValueError
        If no cell of the notebook begins a slide, one has an unknown slide type, or one shows or links to a
        file that is not a page of the book.
    """
    deck = describe(notebook, path)
    folder = out / deck.name
    assets = folder / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    html = _render(notebook, outline(notebook), title=deck.title, path=path, root=root, folder=folder)
    (folder / "index.html").write_text(html, encoding="utf-8")
    for name, (distribution, file) in VENDORED.items():
        shutil.copyfile(str(metadata.distribution(distribution).locate_file(file)), assets / name)
    _copy([root / "_static" / "book.css", root / "_static" / "favicon.svg", *DECK_FILES], assets)
    (assets / "code.css").write_text(HtmlFormatter(style=CODE_STYLE).get_style_defs("pre"), encoding="utf-8")
    return deck


def write_index(decks: list[Deck], *, root: Path, out: Path) -> None:
    """Write the page that lists the decks.

    Parameters
    ----------
    decks
        In reading order.
    root
        The repository.
    out
        The folder of all decks.
    """
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "template"), autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("decks.html.j2")
    out.mkdir(parents=True, exist_ok=True)
    pages = Path(os.path.relpath(root / "_build" / "html", out)).as_posix()
    (out / "index.html").write_text(
        template.render(book=book_title(root), decks=decks, pages=pages), encoding="utf-8"
    )
    _copy([root / "_static" / "book.css", root / "_static" / "favicon.svg", LIST_STYLE], out)


def _copy(files: list[Path], folder: Path) -> None:
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _render(
    notebook: NotebookNode, sections: list[list[Slide]], *, title: str, path: Path, root: Path, folder: Path
) -> str:
    def resolve(target: str) -> str:
        return _link(target, path=path, root=root, folder=folder)

    markdown = make_renderer(resolve)
    exporter = TemplateExporter(
        config=Config(NbConvertBase={"display_data_priority": PREFERENCE}),
        extra_template_basedirs=[str(HERE)],
        template_name="template",
        file_extension=".html",
        filters={
            "markdown": markdown.render,
            "inline_markdown": markdown.renderInline,
            "highlight_code": highlight_code,
        },
    )
    resources = {"deck": {"title": title, "book": book_title(root), "sections": sections}}
    html, _ = exporter.from_notebook_node(notebook, resources)
    return html


def _link(target: str, *, path: Path, root: Path, folder: Path) -> str:
    """Return where a deck in `folder` finds what the notebook links to: chapters are pages of the book."""
    if re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.IGNORECASE):
        return target
    file, mark, anchor = target.partition("#")
    page = ((path.parent / file) if file else path).resolve().relative_to(root.resolve())
    if page.suffix not in {".ipynb", ".md"}:
        raise ValueError(
            f"{target!r} is not in a deck: link to pages of the book, and draw figures in code cells"
        )
    page = root / "_build" / "html" / page.with_suffix(".html")
    return Path(os.path.relpath(page, folder)).as_posix() + mark + anchor


def _plain(heading: str) -> str:
    """Return a heading without the marks of Markdown."""
    return re.sub(r"[*_`$]", "", heading)
