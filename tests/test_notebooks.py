"""Chapters are in their committed form and keep the rules; the checks of both see what they should."""

from __future__ import annotations

import ast
import copy

import books
import matplotlib as mpl
import nbformat
import pytest
from books import MARKDOWN

from tools import chapters, notebooks

CHAPTERS = chapters.paths(books.REPOSITORY)
SETUP = chapters.setup_source(chapters.repository_url(books.REPOSITORY))
TITLE = MARKDOWN + "# A title\n\nSome text."


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_is_in_the_committed_form(path):
    assert notebooks.check(path) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_keeps_the_rules(path):
    assert chapters.broken_rules(notebooks.read(path), path, books.REPOSITORY) == []


EXERCISES = [
    pytest.param(path, exercise, id=f"{path.stem}, {exercise.place}")
    for path in CHAPTERS
    for exercise in chapters.exercises(notebooks.read(path))
]


@pytest.mark.parametrize(("path", "exercise"), EXERCISES)
def test_solution_is_right_and_stub_is_not_attempted(path, exercise, capsys):
    names = prepared_names(path)
    assert verdict(exercise.stub, exercise.stub, dict(names)).attempted is False
    judged = verdict(exercise.solution, exercise.stub, dict(names))
    assert judged.right is True, f"{exercise.place}: the solution is judged {judged}"


def test_verdict_judges_the_answer_with_the_checker_of_the_stub():
    names = {"checker": lambda w: w}
    assert verdict("w = ...\nchecker(w)", "w = ...\nchecker(w)", names) is ...
    assert verdict("w = 2", "w = ...\nchecker(w)", names) == 2


def prepared_names(path):
    """The names that a chapter's setup cell and its cells of imports define."""
    names = {}
    code = [cell.source for cell in notebooks.read(path).cells if cell.cell_type == "code"]
    with mpl.rc_context():
        for source in code:
            statements = ast.parse(source).body
            if source == code[0] or all(isinstance(s, ast.Import | ast.ImportFrom) for s in statements):
                exec(source, names)
    return names


def verdict(answer, stub, names):
    """What the checker, the last statement of `stub`, says of `answer`."""
    checker = ast.parse(stub).body[-1]
    statements = [s for s in ast.parse(answer).body if ast.dump(s) != ast.dump(checker)]
    exec(compile(ast.Module(statements, []), "answer", "exec"), names)
    return eval(compile(ast.Expression(checker.value), "checker", "eval"), names)


@pytest.fixture
def chapter(tmp_path):
    """Give the findings for a chapter of these cells, in a book that has also a page `other.md`."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_config.yml").write_text((books.REPOSITORY / "_config.yml").read_text())
    (tmp_path / "chapters" / "other.md").write_text('# Other page\n\n## Same\n\n## Same\n\n<a id="x-1"></a>')

    def broken_rules(*sources, outputs=(), **options):
        notebook = books.notebook(*sources, **options)
        notebook.cells[-1].outputs = list(outputs)
        path = books.write_chapter(tmp_path, "chapter", notebook)
        return chapters.broken_rules(notebook, path, tmp_path)

    return broken_rules


def figure(text="<Figure size 640x480 with 1 Axes>"):
    return nbformat.v4.new_output("display_data", {"text/plain": text})


def test_good_chapter_breaks_no_rule(chapter):
    links = "[a](other.md#same-1) [b](other.md#x-1) [c](#a-title) [d](https://example.org/#e)"
    assert (
        chapter(TITLE, SETUP, MARKDOWN + f"## Section\n\n{links} `{{not}}` $x_{{i}}$\n\n> **Note.** So.")
        == []
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("See {ref}`there`.", "a MyST role ('ref there')"),
        ("```{note}\nText\n```", "a MyST directive ('{note} Text')"),
        (":::{tip}\nText\n:::", "a MyST directive"),
        ("(target)=\n\nText", "a MyST target ('target')"),
        ("% comment", "a MyST comment"),
        ("Text[^a]\n\n[^a]: Note", "a footnote ('a')"),
        ("> **Predct.** Which?", "begins with 'Predct.'; notes begin with one of History., Note., Predict."),
        ("# Again", "has a second title"),
        ("## A\n\n#### B", "a heading of level 4 below one of level 2"),
        ("![](other.md)", "an image without alternative text: other.md"),
        ('<img src="x.png">', "an image without alternative text: <img"),
        ("[a](missing.ipynb)", "links to 'missing.ipynb', which does not exist"),
        ("[a](other.md#nowhere)", "other.md has no such heading or anchor"),
        ("[a](#nowhere)", "chapter.ipynb has no such heading or anchor"),
    ],
)
def test_bad_markdown_is_named(chapter, source, said):
    (finding,) = chapter(TITLE, SETUP, MARKDOWN + source)
    assert said in finding
    assert finding.startswith("cell 3 (Markdown) ")


def test_chapter_begins_with_its_title(chapter):
    (finding,) = chapter(MARKDOWN + "Text\n\n# Title", SETUP)
    assert "does not begin with the chapter's title" in finding


def test_setup_cell_of_another_repository_is_named(chapter):
    (finding,) = chapter(TITLE, chapters.setup_source("https://github.com/somebody/fork"))
    assert finding.startswith("cell 2 (In [1]) is not the setup cell")
    assert finding.endswith(SETUP)


def test_chapter_without_code_lacks_the_setup_cell(chapter):
    (finding,) = chapter(TITLE)
    assert "the chapter has no code" in finding


def test_figure_needs_alternative_text(chapter):
    (finding,) = chapter(TITLE, SETUP, "draw()", outputs=[figure()])
    assert finding == "cell 3 (In [2]) shows a figure without alternative text (mystnb.image.alt)"
    assert chapter(TITLE, SETUP, "draw()", outputs=[figure()], metadata=alternative("A line")) == []
    assert len(chapter(TITLE, SETUP, "draw()", outputs=[figure()], metadata=alternative(" "))) == 1


def test_cell_shows_one_figure_and_prints_no_artist(chapter):
    (finding,) = chapter(TITLE, SETUP, "draw()", outputs=[figure(), figure()], metadata=alternative("A line"))
    assert "several figures with one alternative text" in finding
    artist = figure("<Axes: >")
    (finding,) = chapter(TITLE, SETUP, "draw()", outputs=[artist, figure()], metadata=alternative("A line"))
    assert "prints '<Axes: >'; end its last line with a semicolon" in finding


def alternative(text):
    return {2: {"mystnb": {"image": {"alt": text}}}}


def test_exercise_needs_checker_and_solution(chapter):
    tagged = {2: {"tags": ["exercise"]}}
    solution = MARKDOWN + "<details><summary>Solution</summary>\n\n```python\nw = 1\n```\n\n</details>"
    assert chapter(TITLE, SETUP, "w = ...\nddl.exercises.a.b(w)", solution, metadata=tagged) == []
    (finding,) = chapter(TITLE, SETUP, "w = ...", solution, metadata=tagged)
    assert finding.startswith("cell 3 (In [2]) is an exercise that does not end in its checker")
    unfolded = MARKDOWN + "```python\nw = 1\n```"
    (finding,) = chapter(TITLE, SETUP, "w = ...\nddl.exercises.a.b(w)", unfolded, metadata=tagged)
    assert finding.startswith("cell 3 (In [2]) is an exercise without a solution")


@pytest.fixture
def executed():
    """A notebook as an execution leaves it, with all that is not committed."""
    notebook = books.notebook(TITLE, "a", "b", metadata={1: {"collapsed": True, "tags": ["hide-input"]}})
    notebook.metadata["widgets"] = {"state": {}}
    shown = nbformat.v4.new_output("display_data", {"text/plain": "<Figure>", "image/png": "iVBO"})
    shown.metadata = nbformat.from_dict({"image/png": {"width": 100}})
    notebook.cells[1].outputs = [stream("1\n"), stream("2\n"), shown]
    result = nbformat.v4.new_output("execute_result", {"text/plain": "1"}, execution_count=7)
    notebook.cells[2].update(outputs=[result], execution_count=7)
    return notebook


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", text=text, name=name)


def test_normalise_leaves_text_alone_and_names_what_it_changed(executed):
    changes = notebooks.normalise(executed)
    assert executed.metadata == notebooks.METADATA
    assert executed.cells[1].metadata == {"tags": ["hide-input"]}
    assert [cell.execution_count for cell in executed.cells[1:]] == [1, 2]
    assert executed.cells[1].outputs == [stream("1\n2\n"), figure("<Figure>")]
    assert executed.cells[2].outputs[0].execution_count == 2
    assert changes == [
        "the notebook's metadata are not the book's (remove ['widgets'])",
        "cell 2 (In [1]) has the metadata ['collapsed']; only ['mystnb', 'slideshow', 'tags'] are committed",
        "cell 2 (In [1]) has a stream in pieces",
        "cell 2 (In [1]) has outputs of type image/png; only text is committed",
        "cell 2 (In [1]) has metadata of outputs",
        "the code cells are not numbered as one run from top to bottom numbers them",
    ]


def test_normal_notebook_is_left_alone(executed, tmp_path):
    notebooks.normalise(executed)
    before = copy.deepcopy(executed)
    assert notebooks.normalise(executed) == []
    assert executed == before
    notebooks.write(executed, tmp_path / "a.ipynb")
    assert notebooks.check(tmp_path / "a.ipynb") == []


def test_check_sees_a_file_that_is_written_otherwise(executed, tmp_path):
    notebooks.normalise(executed)
    path = tmp_path / "a.ipynb"
    path.write_text(nbformat.writes(executed, indent=2))
    assert notebooks.check(path) == ["the file is not written as `python -m tools.notebooks` writes it"]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            figure("<object at 0x7f21d8>"),
            "shows a memory address ('<object at 0x7f21d8'), another on each run",
        ),
        (stream("<function f at 0xabc>"), "shows a memory address"),
        (stream("Deprecated\nmore", "stderr"), "writes to stderr ('Deprecated'); remove the cause"),
        (nbformat.v4.new_output("error", ename="KeyError", evalue="'a'"), "fails with KeyError: 'a'"),
    ],
)
def test_obstacles_are_named(executed, output, said):
    executed.cells[2].outputs = [output]
    (finding,) = notebooks.obstacles(executed)
    assert finding.startswith(f"cell 3 (In [2]) {said}")


def test_expected_error_is_no_obstacle_and_loses_its_traceback(executed):
    error = nbformat.v4.new_output("error", ename="KeyError", evalue="'a'", traceback=["/a/path"])
    executed.cells[2].update(outputs=[error], metadata=nbformat.from_dict({"tags": ["raises-exception"]}))
    assert notebooks.obstacles(executed) == []
    notebooks.normalise(executed)
    assert executed.cells[2].outputs[0].traceback == []


def test_empty_cells_and_attachments_are_obstacles():
    notebook = books.notebook(TITLE, " ")
    notebook.cells[0].attachments = {"a.png": {"image/png": "iVBO"}}
    attached, empty = notebooks.obstacles(notebook)
    assert attached.startswith("cell 1 (Markdown) has an attached file")
    assert empty.startswith("cell 2 (In [1]) is empty")


def test_duplicate_identifiers_are_an_error(executed, tmp_path):
    # As text, for nbformat would give one of them another identifier.
    (tmp_path / "a.ipynb").write_text(nbformat.writes(executed).replace("cell-2", "cell-1"))
    with pytest.raises(notebooks.NotebookError, match="2 cells have the identifier 'cell-1'"):
        notebooks.read(tmp_path / "a.ipynb")


def test_file_that_is_no_notebook_is_an_error(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    with pytest.raises(notebooks.NotebookError, match=r"a.ipynb is not a notebook"):
        notebooks.read(tmp_path / "a.ipynb")


def test_cells_without_identifiers_get_them(executed, tmp_path):
    notebooks.normalise(executed)
    executed.nbformat_minor = 4
    for cell in executed.cells:
        del cell["id"]
    nbformat.write(executed, tmp_path / "a.ipynb")
    assert notebooks.check(tmp_path / "a.ipynb") == [
        "the file is not written as `python -m tools.notebooks` writes it"
    ]
    assert len({cell.id for cell in notebooks.read(tmp_path / "a.ipynb").cells}) == 3


def test_command_executes_normalises_and_then_finds_nothing(tmp_path):
    folder = books.write_book(tmp_path, one=books.notebook(TITLE, "import sys", "print(1)\n{}"))
    run = books.run_python("-m", "tools.notebooks", "all", cwd=folder)
    assert run.returncode == 1
    assert "executed one.ipynb in " in run.stdout
    assert "cell 2 (In [1]) is not the setup cell" in run.stdout
    path = folder / "chapters" / "one.ipynb"
    assert notebooks.check(path) == []
    outputs = notebooks.read(path).cells[2].outputs
    assert [output.get("text") or output.data["text/plain"] for output in outputs] == ["1\n", "{}"]


def test_command_leaves_a_notebook_that_cannot_be_committed(tmp_path):
    folder = books.write_book(tmp_path, one=books.notebook(TITLE, "object()"))
    before = (folder / "chapters" / "one.ipynb").read_text()
    run = books.run_python("-m", "tools.notebooks", "chapters/one.ipynb", cwd=folder)
    assert run.returncode == 1
    assert "one.ipynb is left as it was" in run.stdout
    assert "cell 2 (In [1]) shows a memory address" in run.stdout
    assert (folder / "chapters" / "one.ipynb").read_text() == before
