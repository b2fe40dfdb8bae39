"""Draw a computation graph: a card for each tensor, with its value and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import comb
from typing import Literal, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from ddl.diagrams import cards
from ddl.diagrams.cards import ARROW, HEAD, LINE, NAME, PAD, SMALL, TEXT, Card, Style
from ddl.diagrams.graphs import ComputationGraph, Edge, Progress
from ddl.diagrams.labels import symbol
from ddl.diagrams.layout import Layout, Point, layered
from ddl.plots import BLUE, GREY, INK, ORANGE

PAGE_WIDTH = 7.5
"""Width of a page in inches: a graph becomes no wider, as long as its cards let it."""

MARGIN = 0.08
KEY = 0.2
"""Space around the drawing, and height of a line of its legend, in inches."""

RIGHT, DOWN = ("→", "←"), ("↓", "↑")
"""Signs of a value and of a gradient: the ways they go in the forward and the backward pass."""

BANDS = (BLUE, ORANGE)
"""Colours of a value and of a gradient."""

LEAF = "#eceff2"
"""Colour of the cards of leaves."""


def computation_graph(
    graph: ComputationGraph,
    ax: Axes | None = None,
    *,
    values: bool = True,
    gradients: bool = True,
    shapes: bool | None = None,
    edges: Literal["local", "product"] | None = None,
    parameters: bool = True,
    direction: Literal["right", "down"] = "right",
    step: int | None = None,
) -> Axes:
    """Draw a computation graph with its values and gradients.

    A card stands for a tensor: grey for a leaf, white for what an operation gave. Its value follows an
    arrow in the direction of the graph, on blue, its gradient an arrow against it, on orange. Larger
    tensors show their Euclidean norm.

    Parameters
    ----------
    graph
        The graph, as :func:`ddl.diagrams.trace` returns it.
    ax
        Where to draw; a new figure of the right size if not given.
    values, gradients
        Whether cards show them.
    shapes
        Whether cards show the shapes of tensors that are no single numbers; by default, of those whose
        numbers are not all written out.
    edges
        What stands on the edges: the ``"local"`` derivative ∂target/∂source, where both are single numbers;
        or the ``"product"`` of the target's gradient and the local derivative, which is what the backward
        pass hands to the source, and gradients as sums of these.
    parameters
        Whether parameters are drawn; without them, larger modules are readable.
    direction
        Whether the output is at the right end or at the bottom; deep graphs fit on a page downwards.
    step
        Draw what is known after so many steps of the forward and the backward pass, as
        :meth:`ComputationGraph.after` counts them; by default all of it. The layout does not depend on it.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    TypeError
        If ``graph`` is no graph.
    ValueError
        If ``step`` is outside the graph's range, ``edges`` or ``direction`` is none of its values, local
        derivatives are asked for where no edge joins two single numbers, or products downwards.

    Examples
    --------
    >>> import torch
    >>> from ddl.diagrams import trace
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> ax = computation_graph(trace(lambda x: x * x + x, x), edges="local")
    """
    if not isinstance(graph, ComputationGraph):
        raise TypeError(
            f"graph is of type {type(graph).__name__}; give what ddl.diagrams.trace(function) returns"
        )
    if edges not in (None, "local", "product"):
        raise ValueError(f"edges is {edges!r}; give None, 'local' or 'product'")
    if direction not in ("right", "down"):
        raise ValueError(f"direction is {direction!r}; give 'right' or 'down'")
    if direction == "down" and edges == "product":
        raise ValueError("products are too wide to stand side by side; draw them with direction='right'")
    known = graph.after(graph.steps if step is None else step)
    # Cards have room for all that will ever stand on them, so that nothing moves from step to step.
    states = [known] if step is None else [graph.after(k) for k in range(graph.steps + 1)]
    if not parameters:
        graph = graph.without("parameter")
    style = Style(values, gradients, shapes, edges)
    notes = [cards.note(graph, edge, style) for edge in graph.edges]
    if edges == "local" and not any(notes):
        raise ValueError("no edge of this graph joins two single numbers; draw it without edges='local'")
    sizes = {}
    for node in graph.nodes:
        shown = [cards.card(graph, node, state, style).size for state in states]
        sizes[node.index] = tuple(map(max, zip(*shown, strict=True)))
    down = direction == "down"
    layout = _downwards(graph, sizes, notes) if down else _on_a_page(graph, sizes, notes)
    canvas = _Canvas(ax, layout, sizes, _keys(graph, style), down=down)
    colour = BANDS[known.backward]  # of what took part in the step
    for edge, route, text in zip(graph.edges, layout.routes, notes, strict=True):
        active = step is not None and edge.target == known.active and _moves(edge, known)
        canvas.edge(route, colour if active else None, back=known.backward)
        if text and edge.target in (known.values if edges == "local" else known.handed):
            canvas.note(route, text)
    for node in graph.nodes:
        active = step is not None and node.index == known.active
        canvas.card(cards.card(graph, node, known, style), node.index, colour if active else None)
    return canvas.ax


def _moves(edge: Edge, known: Progress) -> bool:
    """Return whether something passed an edge in the last step."""
    return not known.backward or (edge.target in known.handed and edge.contribution is not None)


def _on_a_page(graph: ComputationGraph, sizes: dict[int, Point], notes: Sequence[str]) -> Layout:
    """Lay the graph out, with narrower gaps if it would not fit on a page else."""
    ends = [(edge.source, edge.target) for edge in graph.edges]
    for gap in (0.4, 0.35, 0.3, 0.26, 0.22):
        gaps = [max(gap, cards.width(text, SMALL) + 0.24 if text else 0.0) for text in notes]
        layout = layered(sizes, ends, gaps)
        if layout.width <= PAGE_WIDTH - 2 * MARGIN:
            break
    return layout


def _downwards(graph: ComputationGraph, sizes: dict[int, Point], notes: Sequence[str]) -> Layout:
    """Lay the graph out from top to bottom."""
    ends = [(edge.source, edge.target) for edge in graph.edges]
    gaps = [0.34 + (cards.height(text) if text else 0.0) for text in notes]
    return layered({v: (height, width) for v, (width, height) in sizes.items()}, ends, gaps).turned()


def _keys(graph: ComputationGraph, style: Style) -> list[_Key]:
    """Return what explains the drawing: sign, colour and text."""
    output = symbol(graph.output.name) or "the output"
    if graph.output.value.numel() > 1:
        output = f"the sum of {output}"
    keys = []
    if style.values:
        keys.append(_Key(0, "value (forward pass)"))
    if style.gradients:
        keys.append(_Key(1, f"gradient of {output} (backward pass)"))
    if style.edges == "local":
        keys.append(_Key(None, "on an arrow: local derivative"))
    if style.edges == "product":
        keys.append(_Key(None, "on an arrow: gradient · local derivative, what is handed back"))
    if any(cards.lines(node.value)[0].startswith("‖") for node in graph.nodes) and (
        style.values or style.gradients
    ):
        keys.append(_Key(None, "‖·‖ norm of a larger tensor"))
    return keys


class _Key(NamedTuple):
    """A line of the legend."""

    band: int | None
    """Place among :data:`BANDS`, if it explains one of them."""
    text: str

    @property
    def width(self) -> float:
        return (0.0 if self.band is None else 0.24) + cards.width(self.text, SMALL)


class _Canvas:
    """Axes whose unit is an inch, or less where the drawing has to shrink, and what is put on them.

    Patches are added as plain artists: that leaves the limits alone, and takes half the time.
    """

    def __init__(
        self, ax: Axes | None, layout: Layout, sizes: dict[int, Point], keys: list[_Key], *, down: bool
    ) -> None:
        self.down, self.signs = down, DOWN if down else RIGHT
        rows = _wrapped(keys, max(layout.width, 4.2))
        wide = max([layout.width, *(x + key.width for row in rows for x, key in row)]) + 2 * MARGIN
        below = MARGIN + KEY * len(rows)
        high = layout.height + below + 2 * MARGIN
        self.ax = plt.figure(figsize=(wide, high)).add_axes((0, 0, 1, 1)) if ax is None else ax
        box = self.ax.get_window_extent()
        room = box.width / self.ax.figure.dpi, box.height / self.ax.figure.dpi
        self.scale = min(1.0, room[0] / wide, room[1] / high)
        spare = [(length / self.scale - used) / 2 for length, used in zip(room, (wide, high), strict=True)]
        left, bottom = -(wide - layout.width) / 2 - spare[0], -below - MARGIN - spare[1]
        self.ax.set(xlim=(left, left + room[0] / self.scale), ylim=(bottom, bottom + room[1] / self.scale))
        self.ax.axis("off")
        self.centres, self.sizes = layout.centres, sizes
        self.taken = [(*layout.centres[v], *sizes[v]) for v in sizes]
        """Centre, width and height of what notes must not cover."""
        for i, row in enumerate(rows):
            for x, key in row:
                self._key(x - (wide - layout.width) / 2 + MARGIN, -MARGIN - KEY * (i + 0.5), key)

    def edge(self, route: list[Point], colour: str | None, *, back: bool) -> None:
        """Draw an edge along its route: straight inside columns, curved between them."""
        points, codes = [route[0]], [Path.MOVETO]
        for i, (start, end) in enumerate(pairwise(route)):
            points += [end] if i % 2 == 0 else [*self._bends(start, end), end]
            codes += [Path.LINETO] if i % 2 == 0 else [Path.CURVE4] * 3
        self.ax.add_artist(
            FancyArrowPatch(
                path=Path(points, codes), arrowstyle="<|-" if colour and back else "-|>",
                mutation_scale=9 * self.scale, linewidth=(2.2 if colour else 1.1) * self.scale,
                color=colour or GREY, zorder=3 if colour else 1,
            )
        )  # fmt: skip

    def _bends(self, start: Point, end: Point) -> tuple[Point, Point]:
        """Return the inner control points of the curve between two cards, half way in its direction."""
        (x0, y0), (x1, y1) = start, end
        if self.down:
            return (x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)
        return ((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)

    def note(self, route: list[Point], text: str) -> None:
        """Write on an edge, where it hides least."""
        size = cards.width(text, SMALL) + 0.06, cards.height(text)
        places = [
            _along((route[i], *self._bends(route[i], route[i + 1]), route[i + 1]), share)
            for i in range(len(route) - 3, 0, -2)
            for share in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)
        ]
        x, y = min(places, key=lambda place: sum(_overlap((*place, *size), other) for other in self.taken))
        self.taken.append((x, y, *size))
        self._text(
            x, y, text, SMALL, zorder=4, style="italic",
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip

    def card(self, card: Card, index: int, border: str | None) -> None:
        """Draw the card of a node."""
        (x, y), (width, height) = self.centres[index], self.sizes[index]
        left, top = x - width / 2, y + height / 2
        self.ax.add_artist(
            FancyBboxPatch(
                (left, y - height / 2), width, height, zorder=5, mutation_aspect=1,
                boxstyle="round,pad=0,rounding_size=0.06" if card.operation else "square,pad=0",
                facecolor="white" if card.operation else LEAF, edgecolor=border or INK,
                linewidth=(2.4 if border else 1.0) * self.scale,
            )
        )  # fmt: skip
        self._head(card, x, top - HEAD / 2)
        top -= HEAD
        if card.shape:
            self._text(x, top - LINE / 2 + 0.02, card.shape, SMALL, zorder=6, color=GREY)
            top -= LINE
        for band, sign, colour in zip((card.value, card.gradient), self.signs, BANDS, strict=True):
            if band is not None:
                self._band(band, sign, colour, left, top, width)
                top -= cards.band_height(band)

    def _head(self, card: Card, x: float, y: float) -> None:
        """Write name and operation side by side, the operation as white on dark."""
        name = cards.width(card.name, NAME)
        between = PAD if card.name and card.operation else 0.0
        left = x - (name + between + (card.pill if card.operation else 0.0)) / 2
        if card.name:
            self._text(left + name / 2, y, card.name, NAME, zorder=6)
        if card.operation:
            left += name + between
            self.ax.add_artist(
                FancyBboxPatch(
                    (left, y - 0.08), card.pill, 0.16, boxstyle="round,pad=0,rounding_size=0.06", zorder=6,
                    facecolor=INK, edgecolor="none",
                )
            )  # fmt: skip
            self._text(left + card.pill / 2, y, card.operation, TEXT, zorder=7, color="white")

    def _band(self, band: list[str], sign: str, colour: str, left: float, top: float, width: float) -> None:
        """Write a value or a gradient on its colour."""
        height = cards.band_height(band)
        self.ax.add_artist(
            Rectangle(
                (left + 0.03, top - height + 0.01), width - 0.06, height - 0.02, color=_pale(colour), zorder=6
            )
        )
        rows = [top - 0.02 - LINE * (i + 0.5) for i in range(len(band))]
        self._text(
            left + PAD + ARROW / 2 - 0.02,
            sum(rows) / len(rows),
            sign,
            TEXT,
            zorder=7,
            color=colour,
            weight="bold",
        )
        for y, line in zip(rows, band, strict=True):
            self._text(left + (width + ARROW) / 2, y, line, TEXT, zorder=7)

    def _key(self, x: float, y: float, key: _Key) -> None:
        if key.band is not None:
            colour = BANDS[key.band]
            self.ax.add_artist(Rectangle((x, y - 0.07), 0.18, 0.14, color=_pale(colour), zorder=1))
            self._text(x + 0.09, y, self.signs[key.band], SMALL, color=colour, weight="bold")
            x += 0.24
        self._text(x, y, key.text, SMALL, ha="left", color=GREY)

    def _text(self, x: float, y: float, text: str, size: float, **style: object) -> None:
        style = {"ha": "center", "va": "center_baseline", "color": INK} | style
        self.ax.text(x, y, text, fontsize=size * self.scale, **style)


def _wrapped(keys: list[_Key], width: float) -> list[list[tuple[float, _Key]]]:
    """Return the rows of the legend, each key with its place."""
    rows: list[list[tuple[float, _Key]]] = []
    for key in keys:
        x = rows[-1][-1][0] + rows[-1][-1][1].width + 0.25 if rows else 0.0
        if not rows or x + key.width > width:
            rows.append([(0.0, key)])
        else:
            rows[-1].append((x, key))
    return rows


def _along(curve: tuple[Point, ...], share: float) -> Point:
    """Return a point of a cubic curve with these control points."""
    weights = [comb(3, k) * share**k * (1 - share) ** (3 - k) for k in range(4)]
    x, y = (sum(w * point[i] for w, point in zip(weights, curve, strict=True)) for i in (0, 1))
    return x, y


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the area that two boxes share; each is centre, width and height."""
    sides = [max(0.0, (one[i + 2] + other[i + 2]) / 2 - abs(one[i] - other[i])) for i in (0, 1)]
    return sides[0] * sides[1]


def _pale(colour: str) -> tuple[float, ...]:
    return tuple(1 - 0.16 * (1 - part) for part in to_rgb(colour))
