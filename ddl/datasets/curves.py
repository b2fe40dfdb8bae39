"""Regression problems made to order: points on a known curve, with noise.

Every function draws from the generator it is given and from nothing else. ``noise`` is always the standard
deviation of a normal distribution.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ddl.checks import generator, size, whole_number
from ddl.datasets.dataset import Dataset


def noisy_quadratic(n: int = 21, *, noise: float = 2.0, rng: np.random.Generator) -> Dataset:
    """Return y = −1.5 x + x²/9 + noise at evenly spaced x from 0 to 20.

    Parameters
    ----------
    n
        Number of points.
    noise
        Standard deviation of the normal noise.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x and y of shape (n, 1).

    References
    ----------
    R. Thibaux's example, as in K. P. Murphy, *Probabilistic Machine Learning: An Introduction*, MIT Press,
    2022, figure 13.22 (21 points, noise of variance 4).
    """
    whole_number("n", n, at_least=2)
    generator(rng)
    size("noise", noise, zero=True)
    x = np.linspace(0, 20, n)
    return _regression("noisy_quadratic", x, -1.5 * x + x**2 / 9 + noise * rng.normal(size=n))


def noisy_sine(n: int, *, noise: float = 0.2, rng: np.random.Generator) -> Dataset:
    """Return y = sin(2πx) + noise at uniform random x between 0 and 1, sorted.

    Parameters
    ----------
    n
        Number of points.
    noise
        Standard deviation of the normal noise.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x and y of shape (n, 1).

    References
    ----------
    C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer, 2006, section 1.1.
    """
    whole_number("n", n, at_least=1)
    generator(rng)
    size("noise", noise, zero=True)
    x = np.sort(rng.uniform(size=n))
    return _regression("noisy_sine", x, np.sin(2 * math.pi * x) + noise * rng.normal(size=n))


def sine_line(n: int = 15, *, noise: float = 0.3, rng: np.random.Generator) -> Dataset:
    """Return y = sin x + x/2 + noise at uniform random x between 0 and 10, sorted.

    Parameters
    ----------
    n
        Number of points.
    noise
        Standard deviation of the normal noise.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x and y of shape (n, 1).

    References
    ----------
    USC EE 541, introduction.
    """
    whole_number("n", n, at_least=1)
    generator(rng)
    size("noise", noise, zero=True)
    x = np.sort(rng.uniform(0, 10, size=n))
    return _regression("sine_line", x, np.sin(x) + x / 2 + noise * rng.normal(size=n))


def ten_points() -> Dataset:
    """Return ten given points, x from −4.5 to 4.5 in equal steps, that a large network overfits.

    Returns
    -------
    Dataset
        x and y of shape (10, 1).

    References
    ----------
    KAIST Industrial AI Lab, *Artificial Neural Networks*.
    """
    y = [0.9819, 0.7973, 1.9737, 0.1838, 1.3180, -0.8361, -0.6591, -2.4701, -2.8122, -6.2512]
    return _regression("ten_points", np.linspace(-4.5, 4.5, 10), np.array(y))


def heteroscedastic_sine(n: int, *, rng: np.random.Generator) -> Dataset:
    """Return a sine that grows, with noise that grows too.

    y = 5 + x (1 + sin x)/8 + 3 (¼ + g²) ε, where g = (x + 20)/80 and ε is standard normal.

    Parameters
    ----------
    n
        Number of points.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x and y of shape (n, 1), at uniform random x between −20 and 60, sorted.

    References
    ----------
    TensorFlow Probability, *Probabilistic layers regression*, as in K. P. Murphy, *Probabilistic Machine
    Learning: An Introduction*, MIT Press, 2022, figure 13.6.
    """
    whole_number("n", n, at_least=1)
    generator(rng)
    x = np.sort(rng.uniform(-20, 60, size=n))
    mean, deviation = _growing(x)
    return _regression("heteroscedastic_sine", x, mean + deviation * rng.normal(size=n))


def heteroscedastic_truth(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and the standard deviation that :func:`heteroscedastic_sine` draws from.

    Parameters
    ----------
    x
        Inputs of any shape.

    Returns
    -------
    tuple of torch.Tensor
        Mean and standard deviation at each input.

    Examples
    --------
    >>> mean, deviation = heteroscedastic_truth(torch.tensor([[-20.0], [60.0]]))
    >>> deviation.flatten().tolist()
    [0.75, 3.75]
    """
    mean, deviation = _growing(x.detach().double().numpy(force=True))
    return torch.from_numpy(mean).to(x), torch.from_numpy(deviation).to(x)


