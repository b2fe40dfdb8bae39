"""The tool that makes decks: which cell stands on which slide, what becomes of it, and the command."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import books
import pytest
from nbformat.v4 import new_output
from PIL import Image

from tools.slides import __main__ as command
from tools.slides.deck import chapters, write_deck
from tools.slides.markdown import make_renderer
from tools.slides.outline import outline

MD = books.MARKDOWN


def slide_type(kind: str, *tags: str) -> dict:
    return {"slideshow": {"slide_type": kind}, "tags": list(tags)}


def image(width: int, height: int) -> dict[str, str]:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "png")
    return {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<Figure size 1x1>"}


def with_outputs(notebook, index: int, *outputs):
    notebook.cells[index].outputs = list(outputs)
    return notebook


# --- Which cell stands on which slide


def test_cells_go_where_their_slide_type_says():
    sections = outline(
        books.notebook(
            MD + "before the first slide",
            MD + "# Title\n\nA question.",
            MD + "more",
            MD + "for the speaker",
            "hidden = 1",
            MD + "## Next\n",
            MD + "details",
            metadata={
                1: slide_type("slide"),
                3: slide_type("notes"),
                4: slide_type("skip"),
                5: slide_type("slide"),
                6: slide_type("subslide"),
            },
        )
    )
    assert [[slide.heading for slide in section] for section in sections] == [["Title"], ["Next", ""]]
    title, details = sections[0][0], sections[1][1]
    assert [block.cell.source for block in title.blocks] == ["A question.", "more"]
    assert [cell.source for cell in title.notes] == ["for the speaker"]
    assert (title.level, sections[1][0].level) == (1, 2)
    assert details.running == "Next"


def test_fragments_are_steps_and_what_follows_comes_with_them():
    ((slide,),) = outline(
        books.notebook(
            MD + "## Idea",
            MD + "there from the start",
            MD + "> **Predict.** Which?",
            MD + "with the question",
            "answer = 1",
            metadata={0: slide_type("slide"), 2: slide_type("fragment"), 4: slide_type("fragment")},
        )
    )
    assert [block.step for block in slide.blocks] == [None, 0, 0, 1]


def test_steps_begin_anew_on_the_next_slide():
    sections = outline(
        books.notebook(
            MD + "## One",
            MD + "step",
            MD + "plain",
            metadata={0: slide_type("slide"), 1: slide_type("fragment"), 2: slide_type("subslide")},
        )
    )
    assert sections[0][1].blocks[0].step is None


def test_tags_hide_code_and_output():
    ((slide,),) = outline(
        with_outputs(
            books.notebook(
                MD + "## Idea",
                "drawn()",
                "secret()",
                metadata={0: slide_type("slide"), 1: {"tags": ["hide-input"]}, 2: {"tags": ["remove-cell"]}},
            ),
            1,
            new_output("stream", text="shown"),
        )
    )
    assert [block.kind for block in slide.blocks] == ["output"]


def test_an_audience_sees_no_warnings_and_no_name_of_a_figure_beside_it():
    def shown(*outputs) -> list[str]:
        ((slide,),) = outline(
            with_outputs(books.notebook("1", metadata={0: slide_type("slide")}), 0, *outputs)
        )
        return [output.output_type for block in slide.blocks[1:] for output in block.cell.outputs]

    figure = new_output("display_data", image(4, 3))
    name = new_output("execute_result", {"text/plain": "<Axes: >"})
    assert shown(name, figure, new_output("stream", name="stderr", text="careful")) == ["display_data"]
    assert shown(name) == ["execute_result"]


@pytest.mark.parametrize(
    ("size", "source", "beside"),
    [((400, 300), "x", True), ((900, 300), "x", False), ((400, 300), "x" * 80, False)],
    ids=["squarish", "wide", "long lines of code"],
)
def test_a_figure_stands_beside_text_where_it_is_larger_there(size, source, beside):
    notebook = books.notebook(MD + "## Idea", source, metadata={0: slide_type("slide")})
    ((slide,),) = outline(with_outputs(notebook, 1, new_output("display_data", image(*size))))
    assert slide.beside is beside
    assert [[block.kind for block in column] for column in slide.columns] == (
        [["code"], ["output"]] if beside else [["code", "output"]]
    )


def test_a_figure_alone_has_the_whole_slide():
    notebook = books.notebook("x", metadata={0: slide_type("slide", "hide-input")})
    ((slide,),) = outline(with_outputs(notebook, 0, new_output("display_data", image(400, 300))))
    assert not slide.beside


def test_a_notebook_without_slides_and_an_unknown_type_are_errors():
    with pytest.raises(ValueError, match="no cell begins a slide"):
        outline(books.notebook("x = 1"))
    with pytest.raises(ValueError, match="'slides'"):
        outline(books.notebook("x = 1", metadata={0: slide_type("slides")}))


# --- Markdown and links


def test_notes_have_the_classes_that_they_have_in_pages():
    render = make_renderer(str).render
    assert render("> **Predict.** Which one?").startswith('<blockquote class="ddl-note ddl-note-predict">')
    assert render("> **Rosenblatt** said so.").startswith("<blockquote>")
    assert render("> An *old* saying.").startswith("<blockquote>")


def test_formulas_are_left_to_mathjax_and_escaped():
    render = make_renderer(str).render
    assert render("so $a < b$ holds") == "<p>so \\(a &lt; b\\) holds</p>\n"
    assert render("$$\na_1 & b_2\n$$").strip() == "<div>\\[\na_1 &amp; b_2\n\\]</div>"


def written(notebook, folder: Path) -> str:
    """The deck of a notebook that stands among the chapters of a small book in `folder`."""
    books.write_book(folder, idea=notebook)
    out = folder / "_build" / "slides"
    write_deck(notebook, folder / "chapters" / "idea.ipynb", root=folder, out=out)
    return (out / "idea" / "index.html").read_text(encoding="utf-8")


def test_links_lead_to_pages_of_the_book(tmp_path):
    source = (
        "## Idea\n\n[a](backprop.ipynb#chain-rule) [b](references.md) [c](#here) [d](https://doi.org/10/x)"
    )
    html = written(books.notebook(MD + source, metadata={0: slide_type("slide")}), tmp_path)
    for target in (
        "../../html/chapters/backprop.html#chain-rule",
        "../../html/chapters/references.html",
        "../../html/chapters/idea.html#here",
        "https://doi.org/10/x",
    ):
        assert f'<a href="{target}" target="_blank">' in html


def test_a_file_that_a_deck_would_not_hold_is_an_error(tmp_path):
    notebook = books.notebook(MD + "![a line](line.png)", metadata={0: slide_type("slide")})
    with pytest.raises(ValueError, match=r"'line\.png' is not in a deck"):
        written(notebook, tmp_path)


def test_a_figure_brings_its_alternative_text_and_html_goes_before_it(tmp_path):
    notebook = books.notebook("draw()", "show()", metadata={
        0: slide_type("slide") | {"mystnb": {"image": {"alt": 'A "line" < a curve'}}}
    })  # fmt: skip
    with_outputs(notebook, 0, new_output("display_data", image(4, 3)))
    with_outputs(notebook, 1, new_output("display_data", image(4, 3) | {"text/html": "<b>moves</b>"}))
    html = written(notebook, tmp_path)
    assert 'alt="A &#34;line&#34; &lt; a curve"' in html
    assert html.count("<img") == 1
    assert "<b>moves</b>" in html


def test_speaker_notes_are_rendered(tmp_path):
    notebook = books.notebook(
        MD + "## Idea",
        MD + "Say *this* about $x$.",
        metadata={0: slide_type("slide"), 1: slide_type("notes")},
    )
    html = written(notebook, tmp_path)
    notes = html.partition('<aside class="notes">')[2].partition("</aside>")[0]
    assert notes.strip() == r"<p>Say <em>this</em> about \(x\).</p>"


# --- The command


def test_chapters_come_in_the_order_of_the_table_of_contents(tmp_path):
    book = books.write_book(tmp_path, second=books.notebook("2"), first=books.notebook("1"))
    (book / "_toc.yml").write_text(
        "root: index\nparts:\n- chapters:\n  - file: chapters/first\n"
        "    sections:\n    - file: chapters/second\n  - file: index\n"
    )
    assert [path.stem for path in chapters(book)] == ["first", "second"]


def test_a_chapter_that_was_not_executed_is_an_error_that_says_what_to_do(tmp_path):
    book = books.write_book(tmp_path, idea=books.notebook("1", metadata={0: slide_type("slide")}))
    with pytest.raises(SystemExit, match=r"run `jupyter-book build .` first"):
        command.main([], root=book)


def test_an_unknown_chapter_is_an_error_that_names_the_known_ones(tmp_path):
    book = books.write_book(tmp_path, idea=books.notebook("1"))
    with pytest.raises(SystemExit, match=r"no chapter is called ideas; _toc.yml has idea"):
        command.main(["ideas"], root=book)
