"""Execute chapters and put them into the form that is committed.

    python -m tools.notebooks chapters/perceptron.ipynb    execute, normalise, check the rules of chapters
    python -m tools.notebooks all                          the same for every chapter
    python -m tools.notebooks --check all                  change nothing; say what is not right

In the committed form a notebook holds text outputs only: the build makes the figures.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import nbformat
from nbformat import NotebookNode

from tools import chapters, execution
from tools.execution import NotebookError, cell_name

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""The metadata of every notebook."""

CELL_METADATA = ("mystnb", "slideshow", "tags")
"""The keys that a cell's metadata may have."""


def read(path: Path) -> NotebookNode:
    """Read a notebook; give identifiers to the cells that have none.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    nbformat.NotebookNode
        In format 4.5.

    Raises
    ------
    NotebookError
        If the file is no notebook, or two cells have the same identifier.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        identifiers = Counter(cell.setdefault("id", uuid4().hex[:8]) for cell in content["cells"])
        content["nbformat_minor"] = max(5, content["nbformat_minor"])
        for identifier, number in identifiers.items():
            if number > 1:
                raise NotebookError(
                    f"{path}: {number} cells have the identifier {identifier!r}; rename all but one"
                )
        notebook = nbformat.reads(json.dumps(content), as_version=4)
        nbformat.validate(notebook)
    except (json.JSONDecodeError, KeyError, nbformat.ValidationError) as error:
        raise NotebookError(f"{path} is not a notebook: {error}") from error
    return notebook


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook as it is committed."""
    path.write_text(_text(notebook), encoding="utf-8")


def normalise(notebook: NotebookNode) -> list[str]:
    """Put a notebook into the committed form, in place.

    Parameters
    ----------
    notebook
        An executed notebook.

    Returns
    -------
    list of str
        What was not normal: one sentence each, with the cell.
    """
    changes = []
    if notebook.metadata != METADATA:
        extra = sorted(set(notebook.metadata) - set(METADATA))
        changes.append(f"the notebook's metadata are not the book's{f' (remove {extra})' if extra else ''}")
        notebook.metadata = nbformat.from_dict(METADATA)
    prompt, misnumbered = 0, False
    for index, cell in enumerate(notebook.cells):
        said = []
        if extra := sorted(set(cell.metadata) - set(CELL_METADATA)):
            said.append(f"has the metadata {extra}; only {list(CELL_METADATA)} are committed")
            cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in CELL_METADATA})
        if cell.cell_type == "code":
            prompt += 1
            misnumbered |= cell.execution_count != prompt
            cell.execution_count = prompt
            said += _normalise_outputs(cell)
        changes += [f"{cell_name(notebook, index)} {what}" for what in said]
    if misnumbered:
        changes.append("the code cells are not numbered as one run from top to bottom numbers them")
    return changes


def obstacles(notebook: NotebookNode) -> list[str]:
    """Return what keeps a notebook from being committed and only its author can change.

    Parameters
    ----------
    notebook
        An executed notebook.

    Returns
    -------
    list of str
        One sentence each, with the cell and the remedy.
    """
    found = []
    for index, cell in enumerate(notebook.cells):
        said = []
        if not cell.source.strip():
            said.append("is empty; remove it")
        if cell.get("attachments"):
            said.append("has an attached file; let code draw the picture")
        for output in cell.get("outputs", []):
            text = _output_text(output)
            if output.output_type == "stream" and output.name == "stderr":
                said.append(f"writes to stderr ({_shortened(text)}); remove the cause")
            if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
                said.append(f"fails with {output.ename}: {output.evalue}")
            if match := re.search(r"\S* at 0x[0-9a-fA-F]+", text):
                said.append(
                    f"shows a memory address ({match[0]!r}), another on each run; "
                    "end its last line with a semicolon or show a value"
                )
        found += [f"{cell_name(notebook, index)} {what}" for what in said]
    return found


def check(path: Path) -> list[str]:
    """Return what keeps a notebook file from being in the committed form, one sentence each."""
    notebook = read(path)
    found = obstacles(notebook) + normalise(notebook)
    if not found and path.read_text(encoding="utf-8") != _text(notebook):
        found.append("the file is not written as `python -m tools.notebooks` writes it")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 1 if a notebook cannot be committed as it is."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK", help="files, or `all`")
    parser.add_argument("--check", action="store_true", help="change nothing; say what is not normal")
    options = parser.parse_args(arguments)
    root = Path.cwd()
    paths = [Path(name).resolve() for name in options.notebooks]
    if options.notebooks == ["all"]:
        paths = chapters.paths(root)
    problems = {path: [] for path in paths}

    def finish(path: Path, notebook: NotebookNode, seconds: float) -> None:
        print(f"executed {path.name} in {seconds:.1f} s")
        problems[path] += obstacles(notebook)
        normalise(notebook)
        if problems[path]:
            print(f"{path.name} is left as it was")
        else:
            write(notebook, path)

    try:
        if options.check:
            for path in paths:
                problems[path] += check(path)
        else:
            for path in paths:
                read(path)
            execution.execute_all(paths, execution.kernel_environment(static=False, seed=0), finish)
        for path in paths:
            problems[path] += chapters.broken_rules(read(path), path, root)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    for path, found in problems.items():
        for what in found:
            print(f"{path.name}: {what}", file=sys.stderr)
    return int(any(problems.values()))


def _normalise_outputs(cell: NotebookNode) -> list[str]:
    said = []
    outputs = []
    for output in copy.deepcopy(cell.outputs):
        if output.output_type == "stream" and outputs and outputs[-1].get("name") == output.name:
            said.append("has a stream in pieces")
            outputs[-1].text += output.text
            continue
        if output.output_type == "error" and output.traceback:
            said.append("has a traceback")
            output.traceback = []
        if "data" in output:
            if extra := sorted(set(output.data) - {"text/plain"}):
                said.append(f"has outputs of type {', '.join(extra)}; only text is committed")
            output.data = nbformat.from_dict({k: v for k, v in output.data.items() if k == "text/plain"})
            if output.metadata:
                said.append("has metadata of outputs")
                output.metadata = nbformat.from_dict({})
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
        outputs.append(output)
    cell.outputs = outputs
    return said


def _output_text(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return output.text
    return output.get("data", {}).get("text/plain", "")


def _shortened(text: str) -> str:
    first = text.strip().split("\n")[0]
    return repr(first if len(first) <= 80 else first[:79] + "…")


def _text(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook) + "\n"


if __name__ == "__main__":
    sys.exit(main())
