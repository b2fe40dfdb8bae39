"""Multilayer perceptrons, and features that are computed before a linear layer."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from ddl.checks import size, whole_number


@contextlib.contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw initial weights from a seed, and leave the global random state alone; None draws from that."""
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        yield


class MLP(nn.Sequential):
    """A multilayer perceptron: linear layers with an activation after each but the last.

    The layers are called ``hidden1``, ``activation1``, ``hidden2``, …, ``output``.

    Parameters
    ----------
    sizes
        Width of each layer, from the inputs to the outputs: ``(2, 10, 1)`` has two inputs, ten hidden units
        and one output; ``(2, 1)`` is a single linear layer.
    activation
        What makes an activation module when called without arguments, such as the class ``nn.ReLU``.
    seed
        Seed of the initial weights, which are PyTorch's own; the global random state is then neither used nor
        changed. Default: draw from the global state.

    Raises
    ------
    TypeError
        If a size is not a whole number, or ``activation`` does not make modules.
    ValueError
        If there are fewer than two sizes, or one is below 1.

    Examples
    --------
    >>> from ddl.models import MLP
    >>> model = MLP((2, 3, 1), nn.ReLU, seed=0)
    >>> model
    MLP(
      2 → 3 → 1, 13 parameters
      (hidden1): Linear(in_features=2, out_features=3, bias=True)
      (activation1): ReLU()
      (output): Linear(in_features=3, out_features=1, bias=True)
    )
    >>> model[:2](torch.zeros(5, 2)).shape  # what the hidden units say about five points
    torch.Size([5, 3])
    """

    def __init__(
        self, sizes: Sequence[int], activation: Callable[[], nn.Module] = nn.Tanh, *, seed: int | None = None
    ) -> None:
        sizes = tuple(sizes)
        if len(sizes) < 2:
            raise ValueError(
                f"sizes are {sizes}; give at least the number of inputs and of outputs, as (2, 1)"
            )
        for width in sizes:
            whole_number("a size of the network", width, at_least=1)
        if isinstance(activation, nn.Module) or not callable(activation):
            raise TypeError(f"activation is {activation!r}; give what makes a module, as the class nn.Tanh")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        with seeded(seed):
            for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes[:-1]), start=1):
                layers[f"hidden{number}"] = nn.Linear(inputs, outputs)
                layers[f"activation{number}"] = activation()
            layers["output"] = nn.Linear(*sizes[-2:])
        super().__init__(layers)
        self.sizes = sizes

    def __getitem__(self, index: int | slice) -> nn.Module:
        """Return one layer, or several as an ``nn.Sequential`` that shares their parameters."""
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self._modules.items())[index]))
        return super().__getitem__(index)

    def extra_repr(self) -> str:
        """Return the sizes and the number of parameters, for ``repr``."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return f"{' → '.join(map(str, self.sizes))}, {parameters} parameters"


class Heaviside(nn.Module):
    """The step function: 1 where x ≥ 0, else 0.

    Its derivative is 0 wherever there is one, and autograd takes 0 at the step as well: nothing can be
    learned through it by gradient descent.

    Examples
    --------
    >>> Heaviside()(torch.tensor([-2.0, 0.0, 0.5]))
    tensor([0., 1., 1.])
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the step of each element."""
        # Not (x >= 0).float(), which has no gradient at all, not even zero.
        return (torch.sign(x) + 1).clamp(max=1)


class RBF(nn.Module):
    """Radial basis functions: φⱼ(x) = exp(−‖x − cⱼ‖² / 2σ²), one for each centre cⱼ.

    Parameters
    ----------
    centres
        Shape (outputs, inputs); or (outputs,) for one input.
    bandwidth
        σ, in the units of x.

    Raises
    ------
    ValueError
        If the centres are not such an array, or the bandwidth is not positive.

    References
    ----------
    K. P. Murphy, *Probabilistic Machine Learning: An Introduction*, MIT Press, 2022, section 13.6.1.

    Examples
    --------
    >>> features = RBF(torch.linspace(0, 20, 10), bandwidth=2.0)
    >>> features(torch.zeros(5, 1)).shape
    torch.Size([5, 10])
    """

    def __init__(self, centres: torch.Tensor, bandwidth: float) -> None:
        super().__init__()
        centres = torch.as_tensor(centres, dtype=torch.float32)
        if centres.ndim == 1:
            centres = centres[:, None]
        if centres.ndim != 2 or 0 in centres.shape:
            raise ValueError(
                f"centres have shape {tuple(centres.shape)}; give (outputs, inputs) or (outputs,)"
            )
        size("bandwidth", bandwidth)
        self.register_buffer("centres", centres)
        self.bandwidth = float(bandwidth)

    @property
    def outputs(self) -> int:
        """Number of features."""
        return len(self.centres)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of inputs (n, inputs), shape (n, outputs)."""
        _check_inputs(x, self.centres.shape[1])
        squared_distance = (x[:, None, :] - self.centres).square().sum(2)
        return torch.exp(-squared_distance / (2 * self.bandwidth**2))

    def extra_repr(self) -> str:
        """Return sizes and bandwidth, for ``repr``."""
        return f"{self.centres.shape[1]} → {self.outputs}, bandwidth={self.bandwidth:g}"


class Polynomial(nn.Module):
    """All products of the inputs with one to ``degree`` factors.

    For two inputs: x₁, x₂, x₁², x₁x₂, x₂², and so on. There are C(inputs + degree, degree) − 1 of them. The
    constant 1 is left to the bias of the layer that follows.

    Parameters
    ----------
    degree
        Largest number of factors.
    inputs
        Number of columns of x.

    Raises
    ------
    TypeError
        If a number is not whole.
    ValueError
        If a number is below 1.

    Examples
    --------
    >>> features = Polynomial(degree=2, inputs=2)
    >>> features(torch.tensor([[2.0, 3.0]]))
    tensor([[2., 3., 4., 6., 9.]])
    >>> model = nn.Sequential(features, nn.Linear(features.outputs, 1))
    """

    def __init__(self, degree: int, inputs: int = 1) -> None:
        super().__init__()
        whole_number("degree", degree, at_least=1)
        whole_number("inputs", inputs, at_least=1)
        self.degree, self.inputs = degree, inputs
        # Of each number of factors, which columns are multiplied: row (0, 0, 1) stands for x₁ x₁ x₂.
        for factors in range(1, degree + 1):
            columns = torch.tensor(list(itertools.combinations_with_replacement(range(inputs), factors)))
            self.register_buffer(f"columns{factors}", columns, persistent=False)

    @property
    def outputs(self) -> int:
        """Number of features."""
        return math.comb(self.inputs + self.degree, self.degree) - 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of inputs (n, inputs), shape (n, outputs)."""
        _check_inputs(x, self.inputs)
        return torch.cat([x[:, columns].prod(2) for columns in self.buffers()], dim=1)

    def extra_repr(self) -> str:
        """Return sizes and degree, for ``repr``."""
        return f"{self.inputs} → {self.outputs}, degree={self.degree}"


def _check_inputs(x: torch.Tensor, columns: int) -> None:
    """Refuse inputs of another shape than (n, columns), which broadcasting might accept."""
    if x.ndim != 2 or x.shape[1] != columns:
        raise ValueError(
            f"x has shape {tuple(x.shape)}; give (n, {columns}), as x.reshape(-1, {columns}) does"
        )