def _growing(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return 5 + x * (1 + np.sin(x)) / 8, 3 * (0.25 + ((x + 20) / 80) ** 2)


def inverse_sine(n: int, *, noise: float = 0.05, rng: np.random.Generator) -> Dataset:
    """Return one-to-many data: x = y + 0.3 sin(2πy) + noise at uniform random y between 0 and 1.

    Around x = ½ three values of y are as good; their mean is not.

    Parameters
    ----------
    n
        Number of points.
    noise
        Standard deviation of the normal noise, on x.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x and y of shape (n, 1).

    References
    ----------
    C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer, 2006, section 5.6 (there with
    uniform noise).
    """
    whole_number("n", n, at_least=1)
    generator(rng)
    size("noise", noise, zero=True)
    y = rng.uniform(size=n)
    return _regression("inverse_sine", y + 0.3 * np.sin(2 * math.pi * y) + noise * rng.normal(size=n), y)


def four_planes(n: int, *, noise: float = 0.1, rng: np.random.Generator) -> Dataset:
    """Return a function of two inputs that is a plane in each of four regions, and jumps between them.

    The regions are those of a tree: the line x₁ = 0 parts left from right, then x₂ = 0.3 + x₁/2 the left half
    and x₂ = −0.3 + x₁/2 the right half. From below to above, left to right, y is 1 + 2x₁, −1 + 2x₂, −1 − 2x₂
    and 1 − 2x₁, with noise.

    Parameters
    ----------
    n
        Number of points.
    noise
        Standard deviation of the normal noise.
    rng
        Source of the randomness.

    Returns
    -------
    Dataset
        x of shape (n, 2), uniform between −1 and 1; y of shape (n, 1). :func:`plane_of` tells the regions.
    """
    whole_number("n", n, at_least=1)
    generator(rng)
    size("noise", noise, zero=True)
    x = rng.uniform(-1, 1, size=(n, 2))
    x1, x2 = x.T
    planes = np.stack([1 + 2 * x1, -1 + 2 * x2, -1 - 2 * x2, 1 - 2 * x1])
    x = torch.from_numpy(x.astype(np.float32))
    y = planes[plane_of(x).numpy(), np.arange(n)] + noise * rng.normal(size=n)
    y = torch.from_numpy(y.astype(np.float32))[:, None]
    return Dataset(x, y, "four_planes", ("x1", "x2"), (), "generated: four_planes")


def plane_of(x: torch.Tensor) -> torch.Tensor:
    """Return which of the regions of :func:`four_planes` points are in.

    Parameters
    ----------
    x
        Points, shape (n, 2).

    Returns
    -------
    torch.Tensor
        0 for left below, 1 for left above, 2 for right below, 3 for right above; int64, shape (n,).

    Examples
    --------
    >>> plane_of(torch.tensor([[-0.5, -0.9], [-0.5, 0.9], [0.5, -0.9], [0.5, 0.9]]))
    tensor([0, 1, 2, 3])
    """
    x1, x2 = x.unbind(-1)
    right = x1 >= 0
    above = x2 >= torch.where(right, -0.3, 0.3) + x1 / 2
    return 2 * right.long() + above.long()


def _regression(name: str, x: np.ndarray, y: np.ndarray) -> Dataset:
    """Make a data set of one input and one target."""
    x, y = (torch.from_numpy(values.astype(np.float32))[:, None] for values in (x, y))
    return Dataset(x, y, name, ("x",), (), f"generated: {name}")
