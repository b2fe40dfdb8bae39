"""House style and the plots that chapters share: computing apart from drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import NullLocator

from ddl.calibration import Reliability

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, INK, GREY = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#1f2933", "#6b7580",
)  # fmt: skip
"""Colours that readers with any common colour blindness can tell apart (Okabe and Ito, 2008)."""

CLASS_COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY)
LINE_COLOURS = (BLUE, ORANGE, GREEN, PINK, INK)
"""The colours that are dark enough for thin lines on white; sky and yellow are for areas and markers."""

CLASS_MARKERS = ("o", "s", "^", "D", "v", "P")

DIVERGING = LinearSegmentedColormap.from_list("ddl", [BLUE, "#ffffff", ORANGE])
"""From the colour of class 0 over white to the colour of class 1."""


def use_style() -> None:
    """Set the book's plot style; :func:`ddl.setup` calls it.

    In a notebook, figures are also drawn at twice the resolution, so that they are sharp on dense screens.
    """
    mpl.rcParams.update(
        {
            "figure.figsize": (7.2, 3.4),
            "figure.dpi": 80,
            "figure.facecolor": "white",
            "axes.prop_cycle": mpl.cycler(color=LINE_COLOURS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": GREY,
            "axes.labelcolor": INK,
            "axes.titlesize": 12,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titley": 1.0,  # else each drawing looks anew for what a title might overlap
            "axes.labelsize": 11,
            "axes.axisbelow": True,
            "xtick.color": GREY,
            "ytick.color": GREY,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "text.color": INK,
            "lines.linewidth": 2,
            "legend.frameon": False,
            "legend.fontsize": 10,
            "grid.color": "#e4e7eb",
            "image.cmap": "viridis",
        }
    )
    try:
        from IPython import get_ipython
    except ImportError:  # outside notebooks IPython may be missing
        return
    if get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


class Grid(NamedTuple):
    """The values of a function on a regular grid over a rectangle of the plane."""

    x1: np.ndarray
    """Shape (r,): the first coordinates."""
    x2: np.ndarray
    """Shape (r,): the second coordinates."""
    values: np.ndarray
    """Shape (r, r): the value at ``(x1[j], x2[i])`` stands in row i, column j."""


def limits_around(x: torch.Tensor, margin: float = 0.15) -> tuple[float, float, float, float]:
    """Return ``(x1_min, x1_max, x2_min, x2_max)`` around points of shape (n, 2).

    Parameters
    ----------
    x
        Points, shape (n, 2).
    margin
        Room on each side, as a share of the points' range; where all are equal, as a number.

    Returns
    -------
    tuple of float
        Limits, as :func:`on_grid` takes them.
    """
    low, high = x.amin(0), x.amax(0)
    span = high - low
    room = margin * torch.where(span > 0, span, 1.0)
    (a, c), (b, d) = (low - room).tolist(), (high + room).tolist()
    return a, b, c, d


def on_grid(
    function: Callable[[torch.Tensor], torch.Tensor],
    limits: tuple[float, float, float, float],
    resolution: int = 120,
) -> Grid:
    """Evaluate a function of the plane on a regular grid.

    Parameters
    ----------
    function
        Takes points of shape (m, 2) and returns one number for each, shape (m,) or (m, 1). A module is one.
    limits
        ``(x1_min, x1_max, x2_min, x2_max)``.
    resolution
        Number of grid points r along each axis.

    Returns
    -------
    Grid
        The r × r values.

    Raises
    ------
    ValueError
        If the function does not return one number per point.
    """
    a, b, c, d = limits
    x1, x2 = np.linspace(a, b, resolution), np.linspace(c, d, resolution)
    points = torch.from_numpy(np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)).float()
    with torch.no_grad():
        values = torch.as_tensor(function(points))
    if values.numel() != len(points):
        raise ValueError(
            f"the function returned shape {tuple(values.shape)} for {len(points)} points; "
            "return one number per point"
        )
    return Grid(x1, x2, values.reshape(resolution, resolution).cpu().numpy())


def regions(grid: Grid, ax: Axes | None = None, *, threshold: float = 0.0, shade: bool = True) -> Axes:
    """Draw a binary classifier over the plane: the two regions and the boundary between them.

    Parameters
    ----------
    grid
        The classifier's score on a grid; above ``threshold`` it says class 1.
    ax
        Where to draw; a new figure if not given.
    threshold
        Score at the boundary: 0 for logits, 0.5 for probabilities.
    shade
        Whether to colour the regions (by the sign of the score alone) or draw only the boundary.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = _axes(ax)
    values = grid.values
    if shade:
        ax.contourf(
            grid.x1, grid.x2, values > threshold, levels=[-0.5, 0.5, 1.5], colors=[BLUE, ORANGE], alpha=0.16
        )
    if values.min() < threshold < values.max():
        ax.contour(grid.x1, grid.x2, values, levels=[threshold], colors=[INK], linewidths=1.8)
    ax.set(xlim=(grid.x1[0], grid.x1[-1]), ylim=(grid.x2[0], grid.x2[-1]))
    return ax


