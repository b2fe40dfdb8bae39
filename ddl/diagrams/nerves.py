"""A schematic of nerve cells, for the comparison with artificial ones."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from ddl.checks import generator
from ddl.plots import BLUE, GREY, ORANGE


def nerve_cells(rng: np.random.Generator, ax: Axes | None = None) -> Axes:
    """Draw a schematic of two nerve cells, the first of which signals to the second.

    The branches are grown at random; the drawing is a schematic, not a reconstruction.

    Parameters
    ----------
    rng
        Source of the branches.
    ax
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    TypeError
        If ``rng`` is not a generator.
    """
    generator(rng)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 2.6))
    bodies = np.array([[0.0, 0.0], [6.0, 0.0]])
    for body, colour in zip(bodies, (BLUE, ORANGE), strict=True):
        for angle in np.linspace(0.55 * np.pi, 1.45 * np.pi, 5):
            _grow(ax, rng, body, angle, length=1.0, width=3.2, colour=colour)
        along = np.linspace(0, 3.6, 60)
        axon = body + np.stack([along, 0.12 * np.sin(1.7 * along)], axis=1)
        ax.plot(*axon.T, color=colour, linewidth=2.6)
        for angle in (-0.5, 0.0, 0.5):
            _grow(ax, rng, axon[-1], angle, length=0.45, width=1.6, colour=colour, knobs=True)
        ax.add_patch(Circle(body, 0.42, facecolor=colour, edgecolor="white", zorder=4))
    for text, tip, at in (
        ("dendrites:\ninputs", (-0.9, 1.1), (-2.6, 2.9)),
        ("cell body:\nadds up", (0.1, 0.35), (0.2, 2.9)),
        ("axon:\ncarries the output", (2.4, 0.1), (3.1, 2.9)),
        ("synapses:\nweights", (4.75, 0.35), (6.1, 2.9)),
    ):
        ax.annotate(
            text, tip, at, ha="center", va="center", fontsize=9.5, zorder=6,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 1},
        )  # fmt: skip
    ax.set(xlim=(-3.2, 10.5), ylim=(-2.7, 3.4), aspect="equal")  # as far as branches can reach
    ax.axis("off")
    return ax


def _grow(
    ax: Axes,
    rng: np.random.Generator,
    start: np.ndarray,
    angle: float,
    *,
    length: float,
    width: float,
    colour: str,
    knobs: bool = False,
) -> None:
    """Draw a branch and, while it is long enough, two thinner ones from its end."""
    end = start + length * np.array([np.cos(angle), np.sin(angle)])
    ax.plot(*np.stack([start, end], axis=1), color=colour, linewidth=width, solid_capstyle="round", zorder=2)
    if length < 0.4:
        if knobs:
            ax.add_patch(Circle(end, 0.09, facecolor=colour, edgecolor="none", zorder=3))
        return
    for side in (-1, 1):
        _grow(
            ax, rng, end, angle + side * rng.uniform(0.25, 0.6), length=length * rng.uniform(0.6, 0.72),
            width=width * 0.65, colour=colour, knobs=knobs,
        )  # fmt: skip
