"""What of a notebook stands on which slide, and how a slide is laid out.

The cells say it themselves, in the metadata that Jupyter's own slide tools read: `slideshow.slide_type` is
`slide`, `subslide`, `fragment`, `notes`, `skip`, or nothing (the cell goes on with what is before it).
"""

from __future__ import annotations

import io
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbformat import NotebookNode
from PIL import Image

HIDES_INPUT = {"hide-input", "remove-input"}
HIDES_OUTPUT = {"hide-output", "remove-output"}
HIDES_CELL = {"hide-cell", "remove-cell"}

WIDEST_BESIDE = 1.6
"""Width over height up to which a figure is larger beside the text than below it."""

WIDEST_EXPLORABLE_BESIDE = 2.2
"""The same for an explorable, whose controls take height."""

LONGEST_CODE_BESIDE = 62
"""Characters in a line of code that half a slide shows at a readable size."""


@dataclass(frozen=True)
class Block:
    """A piece of a slide: Markdown, code, or what code put out."""

    kind: str
    """``markdown``, ``code`` or ``output``."""
    cell: NotebookNode
    """The cell, with only those outputs that a slide shows."""
    step: int | None = None
    """Which step of the slide uncovers the block; None where it is there from the start."""

    @property
    def columns(self) -> int:
        """Characters in the longest line of the source."""
        return max(map(len, self.cell.source.splitlines()), default=0)

    @property
    def lines(self) -> int:
        """Lines of the source."""
        return len(self.cell.source.splitlines())

    @property
    def shape(self) -> tuple[float, bool] | None:
        """Width over height of the first figure, and whether it is an explorable; None without one."""
        if self.kind != "output":
            return None
        return next(filter(None, map(_shape, self.cell.outputs)), None)


@dataclass
class Slide:
    """One slide: its heading, what stands below it, and what the speaker reads."""

    heading: str = ""
    """The heading's Markdown; empty on a slide that goes on with the slide before it."""
    running: str = ""
    """The Markdown of the section's heading, for a slide that has none of its own."""
    level: int = 2
    """1 for the title of the chapter, 2 for all others."""
    blocks: list[Block] = field(default_factory=list)
    notes: list[NotebookNode] = field(default_factory=list)

    @property
    def beside(self) -> bool:
        """Whether the slide's only figure stands at the right of everything else."""
        shapes = [block.shape for block in self.blocks if block.shape]
        if len(shapes) != 1 or len(self.blocks) == 1:
            return False
        ratio, explorable = shapes[0]
        code = max((block.columns for block in self.blocks if block.kind == "code"), default=0)
        return (
            ratio <= (WIDEST_EXPLORABLE_BESIDE if explorable else WIDEST_BESIDE)
            and code <= LONGEST_CODE_BESIDE
        )

    @property
    def columns(self) -> list[list[Block]]:
        """The blocks column by column."""
        if not self.beside:
            return [self.blocks]
        return [
            [block for block in self.blocks if not block.shape],
            [block for block in self.blocks if block.shape],
        ]


def outline(notebook: NotebookNode) -> list[list[Slide]]:
    """Return the slides of a chapter, section by section.

    Parameters
    ----------
    notebook
        The executed notebook.

    Returns
    -------
    list of list of Slide
        For each cell of type ``slide`` its slide and the ``subslide`` ones that follow.

    Raises
    ------
    ValueError
        If no cell says that it begins a slide, or if one says something unknown.
    """
    sections: list[list[Slide]] = []
    early_notes: list[NotebookNode] = []
    step = None
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if kind not in {"slide", "subslide", "fragment", "notes", "skip", "-"}:
            raise ValueError(
                f"cell {cell.id} has the slide type {kind!r}; Jupyter knows slide, subslide, fragment, "
                "notes, skip and -"
            )
        if kind == "slide" or (kind == "subslide" and not sections):
            sections.append([Slide()])
        elif kind == "subslide":
            sections[-1].append(Slide(running=sections[-1][0].heading))
        if kind in {"slide", "subslide"}:
            step = None
        elif kind == "fragment":
            step = 0 if step is None else step + 1
        if kind == "notes":
            (sections[-1][-1].notes if sections else early_notes).append(cell)
        elif kind != "skip" and sections:
            _put(sections[-1][-1], cell, step)
    if not sections:
        raise ValueError("no cell begins a slide: none has the slide type slide")
    sections[0][0].notes[:0] = early_notes
    return sections


def _put(slide: Slide, cell: NotebookNode, step: int | None) -> None:
    """Put a cell on a slide; a heading that comes first becomes the slide's heading."""
    if cell.cell_type == "markdown":
        heading = re.match(r"(#{1,6})[ \t]+(.+?)[ \t#]*(?:\n|$)", cell.source)
        if heading and not slide.heading and not slide.blocks and step is None:
            slide.heading = heading[2]
            slide.level = min(len(heading[1]), 2)
            cell = NotebookNode(cell, source=cell.source[heading.end() :].strip())
        if cell.source.strip():
            slide.blocks.append(Block("markdown", cell, step))
    elif cell.cell_type == "code":
        tags = set(cell.metadata.get("tags", []))
        if tags & HIDES_CELL:
            return
        if not tags & HIDES_INPUT and cell.source.strip():
            slide.blocks.append(Block("code", cell, step))
        outputs = [] if tags & HIDES_OUTPUT else list(_shown(cell.outputs))
        if outputs:
            slide.blocks.append(Block("output", NotebookNode(cell, outputs=outputs), step))


def _shown(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Go through the outputs that an audience wants to see: no warnings, no `<Axes: …>` beside a picture."""
    pictures = any(_shape(output) for output in outputs)
    for output in outputs:
        if output.output_type == "stream" and output.name == "stderr":
            continue
        if pictures and output.output_type == "execute_result" and set(output.data) == {"text/plain"}:
            continue
        yield output


def _shape(output: NotebookNode) -> tuple[float, bool] | None:
    """Return width over height of a figure and whether it is an explorable; None for another output."""
    data = output.get("data", {})
    frame = re.search(
        r'<ddl-explorable.*?<img[^>]* width="(\d+)" height="(\d+)"', data.get("text/html", ""), re.DOTALL
    )
    if frame:
        return int(frame[1]) / int(frame[2]), True
    for kind in ("image/png", "image/jpeg"):
        if kind in data and "text/html" not in data:
            width, height = Image.open(io.BytesIO(b64decode(data[kind]))).size
            return width / height, False
    return None