def points(
    x: torch.Tensor, y: torch.Tensor, ax: Axes | None = None, *, names: Sequence[str] = (), size: float = 22
) -> Axes:
    """Draw points of the plane, each class with a colour and a marker of its own.

    Parameters
    ----------
    x
        Points, shape (n, 2).
    y
        Classes 0, 1, …, shape (n,).
    ax
        Where to draw; a new figure if not given.
    names
        Names of all classes for the legend; none, no legend entries.
    size
        Area of a marker in square points.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    ValueError
        If the shapes do not fit, a class is not a number 0, 1, …, or a class has no name among ``names``.
    """
    if x.ndim != 2 or x.shape[1] != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}; give (n, 2) and (n,)")
    labels = torch.unique(y).tolist()
    if any(label < 0 or label != int(label) for label in labels):
        raise ValueError(f"the classes in y are {labels}; number them 0, 1, …, as (y > 0).long() does")
    labels = [int(label) for label in labels]
    if names and labels and labels[-1] >= len(names):
        raise ValueError(f"class {labels[-1]} has no name among {list(names)}; give one for each class")
    ax = _axes(ax)
    for label in labels:
        chosen = x[y == label].detach().cpu()
        ax.scatter(
            chosen[:, 0], chosen[:, 1], s=size, c=CLASS_COLOURS[label % len(CLASS_COLOURS)],
            marker=CLASS_MARKERS[label % len(CLASS_MARKERS)], edgecolors="white", linewidths=0.5,
            label=names[label] if names else None, zorder=3,
        )  # fmt: skip
    return ax


def line(weights: torch.Tensor, bias: float, ax: Axes | None = None, **style: object) -> Axes:
    """Draw the line w·x + b = 0 through the plane, within the present limits of the axes.

    Parameters
    ----------
    weights
        w, shape (2,).
    bias
        b.
    ax
        Where to draw; a new figure if not given.
    **style
        Passed on to :meth:`matplotlib.axes.Axes.axline`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Without a line if w = 0: then there is none.

    Raises
    ------
    ValueError
        If w does not have two components.
    """
    w = torch.as_tensor(weights).detach().cpu().double().numpy().ravel()
    if len(w) != 2:
        raise ValueError(f"w has shape {tuple(np.shape(weights))}; a line of the plane has two weights")
    ax = _axes(ax)
    if np.any(w):
        foot = -torch.as_tensor(bias).detach().item() * w / (w @ w)
        limits = ax.axis()
        ax.axline(foot, foot + np.array([-w[1], w[0]]), **{"color": INK, "linewidth": 1.8} | style)
        ax.axis(limits)
    return ax


def panels(
    count: int, *, width: float = 9.0, height: float = 3.1, **options: object
) -> tuple[plt.Figure, np.ndarray]:
    """Make a figure with panels side by side, with fixed room for titles and labels.

    The room is the same whatever is drawn, so that the frames of an explorable do not jump.

    Parameters
    ----------
    count
        Number of panels.
    width, height
        Size of the figure in inches.
    **options
        Passed on to :func:`matplotlib.pyplot.subplots`.

    Returns
    -------
    tuple of matplotlib.figure.Figure and numpy.ndarray
        The figure and its axes, shape (count,).
    """
    figure, axes = plt.subplots(1, count, figsize=(width, height), squeeze=False, **options)
    left, right, bottom, top, between = 0.78, 0.14, 0.56, 0.36, 0.86  # inches
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=between * count / (width - left - right - between * (count - 1)),
    )
    for ax in axes[0]:
        ax.locator_params(nbins=5)  # panels are small, and ticks are most of the time that a frame takes
    return figure, axes[0]


def decades(axis: Axis, exponents: Iterable[int]) -> None:
    """Put the ticks of a logarithmic axis at powers of ten, labelled in plain text, and no others between.

    matplotlib sets such labels as formulas, anew in every figure, which takes a third of the time of a frame.

    Parameters
    ----------
    axis
        Such as ``ax.xaxis``.
    exponents
        The powers, as whole numbers.

    Examples
    --------
    >>> _, ax = plt.subplots()
    >>> _ = ax.semilogy([1e-8, 1, 1e8])
    >>> decades(ax.yaxis, [-8, 0, 8])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['10⁻⁸', '1', '10⁸']
    """
    powers = {n: 10.0**n for n in exponents}
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    labels = [f"{at:g}" if -3 < n < 4 else f"10{str(n).translate(raised)}" for n, at in powers.items()]
    axis.set_ticks(list(powers.values()), labels)
    axis.set_minor_locator(NullLocator())


def reliability_diagram(
    found: Reliability, ax: Axes | None = None, *, label: str = "", colour: str = BLUE
) -> Axes:
    """Draw how often predictions are right against how confident they are, and where they should be.

    Parameters
    ----------
    found
        What :func:`ddl.calibration.reliability` returned. The area of a marker grows with the number of
        examples in its bin, the bars are 95 % intervals, and empty bins are not drawn.
    ax
        Where to draw; a new figure if not given. Several classifiers may share one.
    label
        Name of the classifier for the legend; none, no entry.
    colour
        Of markers and bars.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = _axes(ax)
    filled = found.counts > 0
    confidence, accuracy = found.confidence[filled], found.accuracy[filled]
    # Rounding may put an end of an interval on the wrong side of the share by the last digit.
    bars = np.maximum([accuracy - found.low[filled], found.high[filled] - accuracy], 0)
    ax.axline((0, 0), (1, 1), color=GREY, linewidth=1, linestyle="--")
    ax.errorbar(confidence, accuracy, bars, fmt="none", ecolor=colour, elinewidth=1.2)
    ax.scatter(
        confidence, accuracy, s=20 + 180 * found.counts[filled] / found.counts.sum(), c=colour,
        edgecolors="white", linewidths=0.5, label=label or None, zorder=3,
    )  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share that is right")
    return ax


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax
