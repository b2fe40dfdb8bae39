"""Soft mixtures: every expert answers, and a gate says how much each answer counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ddl.checks import whole_number
from ddl.models.densities import Constant, Positive
from ddl.models.feedforward import MLP, seeded


class SoftMixture(nn.Module):
    """A mixture of experts in which all experts are computed: Σ g_e(x) expert_e(x), g = softmax(gate(x)).

    An expert may be a mixture itself: then the mixture is hierarchical, and its leaves are the experts that
    are no mixtures. In a sequence of layers, mixtures make a deep mixture.

    Parameters
    ----------
    experts
        Modules that take the same inputs and return outputs of the same shape.
    gate
        A module that takes the inputs too and returns one logit for each expert.

    Raises
    ------
    TypeError
        If experts or gate are not modules.
    ValueError
        If there are no experts.

    References
    ----------
    R. A. Jacobs, M. I. Jordan, S. J. Nowlan and G. E. Hinton, Adaptive mixtures of local experts, *Neural
    Computation* 3, 1991. M. I. Jordan and R. A. Jacobs, Hierarchical mixtures of experts and the EM
    algorithm, *Neural Computation* 6, 1994. D. Eigen, M. Ranzato and I. Sutskever, Learning factored
    representations in a deep mixture of experts, 2013.

    Examples
    --------
    >>> mixture = SoftMixture([MLP((2, 8, 1)) for _ in range(3)], gate=nn.Linear(2, 3))
    >>> mixture(torch.zeros(5, 2)).shape, mixture.gates(torch.zeros(5, 2)).shape
    (torch.Size([5, 1]), torch.Size([5, 3]))
    """

    def __init__(self, experts: Sequence[nn.Module], gate: nn.Module) -> None:
        super().__init__()
        experts = list(experts)
        if not experts:
            raise ValueError("experts is empty; give at least one module")
        for part in (*experts, gate):
            if not isinstance(part, nn.Module):
                raise TypeError(f"{part!r} is no expert and no gate; give instances of nn.Module")
        self.gate = gate
        self.experts = nn.ModuleList(experts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mixed outputs (…, d_out) of inputs (…, d)."""
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)  # (…, d_out, E)
        return (outputs * self.gates(x)[..., None, :]).sum(-1)

    def gates(self, x: torch.Tensor) -> torch.Tensor:
        """Return how much each expert counts for inputs (…, d): shape (…, E), summing to 1."""
        return self._log_gates(x).exp()

    def leaf_log_gates(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of :meth:`leaf_gates`, shape (…, leaves)."""
        branches = zip(self.experts, self._log_gates(x).split(1, dim=-1), strict=True)
        return torch.cat(
            [log + expert.leaf_log_gates(x) if isinstance(expert, SoftMixture) else log
             for expert, log in branches], dim=-1
        )  # fmt: skip

    def leaf_gates(self, x: torch.Tensor) -> torch.Tensor:
        """Return how much each leaf counts: the product of the gates on the way to it, shape (…, leaves)."""
        return self.leaf_log_gates(x).exp()

    def leaf_outputs(self, x: torch.Tensor) -> torch.Tensor:
        """Return what each leaf says, shape (…, leaves, d_out)."""
        return torch.stack([leaf(x) for leaf in self.leaves], dim=-2)

    @property
    def leaves(self) -> list[nn.Module]:
        """The experts that are no mixtures, in the order of the gates."""
        return [
            leaf
            for expert in self.experts
            for leaf in (expert.leaves if isinstance(expert, SoftMixture) else [expert])
        ]

    def _log_gates(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.gate(x)
        if logits.shape != (*x.shape[:-1], len(self.experts)):
            raise ValueError(
                f"the gate returns shape {tuple(logits.shape)} for inputs of shape {tuple(x.shape)}; "
                f"{(*x.shape[:-1], len(self.experts))} is needed, a logit for each expert"
            )
        return logits.log_softmax(-1)


def mixture_of_mlps(
    sizes: Sequence[int],
    experts: int = 4,
    *,
    gate: Sequence[int] = (),
    activation: Callable[[], nn.Module] = nn.Tanh,
    seed: int | None = None,
) -> SoftMixture:
    """Make a mixture of multilayer perceptrons with a perceptron as gate.

    Parameters
    ----------
    sizes
        Width of each layer of an expert; (d, d_out) makes linear experts.
    experts
        Number of experts.
    gate
        Widths of the hidden layers of the gate; none, a linear gate.
    activation
        What makes an activation module.
    seed
        Seed of the initial weights. Default: draw from the global state.

    Returns
    -------
    SoftMixture
        The mixture.

    Raises
    ------
    TypeError, ValueError
        If a number is not whole or too small.
    """
    return hierarchical_mixture(sizes, (experts,), gate=gate, activation=activation, seed=seed)


def hierarchical_mixture(
    sizes: Sequence[int],
    branches: Sequence[int] = (2, 2),
    *,
    gate: Sequence[int] = (),
    activation: Callable[[], nn.Module] = nn.Tanh,
    seed: int | None = None,
) -> SoftMixture:
    """Make a tree of mixtures: experts that are mixtures of experts.

    Parameters
    ----------
    sizes
        Width of each layer of an expert at the leaves.
    branches
        Number of branches at each level, from the root: (2, 3) has two groups of three experts.
    gate
        Widths of the hidden layers of each gate; none, linear gates.
    activation
        What makes an activation module.
    seed
        Seed of the initial weights. Default: draw from the global state.

    Returns
    -------
    SoftMixture
        The root.

    Raises
    ------
    TypeError, ValueError
        If a number is not whole or too small, or there are no branches.

    Examples
    --------
    >>> mixture = hierarchical_mixture((2, 1), branches=(2, 3), seed=0)
    >>> mixture.gates(torch.zeros(5, 2)).shape, mixture.leaf_gates(torch.zeros(5, 2)).shape
    (torch.Size([5, 2]), torch.Size([5, 6]))
    """
    branches = tuple(branches)
    if not branches:
        raise ValueError("branches is empty; give the number of branches at each level, as (2, 2)")
    count = whole_number("the number of experts", branches[0], at_least=1)

    def below() -> nn.Module:
        if branches[1:]:
            return hierarchical_mixture(sizes, branches[1:], gate=gate, activation=activation)
        return MLP(sizes, activation)

    with seeded(seed):
        return SoftMixture([below() for _ in range(count)], MLP((sizes[0], *gate, count), activation))


class LeafDensity(nn.Module):
    """The mixture of normal distributions around what the leaves of a mixture say.

    A leaf has the weight of its gates and a variance of its own for each target, the same for all inputs.
    With :func:`mixture_nll`, each leaf is judged by itself and not by what it adds to a sum: this is the
    model of Jacobs et al. and of Jordan and Jacobs.

    Parameters
    ----------
    mixture
        The mixture.
    outputs
        Number of targets, which the leaves return.
    least
        The smallest variance, added to all.

    Raises
    ------
    TypeError
        If ``mixture`` is something else.

    Examples
    --------
    >>> from ddl.models import mixture_density
    >>> model = LeafDensity(mixture_of_mlps((1, 1), experts=3, seed=0))
    >>> mixture_density(model(torch.zeros(5, 1))).means.shape
    torch.Size([5, 3, 1])
    """

    def __init__(self, mixture: SoftMixture, outputs: int = 1, *, least: float = 1e-6) -> None:
        super().__init__()
        if not isinstance(mixture, SoftMixture):
            raise TypeError(f"mixture is {type(mixture).__name__}; give a SoftMixture")
        self.mixture = mixture
        self.variances = Constant(len(mixture.leaves) * outputs)
        self.positive = Positive("softplus", least)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the parameters of the densities, as :func:`mixture_density` takes them."""
        log_gates, means = self.mixture.leaf_log_gates(x), self.mixture.leaf_outputs(x)
        return torch.cat([log_gates, means.flatten(-2), self.positive(self.variances(x))], dim=-1)
