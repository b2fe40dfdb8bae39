"""A network that returns a mixture of normal distributions, and the loss that fits it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from ddl.checks import generator, whole_number
from ddl.models.densities import Constant, Positive, backbone, normal_nll
from ddl.models.feedforward import seeded


class MixtureDensity(nn.Module):
    """A network whose output is a mixture of K normal distributions of m targets.

    Parameters
    ----------
    sizes
        Width of the inputs and of each hidden layer: ``(1, 30)``. With the inputs alone, ``(1,)``, all heads
        are linear: with ``constant_variance``, this is the mixture of linear experts with a linear gate.
    components
        Number of components K.
    outputs
        Number of targets m. Within a component they are independent.
    activation
        What makes an activation module, after each hidden layer.
    constant_variance
        Whether a component has the same variance for all inputs.
    link, least, seed
        As for :class:`MeanVariance`.

    Raises
    ------
    TypeError, ValueError
        If a number is of the wrong kind or out of range.

    References
    ----------
    C. M. Bishop, *Mixture density networks*, Aston University, 1994; *Pattern Recognition and Machine
    Learning*, Springer, 2006, section 5.6.

    Examples
    --------
    >>> import ddl
    >>> data = ddl.datasets.inverse_sine(200, rng=ddl.rng(1))
    >>> model = MixtureDensity((1, 20), components=3, seed=0)
    >>> history = ddl.fit(model, data, loss=mixture_nll, epochs=5, lr=0.01, optimizer="adam")
    >>> mixture_density(model(data.x)).responsibilities(data.y).shape
    torch.Size([200, 3])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        components: int,
        outputs: int = 1,
        activation: Callable[[], nn.Module] = nn.Tanh,
        *,
        constant_variance: bool = False,
        link: Literal["softplus", "exp"] = "softplus",
        least: float = 1e-6,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.components = whole_number("components", components, at_least=1)
        self.outputs = whole_number("outputs", outputs, at_least=1)
        self.positive = Positive(link, least)
        with seeded(seed):
            self.backbone, width = backbone(sizes, activation)
            self.gate = nn.Linear(width, components)
            self.means = nn.Linear(width, components * outputs)
            self.variances = (
                Constant(components * outputs)
                if constant_variance
                else nn.Linear(width, components * outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the parameters of the mixtures, (…, K (1 + 2m)): see :func:`mixture_density`."""
        h = self.backbone(x)
        return torch.cat([self.gate(h), self.means(h), self.positive(self.variances(h))], dim=-1)


class GaussianMixture(NamedTuple):
    """A mixture of K normal distributions of m targets for each of n examples (or any leading shape)."""

    log_weights: torch.Tensor
    """Shape (n, K); the weights of an example sum to 1."""
    means: torch.Tensor
    """Shape (n, K, m)."""
    variances: torch.Tensor
    """Shape (n, K, m)."""

    def log_joint(self, y: torch.Tensor) -> torch.Tensor:
        """Return log π_k + log N(y | μ_k, σ_k²) of targets (n, m), shape (n, K)."""
        return self.log_weights - normal_nll(y[..., None, :], self.means, self.variances).sum(-1)

    def log_density(self, y: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the density at targets (n, m), shape (n,)."""
        return self.log_joint(y).logsumexp(-1)

    def responsibilities(self, y: torch.Tensor) -> torch.Tensor:
        """Return the probability that a target (n, m) came from each component, shape (n, K)."""
        return self.log_joint(y).softmax(-1)

    def mean(self) -> torch.Tensor:
        """Return the mean of each mixture, shape (n, m)."""
        return (self.log_weights.exp()[..., None] * self.means).sum(-2)

    def variance(self) -> torch.Tensor:
        """Return the variance of each mixture: that within the components and that of their means, (n, m)."""
        spread = self.variances + (self.means - self.mean()[..., None, :]).square()
        return (self.log_weights.exp()[..., None] * spread).sum(-2)

    def mode(self) -> torch.Tensor:
        """Return, of the K means, the one where the density is highest, shape (n, m).

        Where components do not overlap much this is the mode.
        """
        each = [self.log_density(mean) for mean in self.means.unbind(-2)]
        best = torch.stack(each, dim=-1).argmax(-1)
        return self.means.take_along_dim(best[..., None, None], dim=-2).squeeze(-2)

    def sample(self, rng: np.random.Generator) -> torch.Tensor:
        """Draw one target from each mixture, shape (n, m)."""
        generator(rng)
        weights = self.log_weights.detach().exp()
        drawn = torch.from_numpy(rng.uniform(size=weights.shape[:-1])).to(weights)
        chosen = (
            (weights.cumsum(-1) < drawn[..., None]).sum(-1, keepdim=True).clamp(max=weights.shape[-1] - 1)
        )
        mean, variance = (
            part.detach().take_along_dim(chosen[..., None], dim=-2).squeeze(-2)
            for part in (self.means, self.variances)
        )
        return mean + variance.sqrt() * torch.from_numpy(rng.normal(size=mean.shape)).to(mean)


def mixture_density(output: torch.Tensor, outputs: int = 1) -> GaussianMixture:
    """Return the mixtures whose parameters a network has returned.

    Parameters
    ----------
    output
        Shape (…, K (1 + 2m)): K logits of the weights, K m means and K m variances, those of a component
        next to each other.
    outputs
        Number of targets m.

    Returns
    -------
    GaussianMixture
        The mixtures.

    Raises
    ------
    ValueError
        If the columns are not a multiple of 1 + 2m.
    """
    components, rest = divmod(output.shape[-1], 1 + 2 * outputs)
    if rest or not components:
        raise ValueError(
            f"output has shape {tuple(output.shape)}; for {outputs} targets the number of columns is a "
            f"multiple of {1 + 2 * outputs}: a logit for each component, a mean and a variance of each target"
        )
    logits, means, variances = output.split([components, components * outputs, components * outputs], dim=-1)
    shape = (*output.shape[:-1], components, outputs)
    return GaussianMixture(logits.log_softmax(-1), means.reshape(shape), variances.reshape(shape))


def mixture_nll(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean negative log-likelihood of targets under mixtures, in nats.

    Parameters
    ----------
    output
        Shape (…, K (1 + 2m)), as :class:`MixtureDensity` returns it.
    y
        Targets, shape (…, m).

    Returns
    -------
    torch.Tensor
        The mean over the examples.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    if output.shape[:-1] != y.shape[:-1]:
        raise ValueError(
            f"output has shape {tuple(output.shape)} and y {tuple(y.shape)}; they differ in the examples"
        )
    return -mixture_density(output, y.shape[-1]).log_density(y).mean()
