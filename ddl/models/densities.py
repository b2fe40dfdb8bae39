"""A network with two heads, mean and variance, and the losses that fit it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from ddl.checks import size, whole_number
from ddl.models.feedforward import MLP, seeded

LARGEST_EXPONENT = 20.0
"""Where ``link="exp"`` stops growing: e²⁰ is half a billion."""


class MeanVariance(nn.Module):
    """A network with two heads on one backbone: the mean of a normal distribution and its variance.

    Parameters
    ----------
    sizes
        Width of the inputs and of each hidden layer of the backbone: ``(1, 50, 50)``. With the inputs alone,
        ``(1,)``, both heads are linear.
    outputs
        Number of targets m; each has a mean and a variance.
    activation
        What makes an activation module, after each hidden layer.
    link
        What makes the variance positive: ``"softplus"``, or ``"exp"`` (the head is then the logarithm of the
        variance), which stops at e²⁰, without gradient there.
    least
        The smallest variance, added to all; without it the likelihood of an example that is hit exactly has
        no bound.
    seed
        Seed of the initial weights. Default: draw from the global state.

    Raises
    ------
    TypeError, ValueError
        If a size is no positive whole number, ``least`` not positive, or the link unknown.

    References
    ----------
    D. A. Nix and A. S. Weigend, Estimating the mean and variance of the target probability distribution,
    *IEEE International Conference on Neural Networks*, 1994.

    Examples
    --------
    >>> model = MeanVariance((1, 50), seed=0)
    >>> output = model(torch.zeros(4, 1))
    >>> mean, variance = output.chunk(2, dim=-1)
    >>> gaussian_nll(output, torch.zeros(4, 1)).ndim
    0
    """

    def __init__(
        self,
        sizes: Sequence[int],
        outputs: int = 1,
        activation: Callable[[], nn.Module] = nn.Tanh,
        *,
        link: Literal["softplus", "exp"] = "softplus",
        least: float = 1e-6,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.positive = Positive(link, least)
        with seeded(seed):
            self.backbone, width = backbone(sizes, activation)
            self.mean = nn.Linear(width, whole_number("outputs", outputs, at_least=1))
            self.variance = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return means and variances (…, 2m) of inputs (…, d): first the m means, then the m variances."""
        h = self.backbone(x)
        return torch.cat([self.mean(h), self.positive(self.variance(h))], dim=-1)


def gaussian_nll(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean negative log-likelihood of targets under normal distributions, in nats.

    Parameters
    ----------
    output
        Means and variances, shape (…, 2m), as :class:`MeanVariance` returns them.
    y
        Targets, shape (…, m).

    Returns
    -------
    torch.Tensor
        The mean over the examples of Σ ½ (log 2πσ² + (y − μ)²/σ²), summed over the targets.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> gaussian_nll(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0]]))  # ½ log 2π + ½ 2²
    tensor(2.9189)
    """
    return _gaussian_terms(output, y)[0].sum(-1).mean()


def beta_nll(output: torch.Tensor, y: torch.Tensor, beta: float = 0.5) -> torch.Tensor:
    """Return the negative log-likelihood with each term multiplied by σ^(2β), which counts as a constant.

    The gradient of the mean is (μ − y)/σ² in the likelihood: what the network believes to be noise, it no
    longer learns. β = 0 is the likelihood, β = 1 gives the mean the gradient of the squared error.

    Parameters
    ----------
    output
        Means and variances, shape (…, 2m).
    y
        Targets, shape (…, m).
    beta
        From 0 to 1.

    Returns
    -------
    torch.Tensor
        The mean over the examples of the sum over the targets.

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``beta`` is negative.

    References
    ----------
    M. Seitzer, A. Tavakoli, D. Antic and G. Martius, On the pitfalls of heteroscedastic uncertainty
    estimation with probabilistic neural networks, *ICLR*, 2022.
    """
    size("beta", beta, zero=True)
    terms, variance = _gaussian_terms(output, y)
    return (variance.detach() ** beta * terms).sum(-1).mean()


def _gaussian_terms(output: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the negative log-likelihood of each target, and its variance."""
    if output.shape != (*y.shape[:-1], 2 * y.shape[-1]):
        raise ValueError(
            f"output has shape {tuple(output.shape)} and y {tuple(y.shape)}; for y of shape (n, m) the "
            "output is (n, 2m), means and variances"
        )
    mean, variance = output.chunk(2, dim=-1)
    return normal_nll(y, mean, variance), variance


def normal_nll(y: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Return the negative logarithm of the normal density, element by element."""
    return 0.5 * ((2 * math.pi * variance).log() + (y - mean).square() / variance)


class Constant(nn.Module):
    """Numbers that do not depend on the input but can be learned, zero at first.

    Parameters
    ----------
    outputs
        How many.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the numbers for each of the inputs (…, d)."""
        return self.value.expand(*x.shape[:-1], -1)

    def extra_repr(self) -> str:
        """Return how many there are, for ``repr``."""
        return str(len(self.value))


class Positive(nn.Module):
    """Makes positive numbers.

    Parameters
    ----------
    link
        ``"softplus"``, or ``"exp"`` up to e²⁰.
    least
        What is added.
    """

    def __init__(self, link: str, least: float) -> None:
        super().__init__()
        if link not in ("softplus", "exp"):
            raise ValueError(f'link is {link!r}; it can be "softplus" or "exp"')
        size("least", least)
        self.link, self.least = link, float(least)

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return a positive number for each."""
        positive = F.softplus(raw) if self.link == "softplus" else raw.clamp(max=LARGEST_EXPONENT).exp()
        return positive + self.least

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"{self.link}, least={self.least:g}"


def backbone(sizes: Sequence[int], activation: Callable[[], nn.Module]) -> tuple[nn.Sequential, int]:
    """Return hidden layers as an MLP has them, and the width of the last."""
    return MLP((*sizes, 1), activation)[:-1], sizes[-1]
