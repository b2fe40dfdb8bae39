"""What goes through the layers of a model: how large, how saturated, how dead."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from ddl.datasets import Dataset
from ddl.training import checks
from ddl.training.engines import EVALUATION_ROWS
from ddl.training.ensemble import Ensemble

if TYPE_CHECKING:
    import pandas as pd

SATURATED: dict[type[nn.Module], Callable[[torch.Tensor], torch.Tensor]] = {
    nn.Tanh: lambda values: values.abs() > 0.97,
    nn.Sigmoid: lambda values: (values < 0.03) | (values > 0.97),
}
"""Where an activation is so flat that hardly any gradient passes."""

ACTIVATIONS = ("mean", "std", "saturated", "dead")
"""What is measured of each module."""

Measured = dict[str, dict[str, float]]


def activation_statistics(model: nn.Module, x: Dataset | torch.Tensor) -> pd.DataFrame:
    """Measure what the layers of a model put out, in evaluation mode.

    Parameters
    ----------
    model
        A module; it is left as it is, its mode included.
    x
        Inputs, shape (n, …), or a data set.

    Returns
    -------
    pandas.DataFrame
        One row for each module without modules in it, by its name, in the order in which they are called; one
        called several times in a pass has a row for each, as ``relu`` and ``relu (2)``. Functions that are no
        modules, such as ``torch.relu``, are not seen. The columns, over all examples and all numbers put out
        for each:

        - ``mean`` and ``std`` (dividing by their number);
        - ``saturated``: the share that is beyond ±0.97 for ``nn.Tanh``, below 0.03 or above 0.97 for
          ``nn.Sigmoid``; NaN for others;
        - ``dead``: for ``nn.ReLU`` the share of its units (each number that it puts out per example) that are
          0 for all examples; NaN for others.

    Raises
    ------
    TypeError
        If ``model`` is an ensemble, or ``x`` no tensor and no data set.
    ValueError
        If there are no examples, or the model cannot take them.

    Examples
    --------
    >>> import ddl
    >>> model = ddl.models.MLP((2, 50, 1), seed=0)
    >>> model.hidden1.weight.data *= 10
    >>> table = activation_statistics(model, ddl.datasets.moons(100, rng=ddl.rng(1)))
    >>> table.index.tolist()
    ['hidden1', 'activation1', 'output']
    >>> bool(table.loc["activation1", "saturated"] > 0.3)
    True
    """
    import pandas as pd

    measured = measure(model, inputs(x))
    return pd.DataFrame.from_dict(measured, orient="index", columns=ACTIVATIONS).rename_axis("module")


def inputs(x: Dataset | torch.Tensor) -> torch.Tensor:
    """Return the inputs, and refuse what holds none."""
    values = x.x if isinstance(x, Dataset) else x
    if not isinstance(values, torch.Tensor):
        raise TypeError(
            f"activations are to be measured for {values!r}; give the inputs, as data.x, or a data set"
        )
    if values.ndim == 0 or not len(values):
        raise ValueError(f"the inputs have shape {tuple(values.shape)}; give at least one example")
    return values


@torch.no_grad()
def measure(model: nn.Module, x: torch.Tensor) -> Measured:
    """Return the statistics of the modules by name."""
    if isinstance(model, Ensemble):
        raise TypeError(
            f"activations are measured of a single model, and this is an ensemble of {model.members}; take "
            "one of its members, as activation_statistics(ensemble.member(0), data.x)"
        )
    modes = {module: module.training for module in model.modules()}
    sums: dict[str, Sums] = {}
    calls: Counter[str] = Counter()
    handles = [
        module.register_forward_hook(_hook(name, sums, calls))
        for name, module in model.named_modules()
        if not any(True for _ in module.children())
    ]
    try:
        model.eval()
        device = next(model.parameters()).device
        for rows in x.split(EVALUATION_ROWS):
            calls.clear()
            with checks.refusal(f"{type(model).__name__} cannot take inputs of shape {tuple(x.shape)}"):
                model(rows.to(device))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return {name: of_one.values() for name, of_one in sums.items()}


def _hook(
    name: str, sums: dict[str, Sums], calls: Counter[str]
) -> Callable[[nn.Module, object, object], None]:
    """Return what a module calls with its output."""

    def add(module: nn.Module, _: object, output: object) -> None:
        output = output[0] if isinstance(output, tuple) else output
        if isinstance(output, torch.Tensor):
            calls[name] += 1
            key = name if calls[name] == 1 else f"{name} ({calls[name]})"
            sums.setdefault(key, Sums(type(module))).add(output)

    return add


class Sums:
    """What is known of the outputs of one module so far."""

    def __init__(self, kind: type[nn.Module]) -> None:
        self.kind = kind
        self.n = 0
        self.mean = 0.0
        self.squares = 0.0
        self.saturated = 0 if kind in SATURATED else math.nan
        self.alive: torch.Tensor | None = None

    def add(self, output: torch.Tensor) -> None:
        """Add the outputs for some more examples, the first axis."""
        values = output if output.is_floating_point() else output.float()
        n, mean = values.numel(), values.mean().item()
        # The sums of squares of two parts about their own means, and what lies between the means: no digits
        # are lost, as they would be in a difference of large sums.
        between = (mean - self.mean) ** 2 * self.n * n / (self.n + n)
        self.squares += values.var(correction=0).item() * n + between
        self.mean += (mean - self.mean) * n / (self.n + n)
        self.n += n
        if self.kind in SATURATED:
            self.saturated += SATURATED[self.kind](values).sum().item()
        if self.kind is nn.ReLU:
            alive = (values != 0).any(0)
            self.alive = alive if self.alive is None else self.alive | alive

    def values(self) -> dict[str, float]:
        """Return the statistics."""
        dead = math.nan if self.alive is None else 1 - self.alive.float().mean().item()
        numbers = (self.mean, math.sqrt(self.squares / self.n), self.saturated / self.n, dead)
        return dict(zip(ACTIVATIONS, numbers, strict=True))
