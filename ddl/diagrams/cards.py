"""What is written into a drawn computation graph, and how much room it takes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import torch
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from ddl.diagrams.graphs import ComputationGraph, Edge, Node, Progress
from ddl.diagrams.labels import rounded, symbol

MOST_NUMBERS = 6
"""A tensor with more entries is shown by its norm."""

TEXT, SMALL = 9.0, 8.0
"""Sizes of numbers and operations, and of shapes and notes, in points."""

NAME = 10.0
"""Size of names, in points."""

HEAD, LINE, PAD, ARROW = 0.24, 0.16, 0.07, 0.18
"""Height of the head of a card and of a line, space around texts, room for an arrow, in inches."""


@dataclass(frozen=True)
class Style:
    """What a drawing shows."""

    values: bool
    gradients: bool
    shapes: bool | None
    """None shows the shapes of tensors whose numbers are not all written out."""
    edges: Literal["local", "product"] | None


@dataclass(frozen=True)
class Card:
    """The texts on the card of a tensor."""

    name: str
    operation: str
    shape: str
    value: list[str] | None
    """Its lines; an empty line where it is not known yet, None on a card that never shows it."""
    gradient: list[str] | None

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        between = PAD if self.name and self.operation else 0.0
        head = width(self.name, NAME) + between + (self.pill if self.operation else 0.0)
        bands = [band for band in (self.value, self.gradient) if band is not None]
        rows = [ARROW + width(line) for band in bands for line in band]
        height = HEAD + (LINE if self.shape else 0.0) + sum(map(band_height, bands))
        return max([head, width(self.shape, SMALL), *rows]) + 2 * PAD, height + (0.03 if bands else 0.0)

    @property
    def pill(self) -> float:
        """Width of the field on which the operation stands."""
        return width(self.operation) + 0.1


def card(graph: ComputationGraph, node: Node, known: Progress, style: Style) -> Card:
    """Return what stands on the card of a node, as far as it is known."""
    shown = node.value.numel() > MOST_NUMBERS if style.shapes is None else style.shapes
    value = gradient = None
    if style.values:
        value = lines(known.values[node.index]) if node.index in known.values else [""]
    if style.gradients and node.gradient is not None:
        gradient = _gradient(graph, node, known, sums=style.edges == "product")
    return Card(
        symbol(node.name) or ("" if node.operation else node.kind),
        node.operation,
        str(tuple(node.value.shape)) if shown and node.value.ndim else "",
        value,
        gradient,
    )


def note(graph: ComputationGraph, edge: Edge, style: Style) -> str:
    """Return what is written on an edge."""
    if style.edges == "local" and edge.derivative is not None:
        return rounded(edge.derivative, 3)
    if style.edges != "product" or edge.contribution is None:
        return ""
    handed = "; ".join(lines(edge.contribution))
    if edge.derivative is None:
        return handed
    ends = {node.index: node for node in graph.nodes}
    source, target = ends[edge.source], ends[edge.target]
    numbers = f"{rounded(target.gradient.item(), 3)} · {rounded(edge.derivative, 3)} = {handed}"
    x, y = (symbol(node.name) for node in (source, target))
    twins = [e for e in graph.edges if (e.source, e.target) == (edge.source, edge.target)]
    if "$" not in x or "$" not in y or len(twins) > 1:
        return numbers
    x, y = x.strip("$"), y.strip("$")
    letter, index, rest = y.partition("_")
    return rf"$\bar{{{letter}}}{index}{rest}\;\partial {y}/\partial {x}$" + f"\n{numbers}"


def lines(tensor: torch.Tensor) -> list[str]:
    """Return a tensor as text: its numbers if they are few, a vector as a column; else its norm.

    Parameters
    ----------
    tensor
        The tensor.

    Returns
    -------
    list of str
        The lines.

    Examples
    --------
    >>> lines(torch.tensor([[1.0, -2.5]])), lines(torch.tensor([1 / 3, 2 / 3]))
    (['1  −2.5'], ['0.333', '0.667'])
    >>> lines(torch.ones(4, 4)), lines(torch.arange(20))
    (['‖·‖ 4'], ['0  1  2  …'])
    """
    if not tensor.numel():
        return ["empty"]
    if tensor.numel() <= MOST_NUMBERS and tensor.ndim <= 2:
        rows = tensor.reshape(-1, tensor.shape[1] if tensor.ndim == 2 else 1).tolist()
        texts = [[rounded(number, 3) for number in row] for row in rows]
        longest = max(len(text) for row in texts for text in row) if len(rows) > 1 else 0
        return [
            "  ".join(text.rjust(longest, "\u2007") for text in row) for row in texts
        ]  # spaces like digits
    if tensor.dtype.is_floating_point:
        return [f"‖·‖ {rounded(tensor.norm().item(), 3)}"]
    return ["  ".join(rounded(number, 3) for number in tensor.flatten()[:3].tolist()) + "  …"]


@functools.lru_cache(maxsize=4096)
def width(text: str, size: float = TEXT) -> float:
    """Return the width of a text, the widest of its lines, in inches."""
    font = FontProperties(size=size)
    measure = text_to_path.get_text_width_height_descent
    return max(measure(line, font, ismath="$" in line)[0] / 72 if line else 0.0 for line in text.split("\n"))


def height(text: str) -> float:
    """Return the height of a small text in inches."""
    return 0.15 * len(text.split("\n"))


def band_height(band: list[str]) -> float:
    """Return the height in inches of the lines of a value or gradient."""
    return LINE * len(band) + 0.04


def _gradient(graph: ComputationGraph, node: Node, known: Progress, *, sums: bool) -> list[str]:
    """Return the lines of a gradient, as a sum where it is one and sums are asked for."""
    if node.index not in known.gradients:
        return [""]
    found = lines(known.gradients[node.index])
    leaving = [edge for edge in graph.edges if edge.source == node.index and edge.contribution is not None]
    parts = [edge.contribution for edge in leaving if edge.target in known.handed]
    waiting = node.index in known.waiting
    whole = sums and len(leaving) > 1 and node.value.numel() == 1
    if whole and parts and torch.isclose(sum(edge.contribution for edge in leaving), node.gradient).all():
        terms = " + ".join(rounded(part.item(), 3) for part in parts).replace("+ −", "− ")
        return [f"{terms} + …" if waiting else f"{terms} = {found[0]}"]
    return [*found[:-1], f"{found[-1]} + …"] if waiting else found
