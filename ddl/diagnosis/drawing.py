"""The figures of a report."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddl.diagnosis.measuring import Measured
from ddl.plots import BLUE, GREY, INK, ORANGE, PINK

USUAL_UPDATE = 1e-3
"""The relative update of a step that is usual when training goes well (Karpathy, 2022)."""


def draw(measured: Measured) -> Figure:
    """Draw gradients, relative updates and activations, one row for each layer, the first on top."""
    rows = max(len(measured.parameters), len(measured.layers), 4)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 1.1 + 0.26 * rows), layout="constrained")
    names = [row.name for row in measured.parameters]
    _lollipops(left, names, [row.gradient for row in measured.parameters], BLUE)
    left.set(title="Gradients", xlabel="norm of the gradient")
    _lollipops(middle, names, [row.ratio for row in measured.parameters], ORANGE)
    middle.set(title="Updates", xlabel="‖Δθ‖ / ‖θ‖ of one step", yticklabels=[])
    if middle.lines:
        middle.axvline(USUAL_UPDATE, color=GREY, linestyle="--", linewidth=1.2, label="usual: 0.001")
        middle.legend()
    _activations(right, measured)
    return figure


def _lollipops(ax: Axes, names: list[str], values: list[float], colour: str) -> None:
    """Draw one number for each row on a logarithmic axis; zero as a cross at the edge."""
    y, x = np.arange(len(names)), np.array(values, dtype=float)
    ax.set_yticks(y, names)
    ax.set_ylim(max(len(names), 1) - 0.5, -0.5)
    drawn, zero = np.isfinite(x) & (x > 0), x == 0
    if not drawn.any() and not zero.any():
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", color=GREY)
        ax.set_xticks([])
        return
    ax.set_xscale("log")
    if drawn.any():
        ax.plot(x[drawn], y[drawn], "o", color=colour)
        low, high = x[drawn].min(), x[drawn].max()
        ax.set_xlim(min(low / 3, high / 100), high * 3)
    if zero.any():
        edge = ax.get_xlim()[0]
        ax.plot(np.full(zero.sum(), edge), y[zero], "x", color=INK, clip_on=False, label="exactly 0")
        ax.legend()
    ax.grid(axis="x")


def _activations(ax: Axes, measured: Measured) -> None:
    """Draw mean ± standard deviation of what each layer puts out, with what is dead or saturated."""
    ax.set(title="Activations", xlabel="mean ± standard deviation")
    layers = measured.layers
    if not layers:
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", color=GREY)
        ax.set(xticks=[], yticks=[])
        return
    y = np.arange(len(layers))
    ax.errorbar(
        [row.mean for row in layers], y, xerr=[row.std for row in layers], fmt="o", color=PINK, capsize=3
    )
    ax.axvline(0, color=GREY, linestyle="--", linewidth=1.2)
    ax.set_yticks(y, [row.name for row in layers])
    ax.set_ylim(len(layers) - 0.5, -0.5)
    for at, row in zip(y, layers, strict=True):
        for share, word in ((row.dead, "dead"), (row.saturated, "saturated")):
            if share > 0:
                ax.annotate(
                    f"{share:.0%} {word}", (1, at), xycoords=("axes fraction", "data"), ha="right",
                    va="bottom", fontsize=9, color=INK,
                )  # fmt: skip
