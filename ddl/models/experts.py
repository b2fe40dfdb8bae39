"""Many small networks of one shape with their weights in common tensors."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from ddl.checks import whole_number
from ddl.models.feedforward import MLP, seeded


class Experts(nn.Module):
    """Several multilayer perceptrons of the same shape, computed together by batched matrix products.

    Parameters
    ----------
    count
        Number of experts E.
    sizes
        Width of each layer of an expert, as :class:`MLP` takes them: (d, …, d_out).
    activation
        What makes an activation module when called without arguments. It must be elementwise and without
        parameters: all experts share it.
    seed
        Seed of the initial weights, which are PyTorch's own, different for each expert. Default: draw from
        the global state.

    Raises
    ------
    TypeError
        If a number is not whole, or ``activation`` does not make modules without parameters.
    ValueError
        If a number is too small.

    Examples
    --------
    >>> experts = Experts(4, (2, 16, 1), nn.ReLU, seed=0)
    >>> experts(torch.zeros(4, 10, 2)).shape  # ten examples of its own for each expert
    torch.Size([4, 10, 1])
    >>> experts(torch.zeros(10, 2)).shape  # the same ten for all of them
    torch.Size([4, 10, 1])
    """

    def __init__(
        self,
        count: int,
        sizes: Sequence[int],
        activation: Callable[[], nn.Module] = nn.ReLU,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.count = whole_number("the number of experts", count, at_least=1)
        with seeded(seed):
            members = [MLP(sizes, activation) for _ in range(self.count)]
        self.sizes = members[0].sizes
        self.activation = activation()
        if next(self.activation.parameters(), None) is not None:
            raise TypeError(f"activation {self.activation!r} has parameters; give one without, as nn.ReLU")
        layers = [[part for part in member if isinstance(part, nn.Linear)] for member in members]
        # E, d, h: experts, inputs and outputs of a layer
        self.weights = nn.ParameterList(
            torch.stack([layer.weight.detach().T for layer in same]) for same in zip(*layers, strict=True)
        )
        self.biases = nn.ParameterList(
            torch.stack([layer.bias.detach()[None] for layer in same]) for same in zip(*layers, strict=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (E, n, d_out) of inputs (E, n, d), or of (n, d) for all experts."""
        if x.ndim not in (2, 3) or x.shape[-1] != self.sizes[0] or (x.ndim == 3 and len(x) != self.count):
            raise ValueError(
                f"x has shape {tuple(x.shape)}; give ({self.count}, n, {self.sizes[0]}), or "
                f"(n, {self.sizes[0]}) for all experts"
            )
        h = x.expand(self.count, *x.shape[-2:])
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            h = torch.baddbmm(bias, h, weight)
            if number < len(self.weights):
                h = self.activation(h)
        return h

    def at(self, slots: torch.Tensor, x: torch.Tensor, places: int) -> torch.Tensor:
        """Let each expert answer the inputs at its places.

        Parameters
        ----------
        slots
            Where each input goes, shape (m,): expert e has the slots from e · places to (e + 1) · places − 1,
            for one input each. The slot after the last, E · places, is for inputs that nobody answers.
        x
            Inputs, shape (m, d).
        places
            Number of places of each expert.

        Returns
        -------
        torch.Tensor
            The answers, shape (m, d_out); zeros for inputs that nobody answers.
        """
        E, d = self.count, self.sizes[0]
        table = x.new_zeros(E * places + 1, d).index_put((slots,), x)
        answers = self(table[:-1].reshape(E, places, d)).flatten(0, 1)  # (E · places, d_out)
        return torch.cat([answers, answers.new_zeros(1, self.sizes[-1])])[slots]

    def part(self, start: int, stop: int) -> Experts:
        """Return the experts from ``start`` to before ``stop``, with copies of their weights."""
        some = Experts(stop - start, self.sizes, lambda: copy.deepcopy(self.activation), seed=0)
        some.to(self.weights[0])
        with torch.no_grad():
            for ours, theirs in zip(self.parameters(), some.parameters(), strict=True):
                theirs.copy_(ours[start:stop])
        return some

    def expert(self, index: int) -> MLP:
        """Return one expert as an :class:`MLP` with copies of its weights.

        Parameters
        ----------
        index
            Which one, from 0.

        Returns
        -------
        MLP
            The expert.

        Raises
        ------
        IndexError
            If there is no such expert.
        """
        if not -self.count <= index < self.count:
            raise IndexError(f"expert {index} of {self.count}; they are counted from 0")
        alone = MLP(self.sizes, lambda: copy.deepcopy(self.activation), seed=0).to(self.weights[0])
        linear = [part for part in alone if isinstance(part, nn.Linear)]
        with torch.no_grad():
            for layer, weight, bias in zip(linear, self.weights, self.biases, strict=True):
                layer.weight.copy_(weight[index].T)
                layer.bias.copy_(bias[index, 0])
        return alone

    @property
    def parameters_each(self) -> int:
        """Number of parameters of one expert."""
        return sum(a * b + b for a, b in itertools.pairwise(self.sizes))

    @property
    def flops_each(self) -> int:
        """FLOPs of one expert for one example: two for each multiply-add of its matrix products."""
        return 2 * sum(map(math.prod, itertools.pairwise(self.sizes)))

    def extra_repr(self) -> str:
        """Return number and sizes, for ``repr``."""
        return f"{self.count} × ({' → '.join(map(str, self.sizes))})"
