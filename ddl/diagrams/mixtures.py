"""A module with experts drawn as boxes and arrows: what is computed side by side, and what decides."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, pairwise

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from torch import nn

from ddl.diagrams.cards import SMALL, width
from ddl.models import (
    MLP,
    LeafDensity,
    MeanVariance,
    MixtureDensity,
    MixtureOfExperts,
    SoftMixture,
)
from ddl.plots import BLUE, GREEN, GREY, INK, ORANGE

MOST_EXPERTS = 6
"""Of more experts of one sparse layer, the first and the last are drawn, with dots between them."""

GAP, BETWEEN, PAD, LINE, SUM = 0.42, 0.14, 0.09, 0.17, 0.13
"""Room for an arrow, between boxes in a column, inside a box, of a line; radius of a sum. In inches."""

COLOURS = {"expert": BLUE, "gate": ORANGE, "shared": GREEN, "layer": GREY}

Point = tuple[float, float]
Shares = dict[nn.Module, tuple[float, ...]]


@dataclass(frozen=True)
class Box:
    """One part of a network."""

    text: str
    kind: str = "layer"

    @property
    def size(self) -> Point:
        """Width and height in inches."""
        return width(self.text, SMALL) + 2 * PAD, LINE * len(self.text.split("\n")) + 2 * PAD


DOTS = Box("⋮", "dots")
"""In place of experts that are not drawn."""


@dataclass(frozen=True)
class Chain:
    """Parts through which data pass one after the other."""

    parts: tuple[Box | Chain | Fan, ...]

    @property
    def size(self) -> Point:
        """Width and height in inches."""
        widths, heights = zip(*(part.size for part in self.parts), strict=True)
        return sum(widths) + GAP * (len(widths) - 1), max(heights)


@dataclass(frozen=True)
class Fan:
    """Parts side by side, all with the same input."""

    parts: tuple[Box | Chain | Fan, ...]
    gate: Box | None = None
    """What weighs their sum; without it, the outputs stay apart."""
    shares: tuple[float, ...] = field(default=())
    """How much each part counts on average; empty if unknown."""

    @property
    def size(self) -> Point:
        """Width and height in inches."""
        sizes = [part.size for part in self.stack]
        height = sum(h for _, h in sizes) + BETWEEN * (len(sizes) - 1)
        right = GAP + 2 * SUM if self.gate else 0.0
        return max(w for w, _ in sizes) + right, height

    @property
    def stack(self) -> tuple[Box | Chain | Fan, ...]:
        """The parts and the gate, from top to bottom."""
        return self.parts + ((self.gate,) if self.gate else ())


def mixture(module: nn.Module, ax: Axes | None = None, *, x: torch.Tensor | None = None) -> Axes:
    """Draw a network with experts or several heads: its parts as boxes, with their sizes.

    Experts are blue, gates and routers orange, shared experts green. A gate's dashed arrow leads to the sum
    that it weighs. Experts that are mixtures themselves are drawn as such, at any depth.

    Parameters
    ----------
    module
        :class:`ddl.models.SoftMixture`, :class:`ddl.models.MixtureOfExperts`,
        :class:`ddl.models.LeafDensity`, :class:`ddl.models.MeanVariance`,
        :class:`ddl.models.MixtureDensity`, or a sequence of such and other layers.
    ax
        Where to draw; a new figure if not given.
    x
        Inputs of the module. With them, the arrow to each expert is as wide as it counts on average (in a
        sparse layer: as often as it is chosen), and its share is written on it.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on, in inches.

    Raises
    ------
    ValueError
        If a mixture is inside a module whose way of computing cannot be read from its parts.

    Examples
    --------
    >>> from ddl.models import hierarchical_mixture
    >>> ax = mixture(hierarchical_mixture((2, 8, 1), branches=(2, 2)))
    """
    tree = _read(module, {} if x is None else _shares(module, x))
    w, h = tree.size
    left, right, top, bottom = -GAP, w + GAP, h / 2 + 0.1, -h / 2 - 0.1
    if ax is None:
        figure = plt.figure(figsize=(right - left + 0.1, top - bottom))
        ax = figure.add_axes((0, 0, 1, 1))
    entries, exits = _draw(ax, tree, (0.0, 0.0))
    for entry in entries:
        _arrow(ax, (left, entry[1]) if len(entries) == 1 else (left, 0.0), entry)
    for leaving in exits:
        _arrow(ax, leaving, (right, leaving[1]))
    ax.set(xlim=(left - 0.05, right + 0.05), ylim=(bottom, top), aspect="equal")
    ax.axis("off")
    return ax


def _read(module: nn.Module, shares: Shares) -> Box | Chain | Fan:
    """Return what a module is made of."""
    if isinstance(module, SoftMixture):
        return _soft(module, shares, (f"expert {number}" for number in count(1)))
    if isinstance(module, LeafDensity):
        return _soft(
            module.mixture, shares, (rf"$\mathcal{{N}}$(expert {number}, σ²)" for number in count(1))
        )
    if isinstance(module, MixtureOfExperts):
        return _sparse(module, shares.get(module, ()))
    if isinstance(module, MeanVariance):
        return _after(module.backbone, mean=module.mean, variance=module.variance)
    if isinstance(module, MixtureDensity):
        heads = {"weights": module.gate, "means": module.means, "variances": module.variances}
        return _after(module.backbone, **heads)
    if _sizes(module):
        return Box(_sizes(module))
    if type(module).forward is nn.Sequential.forward and len(module):
        return Chain(tuple(_read(part, shares) for part in module))
    for part in module.modules():
        if part is not module and isinstance(part, SoftMixture | MixtureOfExperts):
            raise ValueError(
                f"cannot draw {type(module).__name__}: how it uses the {type(part).__name__} inside stands "
                "in its own forward; draw the mixture alone"
            )
    return Box(type(module).__name__)


def _soft(module: SoftMixture, shares: Shares, names: Iterator[str]) -> Fan:
    """Return the parts of a mixture, whose leaves are called by the next names."""
    parts = tuple(
        _soft(expert, shares, names)
        if isinstance(expert, SoftMixture)
        else Box(f"{next(names)}\n{_label(expert)}", "expert")
        for expert in module.experts
    )
    return Fan(parts, Box(f"gate\n{_label(module.gate)}", "gate"), shares.get(module, ()))


def _sparse(module: MixtureOfExperts, shares: tuple[float, ...]) -> Fan:
    """Return the parts of a sparse layer; of many experts, the first and the last."""
    experts, sizes = module.experts.count, " → ".join(map(str, module.experts.sizes))
    shown = list(range(experts)) if experts <= MOST_EXPERTS else [*range(MOST_EXPERTS - 2), None, experts - 1]
    parts = [DOTS if i is None else Box(f"expert {i + 1}\n{sizes}", "expert") for i in shown]
    shares = tuple(0.0 if i is None else shares[i] for i in shown) if shares else ()
    if module.shared is not None:
        parts.append(Box(f"shared\n{_sizes(module.shared)}", "shared"))
    router = Box(f"router {_sizes(module.router)}\n{module.top_k} of {experts} experts", "gate")
    return Fan(tuple(parts), router, shares)


def _after(backbone: nn.Sequential, **heads: nn.Module) -> Chain | Fan:
    fan = Fan(tuple(Box(f"{name}\n{_label(head)}") for name, head in heads.items()))
    return Chain((_read(backbone, {}), fan)) if len(backbone) else fan


def _label(module: nn.Module) -> str:
    return _sizes(module) or type(module).__name__.lower()


def _sizes(module: nn.Module) -> str:
    """Return the widths of a plain stack of layers, such as 2 → 8 → 1; nothing if it is something else."""
    if isinstance(module, MLP):
        return " → ".join(map(str, module.sizes))
    if isinstance(module, nn.Linear):
        return f"{module.in_features} → {module.out_features}"
    if isinstance(module, nn.Embedding):
        return f"{module.num_embeddings} → {module.embedding_dim}"
    linear = [part for part in module.children() if isinstance(part, nn.Linear)]
    plain = all(next(part.children(), None) is None for part in module.children())
    if isinstance(module, nn.Sequential) and linear and isinstance(module[0], nn.Linear) and plain:
        return " → ".join(
            str(size) for size in (linear[0].in_features, *(part.out_features for part in linear))
        )
    return ""


def _shares(module: nn.Module, x: torch.Tensor) -> Shares:
    """Return how much the experts of each mixture count on average, in evaluation mode, leaving no trace."""
    found: Shares = {}

    def look(part: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if isinstance(part, MixtureOfExperts):
            found[part] = tuple(part.route(inputs[0]).load.tolist())
        elif isinstance(part, LeafDensity):  # which asks the leaves, and does not call the mixtures
            for inside in part.modules():
                if isinstance(inside, SoftMixture):
                    look(inside, inputs)
        else:
            found[part] = tuple(part.gates(inputs[0]).flatten(0, -2).mean(0).tolist())

    modes = {part: part.training for part in module.modules()}
    with contextlib.ExitStack() as hooks, torch.no_grad():
        for part in module.modules():
            if isinstance(part, SoftMixture | MixtureOfExperts | LeafDensity):
                hooks.callback(part.register_forward_pre_hook(look).remove)
        try:
            module.eval()
            module(x)
        finally:
            for part, training in modes.items():
                part.training = training
    return found


def _draw(ax: Axes, node: Box | Chain | Fan, at: Point) -> tuple[list[Point], list[Point]]:
    """Draw a part whose left side is in the middle of this height; return where arrows enter and leave."""
    draw: Callable = {Box: _draw_box, Chain: _draw_chain, Fan: _draw_fan}[type(node)]
    return draw(ax, node, at)


def _draw_box(ax: Axes, box: Box, at: Point) -> tuple[list[Point], list[Point]]:
    (x, y), (w, h) = at, box.size
    if box.kind != "dots":
        colour = COLOURS[box.kind]
        style = "round,pad=0,rounding_size=0.06"
        ax.add_patch(
            FancyBboxPatch(
                (x, y - h / 2), w, h, boxstyle=style, facecolor="white", edgecolor="none", zorder=2
            )
        )
        ax.add_patch(
            FancyBboxPatch(
                (x, y - h / 2), w, h, boxstyle=style, facecolor=(colour, 0.14), edgecolor=colour, zorder=3
            )
        )
    ax.text(x + w / 2, y, box.text, ha="center", va="center", fontsize=SMALL, color=INK, zorder=4)
    return [(x, y)], [(x + w, y)]


def _draw_chain(ax: Axes, node: Chain, at: Point) -> tuple[list[Point], list[Point]]:
    x, y = at
    drawn = []
    for part in node.parts:
        drawn.append(_draw(ax, part, (x, y)))
        x += part.size[0] + GAP
    for (_, exits), (entries, _) in pairwise(drawn):
        for start in exits:
            for end in entries:
                _arrow(ax, start, end)
    return drawn[0][0], drawn[-1][1]


def _draw_fan(ax: Axes, node: Fan, at: Point) -> tuple[list[Point], list[Point]]:
    (x, y), (w, h) = at, node.size
    widest = max(part.size[0] for part in node.stack)
    flat = all(isinstance(part, Box) for part in node.parts)
    top = y + h / 2
    entries, exits = [], []
    for part in node.stack:
        part_width, part_height = part.size
        # The gate of a tree stands on the left, where no arrow to it crosses a branch.
        indent = (widest - part_width) / 2 if flat or part is not node.gate else 0
        ins, outs = _draw(ax, part, (x + indent, top - part_height / 2))
        top -= part_height + BETWEEN
        entries.append([] if part is DOTS else ins)
        exits.append([] if part is DOTS else outs)
    if node.gate is None:
        return list(chain(*entries)), list(chain(*exits))
    centre = (x + w - SUM, y)
    ax.add_patch(Circle(centre, SUM, facecolor="white", edgecolor=INK, zorder=3))
    ax.text(*centre, "Σ", ha="center", va="center", fontsize=SMALL, color=INK, zorder=4)
    for place, outs in enumerate(exits[:-1]):
        share = node.shares[place] if place < len(node.shares) else None
        for out in outs:
            _arrow(ax, out, centre, share, shrink=SUM)
    [(right, low)] = exits[-1]
    ax.plot([right, centre[0]], [low, low], color=ORANGE, linewidth=1.0, linestyle="--", zorder=1)
    _arrow(ax, (centre[0], low), centre, dashed=True, shrink=SUM)
    return list(chain(*entries)), [(centre[0] + SUM, y)]


def _arrow(
    ax: Axes,
    start: Point,
    end: Point,
    share: float | None = None,
    *,
    dashed: bool = False,
    shrink: float = 0.0,
) -> None:
    """Draw an arrow; as wide as a share, which is written at its beginning."""
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    along = 1 - shrink / length
    end = (start[0] + along * (end[0] - start[0]), start[1] + along * (end[1] - start[1]))
    colour = ORANGE if dashed else GREY
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=7, shrinkA=0, shrinkB=0, color=colour,
            linewidth=1.0 if share is None else 0.4 + 3.6 * share, zorder=1,
            linestyle="--" if dashed else "-",
        )
    )  # fmt: skip
    if share is not None:
        side = -1 if end[1] > start[1] else 1  # not where the arrow goes
        ax.text(start[0] + 0.04, start[1] + 0.08 * side, f"{share:.0%}", va="center", fontsize=6.5, zorder=5)
