"""Markdown on a slide: parsed as in the pages, so that a cell means the same in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from tools.markup import note_classes


def make_renderer(resolve: Callable[[str], str]) -> MarkdownIt:
    r"""Return what turns the Markdown of a chapter into the HTML of a slide.

    Parameters
    ----------
    resolve
        From the target of a link or an image, as it stands in the notebook, to where the deck finds it.

    Returns
    -------
    markdown_it.MarkdownIt
        With `render` for a cell and `renderInline` for a heading. Formulas are left to MathJax, between
        ``\(`` and ``\)`` or ``\[`` and ``\]``.

    Examples
    --------
    >>> print(make_renderer(str.upper).renderInline("[one](#a) is $1 < 2$"))
    <a href="#A" target="_blank">one</a> is \(1 &lt; 2\)
    """
    markdown = create_md_parser(MdParserConfig(enable_extensions={"dollarmath"}), RendererHTML)
    markdown.options["highlight"] = highlight_code

    def link(self: RendererHTML, tokens: Sequence[Token], index: int, *rest: OptionsDict | EnvType) -> str:
        tokens[index].attrs |= {"href": resolve(str(tokens[index].attrs["href"])), "target": "_blank"}
        return self.renderToken(tokens, index, *rest)

    def image(self: RendererHTML, tokens: Sequence[Token], index: int, *rest: OptionsDict | EnvType) -> str:
        tokens[index].attrs["src"] = resolve(str(tokens[index].attrs["src"]))
        return self.image(tokens, index, *rest)

    rules = {
        "link_open": link,
        "image": image,
        "blockquote_open": _note,
        "table_open": _table,
        "math_inline": _formula,
        "math_block": _displayed_formula,
    }
    for name, rule in rules.items():
        markdown.add_render_rule(name, rule)
    return markdown


def highlight_code(code: str, language: str = "ipython3", _: str = "") -> str:
    """Return code as HTML with a class for each kind of word; empty where the language is unknown.

    Parameters
    ----------
    code
        The source.
    language
        A name that pygments knows; by default that of a notebook's cells.
    """
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""  # Markdown's renderer then shows the code without colours
    return highlight(code, lexer, HtmlFormatter(nowrap=True))


def _note(self: RendererHTML, tokens: Sequence[Token], index: int, *rest: OptionsDict | EnvType) -> str:
    """Open a block quote, with the classes of a note where it begins with one of the notes' bold words."""
    words = [child for child in tokens[index + 2].children or [] if child.type != "text" or child.content]
    if len(words) > 1 and words[0].type == "strong_open":
        for name in note_classes(words[1].content):
            tokens[index].attrJoin("class", name)
    return self.renderToken(tokens, index, *rest)


def _table(self: RendererHTML, tokens: Sequence[Token], index: int, *rest: OptionsDict | EnvType) -> str:
    tokens[index].attrJoin("class", "table")  # as in the pages
    return self.renderToken(tokens, index, *rest)


def _formula(self: RendererHTML, tokens: Sequence[Token], index: int, *rest: OptionsDict | EnvType) -> str:
    return rf"\({escape(tokens[index].content, quote=False)}\)"


def _displayed_formula(
    self: RendererHTML, tokens: Sequence[Token], index: int, *rest: OptionsDict | EnvType
) -> str:
    return rf"<div>\[{escape(tokens[index].content, quote=False)}\]</div>"
