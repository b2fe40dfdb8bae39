"""A feed-forward module drawn as the network that it is, with its own weights."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import nn

from ddl.diagrams.labels import rounded
from ddl.plots import BLUE, GREY, INK, ORANGE

RADIUS = 0.32
"""Radius of a unit, in units of the distance between two units of a layer."""

MOST_UNITS = 12
"""A wider layer is drawn with its first and last units and dots between them."""


class Layer(NamedTuple):
    """One affine map of a network and the activation that follows it."""

    weight: np.ndarray
    """Shape (outputs, inputs)."""
    bias: np.ndarray
    """Shape (outputs,); zeros if the layer has none."""
    activation: nn.Module | None


def layers_of(module: nn.Module) -> list[Layer]:
    """Read the layers of a feed-forward module in the order in which data pass through them.

    Parameters
    ----------
    module
        An :class:`torch.nn.Linear`, or a sequence of linear layers and elementwise activations.

    Returns
    -------
    list of Layer
        The layers with copies of their present weights.

    Raises
    ------
    ValueError
        If the module holds no linear layer, begins with an activation, its layers do not fit together, or
        it holds what is not elementwise, such as a softmax.
    """
    found: list[Layer] = []
    for _, part in module.named_modules(remove_duplicate=False):  # one activation may serve many layers
        if isinstance(part, nn.Sequential) or next(part.children(), None) is not None:
            continue
        if isinstance(part, nn.Linear):
            weight = part.weight.detach().cpu().double().numpy().copy()
            bias = np.zeros(len(weight))
            if part.bias is not None:
                bias[:] = part.bias.detach().cpu().double().numpy()
            if found and weight.shape[1] != len(found[-1].weight):
                raise ValueError(
                    f"a layer with {weight.shape[1]} inputs follows one with {len(found[-1].weight)} "
                    "outputs; only plain stacks of layers can be drawn"
                )
            found.append(Layer(weight, bias, None))
        elif not found or found[-1].activation is not None:
            raise ValueError(f"cannot draw {part!r} here: it does not follow a linear layer")
        elif not _is_elementwise(part):
            raise ValueError(
                f"cannot draw {part!r}: it is no elementwise activation; draw the module without it"
            )
        else:
            found[-1] = found[-1]._replace(activation=part)
    if not found:
        raise ValueError(f"{type(module).__name__} has no linear layer to draw")
    return found


def network(
    module: nn.Module,
    ax: Axes | None = None,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    numbers: bool = False,
) -> Axes:
    """Draw a feed-forward module: units in columns, weights as lines, activations as the curves they are.

    A line is blue for a negative and orange for a positive weight, grey for zero, and its width follows the
    weight's size relative to the largest of its layer.

    Parameters
    ----------
    module
        What to draw; see :func:`layers_of`.
    ax
        Where to draw; a new figure if not given.
    inputs, outputs
        Names to write beside the input and output units.
    numbers
        Whether to write each weight on its line and each bias below its unit; for small networks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    ValueError
        If :func:`layers_of` refuses the module, or a list of names does not fit its layer.
    """
    layers = layers_of(module)
    sizes = [layers[0].weight.shape[1], *(len(layer.weight) for layer in layers)]
    for names, size, where in ((inputs, sizes[0], "inputs"), (outputs, sizes[-1], "outputs")):
        if names and len(names) != size:
            raise ValueError(f"{len(names)} names {list(names)} for {size} {where}; give one for each")
    across, down = (3.2, 1.5) if numbers else (2.2, 1.0)
    columns = [_column(size, across * i, down) for i, size in enumerate(sizes)]
    heights = [y for column in columns for _, y in column.values()]
    left, right = -0.5 - _room(inputs), columns[-1][0][0] + 0.5 + _room(outputs)
    bottom, top = min(heights) - 0.75, max(heights) + 0.5
    if ax is None:
        _, ax = plt.subplots(figsize=(0.62 * (right - left), 0.62 * (top - bottom)), layout="tight")
    for layer, sources, targets in zip(layers, columns, columns[1:], strict=False):
        _draw_weights(ax, layer, sources, targets, numbers)
    _draw_units(ax, columns[0], None)
    for layer, column in zip(layers, columns[1:], strict=True):
        _draw_units(ax, column, layer.activation)
        if numbers:
            for unit, (x, y) in column.items():
                ax.text(
                    x,
                    y - RADIUS - 0.05,
                    rounded(layer.bias[unit]),
                    ha="center",
                    va="top",
                    fontsize=9,
                    color=GREY,
                )
    for names, column, side in ((inputs, columns[0], -1), (outputs, columns[-1], 1)):
        for unit, (x, y) in column.items():
            if names:
                align = "right" if side < 0 else "left"
                ax.text(x + side * (RADIUS + 0.12), y, names[unit], ha=align, va="center", fontsize=11)
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.axis("off")
    return ax


def _curve(activation: nn.Module, z: torch.Tensor) -> np.ndarray:
    """Return an activation's values and leave no trace: no hook runs, no state changes."""
    alone = copy.deepcopy(activation).eval().cpu()
    with torch.no_grad():
        return alone.forward(z).double().numpy()


