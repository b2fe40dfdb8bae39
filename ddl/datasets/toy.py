"""Classification problems made to order: small data sets whose truth is known.

Every function draws from the generator it is given and from nothing else. ``noise`` is always the standard
deviation of a normal distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from ddl.checks import fraction, generator, size, whole_number
from ddl.datasets.dataset import Dataset

PLANE = ("x1", "x2")


def xor() -> Dataset:
    """Return the four corners of the unit square; a corner is of class 1 if one coordinate is 1 and not both.

    Returns
    -------
    Dataset
        x of shape (4, 2): (0, 0), (0, 1), (1, 0), (1, 1); y: 0, 1, 1, 0.

    References
    ----------
    M. Minsky and S. Papert, *Perceptrons*, MIT Press, 1969.
    """
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    return _classes("xor", corners, corners.sum(1) % 2, names=("equal", "different"))


def noisy_xor(n: int, *, noise: float = 0.15, rng: np.random.Generator) -> Dataset:
    """Return four clouds around the corners of the unit square, with the classes of :func:`xor`.

    Parameters
    ----------
    n
        Number of points, dealt out to the corners as evenly as possible.
    noise
        Standard deviation of a cloud in each direction.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, 2), y of the corner that a point belongs to.
    """
    whole_number("n", n, at_least=4)
    generator(rng)
    size("noise", noise, zero=True)
    corners = xor()
    corner = np.arange(n) % 4
    x = corners.x.numpy()[corner] + noise * rng.normal(size=(n, 2))
    return _classes("noisy_xor", x, corners.y.numpy()[corner], names=corners.class_names)


def blobs(
    n: int, *, centres: int | npt.ArrayLike = 3, spread: float = 0.5, rng: np.random.Generator
) -> Dataset:
    """Return round clouds of points, one for each class.

    Parameters
    ----------
    n
        Number of points, dealt out to the classes as evenly as possible.
    centres
        Middles of the clouds, shape (classes, dimension); or the number of classes, whose middles are then
        evenly spaced on a circle of radius 2 in the plane.
    spread
        Standard deviation of a cloud in each direction.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, dimension).
    """
    if np.ndim(centres) == 0:
        whole_number("centres", centres, at_least=1)
        angle = math.pi / 2 + 2 * math.pi * np.arange(centres) / centres
        centres = 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    centres = np.asarray(centres, dtype=float)
    if centres.ndim != 2 or 0 in centres.shape or not np.isfinite(centres).all():
        raise ValueError(
            f"centres have shape {centres.shape}; give how many, or finite numbers (classes, dimension)"
        )
    whole_number("n", n, at_least=len(centres))
    generator(rng)
    size("spread", spread, zero=True)
    y = np.arange(n) % len(centres)
    return _classes("blobs", centres[y] + spread * rng.normal(size=(n, centres.shape[1])), y)


def separable(
    n: int, *, margin: float, normal: Sequence[float] = (0.6, 0.8), rng: np.random.Generator
) -> Dataset:
    """Return points of the unit ball that a hyperplane through the origin separates with a known margin.

    What the perceptron's mistake bound needs: every point x with sign s = 2y − 1 has s w·x ≥ ``margin`` and
    ‖x‖ ≤ 1, where w is ``normal`` over its length. So the perceptron makes at most 1/``margin``² mistakes.
    The points are uniform in the ball; its two halves are then moved apart and squeezed to fit.

    Parameters
    ----------
    n
        Number of points; they alternate between the classes.
    margin
        Least distance of a point from the hyperplane, between 0 and 1.
    normal
        Normal vector of the hyperplane, on the side of class 1; its length does not matter. It has as many
        coordinates as the points shall have.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, len(normal)).

    References
    ----------
    A. B. J. Novikoff, On convergence proofs on perceptrons, *Symposium on the Mathematical Theory of
    Automata*, 1962.
    """
    whole_number("n", n, at_least=2)
    generator(rng)
    normal = np.asarray(normal, dtype=float)
    length = np.linalg.norm(normal)
    if normal.ndim != 1 or not np.isfinite(length) or length == 0:
        raise ValueError(
            f"normal is {normal}; give the coordinates of one vector other than zero, as (0.6, 0.8)"
        )
    if not 0 <= margin < 0.999:
        raise ValueError(f"margin is {margin}; points of the unit ball can keep a margin from 0 to 0.99")
    normal = normal / length
    direction = rng.normal(size=(n, len(normal)))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    ball = direction * rng.uniform(size=(n, 1)) ** (1 / len(normal))
    y = np.arange(n) % 2
    sign = (2 * y - 1)[:, None]
    height = (ball @ normal)[:, None]
    across = ball - height * normal
    # A millionth more than asked, since float32 rounds; and as much less of the ball's radius.
    above = margin + 1e-6 + (1 - margin - 1e-6) * np.abs(height)
    squeeze = np.sqrt(np.clip(1 - above**2, 0, None) / (1 - height**2))
    x = (1 - 1e-7) * (squeeze * across + sign * above * normal)
    return _classes("separable", x, y)


def split_by_line(
    n: int, *, weights: tuple[float, float] = (0.8, 1.0), offset: float = -3.0, rng: np.random.Generator
) -> Dataset:
    """Return uniform points of the box [0, 8] × [−4, 3], of class 1 where weights · x + offset ≥ 0.

    Parameters
    ----------
    n
        Number of points.
    weights, offset
        The separating line.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, 2). By default the line is 0.8 x₁ + x₂ − 3 = 0.

    References
    ----------
    KAIST Industrial AI Lab, *Artificial Neural Networks*.
    """
    whole_number("n", n, at_least=1)
    generator(rng)
    weights = np.asarray(weights, dtype=float)
    if weights.shape != (2,) or not weights.any() or not np.isfinite([*weights, offset]).all():
        raise ValueError(
            f"weights {weights} and offset {offset} are no line of the plane; give two numbers and one"
        )
    x = rng.uniform((0, -4), (8, 3), size=(n, 2))
    return _classes("split_by_line", x, x @ weights + offset >= 0)


def split_by_parabola(n: int, *, rng: np.random.Generator) -> Dataset:
    """Return uniform points of the box [−5, 5] × [−4, 4], of class 1 where −(x₁ − 1)²/2 + 2 x₂ + 5 ≥ 0.

    Parameters
    ----------
    n
        Number of points.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, 2). Class 1 lies above the parabola.

    References
    ----------
    KAIST Industrial AI Lab, *Artificial Neural Networks*.
    """
    whole_number("n", n, at_least=1)
    generator(rng)
    x = rng.uniform((-5, -4), (5, 4), size=(n, 2))
    return _classes("split_by_parabola", x, -0.5 * (x[:, 0] - 1) ** 2 + 2 * x[:, 1] + 5 >= 0)


def circles(n: int, *, factor: float = 0.5, noise: float = 0.05, rng: np.random.Generator) -> Dataset:
    """Return two concentric circles: class 0 of radius 1 around class 1.

    Parameters
    ----------
    n
        Number of points; they alternate between the classes.
    factor
        Radius of the inner circle, between 0 and 1.
    noise
        Standard deviation of the normal noise on each coordinate.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, 2), at uniform random angles.
    """
    whole_number("n", n, at_least=2)
    generator(rng)
    size("noise", noise, zero=True)
    fraction("factor", factor)
    y = np.arange(n) % 2
    angle = rng.uniform(0, 2 * math.pi, size=n)
    x = np.where(y == 1, factor, 1.0)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return _classes("circles", x + noise * rng.normal(size=(n, 2)), y, names=("outer", "inner"))


def moons(n: int, *, noise: float = 0.1, rng: np.random.Generator) -> Dataset:
    """Return two interleaving half circles, as scikit-learn's ``make_moons``.

    Parameters
    ----------
    n
        Number of points; they alternate between the classes.
    noise
        Standard deviation of the normal noise on each coordinate.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, 2): class 0 on (cos t, sin t), class 1 on (1 − cos t, ½ − sin t), 0 ≤ t ≤ π.
    """
    whole_number("n", n, at_least=2)
    generator(rng)
    size("noise", noise, zero=True)
    y = np.arange(n) % 2
    angle = rng.uniform(0, math.pi, size=n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    x = np.where(y[:, None] == 0, upper, (1, 0.5) - upper)
    return _classes("moons", x + noise * rng.normal(size=(n, 2)), y, names=("upper", "lower"))


def spirals(
    n: int, *, classes: int = 2, turns: float = 1.0, noise: float = 0.05, rng: np.random.Generator
) -> Dataset:
    """Return interleaving spiral arms, one for each class.

    Parameters
    ----------
    n
        Number of points, dealt out to the arms as evenly as possible.
    classes
        Number of arms.
    turns
        How often an arm winds around the origin.
    noise
        Standard deviation of the normal noise on each coordinate.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, 2). Arm k is r (cos φ, sin φ) with φ = 2π (``turns`` r + k/``classes``) and
        r from 0.1 to 1.
    """
    whole_number("classes", classes, at_least=1)
    whole_number("n", n, at_least=classes)
    generator(rng)
    size("noise", noise, zero=True)
    size("turns", turns, zero=True)
    y = np.arange(n) % classes
    radius = rng.uniform(0.1, 1.0, size=n)
    angle = 2 * math.pi * (turns * radius + y / classes)
    x = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return _classes("spirals", x + noise * rng.normal(size=(n, 2)), y)


def checkerboard(n: int, *, cells: int = 4, rng: np.random.Generator) -> Dataset:
    """Return uniform points of the unit square, with the colours of a checkerboard as classes.

    Parameters
    ----------
    n
        Number of points.
    cells
        Number of cells along each side.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, 2). The cell at the origin is of class 0.
    """
    whole_number("n", n, at_least=1)
    generator(rng)
    whole_number("cells", cells, at_least=2)
    x = rng.uniform(size=(n, 2))
    return _classes("checkerboard", x, np.floor(x * cells).sum(1) % 2, names=("dark", "light"))


def _classes(name: str, x: np.ndarray, y: np.ndarray, names: Sequence[str] | None = None) -> Dataset:
    """Make a data set of points with labels."""
    y = np.asarray(y).astype(np.int64)
    names = range(max(int(y.max()) + 1, 2)) if names is None else names
    features = PLANE if x.shape[1] == 2 else [f"x{column + 1}" for column in range(x.shape[1])]
    return Dataset(
        torch.from_numpy(x.astype(np.float32)),
        torch.from_numpy(y),
        name,
        features,
        tuple(names),
        f"generated: {name}",
    )
