"""The build executes what is stale, once, in parallel; a failure stops it and says where it is."""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import books
import nbformat
import pytest
from books import MARKDOWN
from bs4 import BeautifulSoup

from tools import execution

TITLE = MARKDOWN + "# A title"
FALSE_CLAIM = 'import ddl\n\nddl.claim("Two is odd", 2 % 2 == 1, remainder=2 % 2)'
ENVIRONMENT = execution.kernel_environment(static=False, seed=0)


def text_of(notebook):
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


def run(*sources, path, environment=ENVIRONMENT, **options):
    notebook = books.notebook(*sources)
    execution.execute(notebook, path, environment, **options)
    return notebook


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The file of a notebook, in the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "chapter.ipynb"


# --- One notebook ------------------------------------------------------------------------------------------


def test_notebook_runs_in_its_folder_and_with_the_given_variables(path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir("/")
    source = "import os\nprint(os.getcwd(), *(os.environ.get(name) for name in {!r}))"
    names = ["DDL_STATIC", "DDL_STRICT", "DDL_SEED", "OMP_NUM_THREADS", "MPLBACKEND"]
    environment = execution.kernel_environment(static=True, seed=3)
    notebook = run(source.format(names), path=path, environment=environment)
    assert text_of(notebook) == f"{path.parent} 1 1 3 1 module://matplotlib_inline.backend_inline\n"


def test_failure_names_notebook_cell_line_error_and_calls(path):
    source = "a = 1\nb = 2\nc = 3\nd = 4\n\nimport statistics\nstatistics.mean([])\ne = 5"
    with pytest.raises(execution.NotebookError) as caught:
        run(TITLE, "1 + 1", source, path=path)
    said = str(caught.value).split("\n")
    assert said[0] == (
        "chapter.ipynb, cell 3 (In [2]), line 7: StatisticsError: mean requires at least one data point"
    )
    assert said[1:-1] == [
        "    1 | a = 1",
        "    2 | b = 2",
        "    3 | c = 3",
        "      …",
        "    6 | import statistics",
        ">   7 | statistics.mean([])",
        "      …",
    ]
    assert re.search(r"statistics\.py:\d+, in mean$", said[-1])


def test_slow_cell_is_named(path):
    with pytest.raises(execution.NotebookError, match=r"cell 1 \(In \[1\]\): took longer than 1 s\n"):
        run("import time\ntime.sleep(5)", path=path, timeout=1)


def test_cell_that_takes_the_kernel_down_is_named(path):
    with pytest.raises(execution.NotebookError, match=r"cell 2 \(In \[2\]\): the kernel died"):
        run("import os", "os._exit(1)", path=path)


def test_error_that_the_cell_expects_is_no_failure(path):
    notebook = books.notebook("1 / 0", "print(1)", metadata={0: {"tags": ["raises-exception"]}})
    execution.execute(notebook, path, ENVIRONMENT)
    assert text_of(notebook) == "1\n"


def test_false_claim_fails_a_strict_run_and_does_not_stop_a_readers(path):
    with pytest.raises(execution.NotebookError, match=r"line 3: ClaimError: Two is odd.*remainder 0"):
        run(FALSE_CLAIM, "print('after')", path=path)
    relaxed = execution.kernel_environment(static=False, strict=False)
    notebook = run(FALSE_CLAIM, "print('after')", path=path, environment=relaxed)
    assert "✗ Two is odd" in notebook.cells[0].outputs[0].data["text/plain"]
    assert text_of(notebook).endswith("after\n")


# --- Several, and the cache --------------------------------------------------------------------------------


def test_all_are_executed_though_one_fails_and_all_failures_are_told(tmp_path):
    (tmp_path / "chapters").mkdir()
    sources = {"a": "1 / 0", "b": "print('fine')", "c": "[][0]"}
    paths = [books.write_chapter(tmp_path, name, books.notebook(code)) for name, code in sources.items()]
    done = {}
    with pytest.raises(execution.NotebookError, match=r"(?s)a\.ipynb.*ZeroDivision.*c\.ipynb.*IndexError"):
        execution.execute_all(paths, ENVIRONMENT, lambda path, notebook, _: done.update({path: notebook}))
    assert {path.stem: text_of(notebook) for path, notebook in done.items()} == {"b": "fine\n"}


def test_notebooks_run_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setattr(execution.os, "cpu_count", lambda: 2)
    (tmp_path / "chapters").mkdir()
    # Each waits for the file that the other writes.
    code = "\n".join(
        [
            "import time",
            "from pathlib import Path",
            "Path('{}').touch()",
            "end = time.monotonic() + 20",
            "while not Path('{}').exists():",
            "    assert time.monotonic() < end",
        ]
    )
    paths = [
        books.write_chapter(tmp_path, name, books.notebook(code.format(name, other)))
        for name, other in [("a", "b"), ("b", "a")]
    ]
    execution.execute_all(paths, ENVIRONMENT, lambda *_: None)


@pytest.fixture
def cached(tmp_path):
    """A notebook in a cache: its file, the cache's folder, and the file's content."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "requirements.txt").touch()
    notebook = books.notebook(TITLE, "print(6 * 7)", metadata={1: {"tags": ["a"]}})
    path = books.write_chapter(tmp_path, "chapter", notebook)
    folder = execution.cache_folder(tmp_path)
    execution.execute_into(folder, [path], lambda path, seconds: None)
    return path, folder, notebook


def test_change_of_code_makes_stale_and_other_changes_do_not(cached):
    path, folder, notebook = cached
    assert execution.stale([path], folder) == []
    notebook.cells[0].source = "# Another title"
    notebook.cells[1].metadata = nbformat.from_dict({"mystnb": {"image": {"alt": "New"}}})
    nbformat.write(notebook, path)
    assert execution.stale([path], folder) == []
    executed = execution.executed(path, path.parent.parent)
    assert executed.cells[0].source == "# Another title"
    assert executed.cells[1].metadata == {"mystnb": {"image": {"alt": "New"}}}
    assert text_of(executed) == "42\n"
    notebook.cells[1].source += "  # changed"
    nbformat.write(notebook, path)
    assert execution.stale([path], folder) == [path]
    with pytest.raises(execution.NotebookError, match="has not been executed as it is now"):
        execution.executed(path, path.parent.parent)


def test_permission_to_fail_makes_stale(cached):
    path, folder, notebook = cached
    notebook.cells[1].metadata = nbformat.from_dict({"tags": ["raises-exception"]})
    nbformat.write(notebook, path)
    assert execution.stale([path], folder) == [path]


def test_cache_keeps_one_version_of_a_notebook(cached):
    path, folder, notebook = cached
    for alt in "ab":
        notebook.cells[1].metadata = nbformat.from_dict({"mystnb": {"image": {"alt": alt}}})
        nbformat.write(notebook, path)
        assert execution.stale([path], folder) == []
    assert len(list(folder.glob("executed/*"))) == 1


def test_cache_folder_is_another_for_another_package_requirement_or_seed(tmp_path, monkeypatch):
    (tmp_path / "ddl" / "assets").mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("torch==1\n")
    seen = [execution.cache_folder(tmp_path)]
    (tmp_path / "ddl" / "__pycache__").mkdir()
    (tmp_path / "ddl" / "__pycache__" / "a.pyc").touch()
    assert execution.cache_folder(tmp_path) == seen[0]
    for file, content in [
        ("ddl/a.py", "1"),
        ("ddl/a.py", "2"),
        ("ddl/assets/a.css", ""),
        ("requirements.txt", ""),
    ]:
        (tmp_path / file).write_text(content)
        seen.append(execution.cache_folder(tmp_path))
    (tmp_path / "ddl" / "a.py").rename(tmp_path / "ddl" / "b.py")
    seen.append(execution.cache_folder(tmp_path))
    monkeypatch.setenv("DDL_SEED", "1")
    seen.append(execution.cache_folder(tmp_path))
    assert len(set(seen)) == len(seen) == 7
    assert {folder.parent for folder in seen} == {tmp_path / "_build" / ".jupyter_cache"}


def test_only_the_last_caches_are_kept(tmp_path):
    folders = [tmp_path / f"{number:016x}" for number in range(5)]
    for folder in folders:
        execution.forget_old_caches(folder)
        time.sleep(0.02)
    assert sorted(tmp_path.iterdir()) == folders[2:]
    (tmp_path / "global.db").touch()
    newest = tmp_path / ("f" * 16)
    for folder in (folders[2], newest):
        execution.forget_old_caches(folder)
        time.sleep(0.02)
    assert sorted(tmp_path.iterdir()) == [folders[2], folders[4], newest, tmp_path / "global.db"]


# --- The build ---------------------------------------------------------------------------------------------

PROSE = """# One

$x^2$, see [two](two.ipynb#the-second) and [a source](two.ipynb#source-1).

> **Predict.** Which?

> An ordinary quotation. **Note.** The bold word does not begin it."""
DRAWN = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"
TABLE = "import pandas as pd\npd.DataFrame({'column': [1]})"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A built book and what its build printed."""
    alternative = {1: {"mystnb": {"image": {"alt": "A line goes up."}}}}
    one = books.notebook(MARKDOWN + PROSE, DRAWN, TABLE, metadata=alternative)
    read_files = "print(open('../ddl/module.py').read(), open('../index.md').read())"
    two = books.notebook(MARKDOWN + '# Two\n\n## The second\n\n<a id="source-1"></a>Source', read_files)
    folder = books.write_book(tmp_path_factory.mktemp("book"), one=one, two=two)
    build = books.build(folder, "-W", "--keep-going")
    assert build.returncode == 0, build.stdout
    return folder, build.stdout


def page(folder, name):
    return BeautifulSoup((folder / "_build/html/chapters" / f"{name}.html").read_text(), "html.parser")


def test_build_tells_of_each_notebook_and_its_time(built):
    for name in ("one", "two"):
        assert re.search(rf"^executed chapters/{name}\.ipynb in \d+\.\d s$", built[1], re.MULTILINE)
    assert "Executing notebook" not in built[1], "myst-nb executed what was to be in its cache"


def test_rebuild_executes_nothing_unless_the_package_changes(built):
    folder, _ = built
    start = time.perf_counter()
    rebuild = books.build(folder)
    assert rebuild.returncode == 0
    assert time.perf_counter() - start < 15
    assert "executed" not in rebuild.stdout
    assert "value = 1" in page(folder, "two").text
    (folder / "ddl" / "module.py").write_text("value = 2\n")
    rebuild = books.build(folder)
    assert rebuild.stdout.count("executed chapters/") == 2
    assert "value = 2" in page(folder, "two").text


def test_page_shows_what_a_new_execution_gave(built):
    folder, _ = built
    (folder / "index.md").write_text("# Another book\n")
    shutil.rmtree(folder / "_build" / ".jupyter_cache")
    assert "executed chapters/two" in books.build(folder).stdout
    assert "Another book" in page(folder, "two").select_one(".cell_output").text


def test_page_of_a_chapter_that_is_gone_is_removed(tmp_path):
    folder = books.write_book(tmp_path, one=books.notebook(TITLE), two=books.notebook(TITLE))
    books.build(folder)
    (folder / "_toc.yml").write_text(
        (folder / "_toc.yml").read_text().replace("  - file: chapters/two\n", "")
    )
    books.build(folder)
    assert [path.name for path in (folder / "_build" / "html" / "chapters").iterdir()] == ["one.html"]


def test_figure_has_the_alternative_text_of_its_cell(built):
    (image,) = page(built[0], "one").select(".cell_output img")
    assert image["alt"] == "A line goes up."


def test_table_is_html(built):
    assert page(built[0], "one").select_one(".cell_output table th:-soup-contains('column')")


def test_notes_have_their_classes_and_quotations_have_none(built):
    note, quotation = page(built[0], "one").select("blockquote")
    assert note["class"] == ["ddl-note", "ddl-note-predict"]
    assert not quotation.get("class")


def test_links_lead_to_headings_and_html_anchors_of_other_chapters(built):
    links = {link.text: link["href"] for link in page(built[0], "one").select("article p a.internal")}
    assert links == {"two": "two.html#the-second", "a source": "two.html#source-1"}


def test_pages_load_nothing_from_another_host(built):
    folder, _ = built
    for path in (folder / "_build" / "html").rglob("*.html"):
        soup = BeautifulSoup(path.read_text(), "html.parser")
        loaded = [tag.get("src") or tag.get("href") for tag in soup.select("[src], link[href]")]
        assert loaded
        assert [address for address in loaded if "//" in address] == []
        assert "thebe@" not in path.read_text()
    script = page(folder, "one").select_one("script[src*=mathjax]")["src"].split("?")[0]
    assert (folder / "_build" / "html" / "chapters" / script).is_file()


def test_build_stops_at_a_failing_cell_and_ends_with_its_name(tmp_path):
    folder = books.write_book(tmp_path, good=books.notebook(TITLE, "1"), bad=books.notebook(TITLE, "1 / 0"))
    build = books.build(folder)
    assert build.returncode == 1
    assert build.stdout.endswith(
        "chapters/bad.ipynb, cell 2 (In [1]), line 1: ZeroDivisionError: division by zero\n"
        ">   1 | 1 / 0\n\n"
        "The book was not built: a notebook failed.\n"
    )
    assert "Traceback" not in build.stdout
    assert "executed chapters/good.ipynb" in build.stdout


def test_false_claim_stops_the_build(tmp_path):
    build = books.build(books.write_book(tmp_path, one=books.notebook(TITLE, FALSE_CLAIM)))
    assert build.returncode == 1
    assert "ClaimError: Two is odd [remainder 0]" in build.stdout


def test_two_builds_at_once_take_turns_and_execute_once(tmp_path):
    folder = books.write_book(tmp_path, one=books.notebook(TITLE, "print(1)"))
    command = [str(books.JUPYTER_BOOK), "build", str(folder)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in "ab"
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "".join(said).count("executed chapters/one.ipynb") == 1
    assert "".join(said).count("another build is running") == 1


def test_false_claim_and_changed_output_fail_nbval_and_bracketed_numbers_do_not(tmp_path):
    sources = [FALSE_CLAIM, "print('loss [0.12]')", "print('new')", "print('same')\n'hidden';"]
    notebook = books.notebook(*sources)
    for prompt, (cell, text) in enumerate(
        zip(notebook.cells, ["", "loss [9.87]\n", "old\n", "same\n"], strict=True), start=1
    ):
        cell.execution_count = prompt
        cell.outputs = [nbformat.v4.new_output("stream", text=text)] if text else []
    folder = books.write_book(tmp_path, one=notebook)
    run = books.run_python("-m", "pytest", "chapters", "-p", "no:cacheprovider", "--color=no", cwd=folder)
    assert run.returncode == 1
    assert "Two is odd [remainder 0]" in run.stdout
    failed = re.findall(r"^FAILED .*::Cell (\d)", run.stdout, re.MULTILINE)
    assert failed == ["0", "2"], run.stdout