def _is_elementwise(part: nn.Module) -> bool:
    """Return whether each output depends on its own input alone, as that of tanh and not of softmax."""
    z = torch.linspace(-3, 3, 7)
    try:
        return np.allclose(_curve(part, z[:, None]), _curve(part, z[None, :]).T, equal_nan=True)
    except (RuntimeError, ValueError, IndexError):  # what layers raise that want data of a certain shape
        return False


def _room(names: Sequence[str]) -> float:
    """Return the width that names take beside their units, at the scale of a figure of our own."""
    plain = [re.sub(r"\\\w+|[${}_^]", "", name) if "$" in name else name for name in names]
    return max(0.75, 0.4 + 0.15 * max(map(len, plain))) if plain else 0.0


def _column(size: int, x: float, down: float) -> dict[int, tuple[float, float]]:
    """Return the places of the drawn units of a layer by their index; the first unit is on top."""
    if size <= MOST_UNITS:
        shown = {unit: unit for unit in range(size)}
    else:  # the middle place stays free for the dots
        half = MOST_UNITS // 2
        shown = {unit: unit for unit in range(half)}
        shown |= {size - half + i: half + 1 + i for i in range(half)}
    centre = max(shown.values()) / 2
    return {unit: (x, down * (centre - place)) for unit, place in shown.items()}


def _draw_weights(ax: Axes, layer: Layer, sources: dict, targets: dict, numbers: bool) -> None:
    largest = np.abs(layer.weight).max() or 1.0
    for target, (x1, y1) in targets.items():
        for source, (x0, y0) in sources.items():
            weight = layer.weight[target, source]
            strength = abs(weight) / largest
            ax.plot(
                [x0, x1], [y0, y1], color=ORANGE if weight > 0 else BLUE if weight < 0 else GREY,
                linewidth=0.3 + 2.7 * strength, alpha=0.25 + 0.75 * strength, zorder=1,
                solid_capstyle="round",
            )  # fmt: skip
            if numbers:  # nearer to the source, where lines that will cross are still apart
                along = 0.3
                ax.text(
                    x0 + along * (x1 - x0), y0 + along * (y1 - y0), rounded(weight), fontsize=9,
                    ha="center", va="center", zorder=3,
                    bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
                )  # fmt: skip


def _draw_units(ax: Axes, column: dict, activation: nn.Module | None) -> None:
    for x, y in column.values():
        ax.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor=INK, linewidth=1.4, zorder=4))
        if activation is not None and not isinstance(activation, nn.Identity):
            z = torch.linspace(-3, 3, 61)
            curve = _curve(activation, z)
            curve = (curve - curve.min()) / (np.ptp(curve) or 1.0) - 0.5
            ax.plot(
                x + z.numpy() / 3 * 0.6 * RADIUS, y + curve * 0.9 * RADIUS, color=INK, linewidth=1.6, zorder=5
            )
    indices = sorted(column)
    if len(indices) < indices[-1] + 1:
        x = column[0][0]
        ax.text(x, 0, "⋮", ha="center", va="center", fontsize=14, zorder=5)
