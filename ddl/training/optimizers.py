"""The optimisers that :func:`ddl.fit` knows by name, also with a rate and a decay for each member."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ddl.checks import size

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

PerMemberNumber = float | Sequence[float] | np.ndarray

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "nesterov": functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
}
"""The optimisers that :func:`ddl.fit` knows by name; momentum is 0.9, the rest is PyTorch's default."""

FUSED = ("sgd", "momentum", "nesterov", "adagrad", "adam", "adamw")
"""Those that PyTorch can also do in one pass over the parameters."""

ELEMENTWISE = (
    torch.optim.ASGD,
    torch.optim.Adadelta,
    torch.optim.Adagrad,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.Adamax,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Rprop,
    torch.optim.SGD,
)
"""Optimisers that change each number by its own gradients only, so that members may share a tensor."""


def check(
    optimizer: str | OptimizerFactory,
    lr: PerMemberNumber | None,
    weight_decay: PerMemberNumber,
    fused: bool,
    members: int | None,
) -> None:
    """Refuse an unknown optimiser, rates and decays that it cannot have, and those that it sets itself."""
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer {optimizer!r} is not known; there are {', '.join(OPTIMIZERS)}; "
                "or give a function from the parameters to an optimiser"
            )
        if lr is None:
            raise TypeError(f"lr is missing; give the learning rate of {optimizer!r}, as lr=0.1")
        _numbers("lr", lr, members, zero=False)
        _numbers("weight_decay", weight_decay, members, zero=True)
        if fused and optimizer not in FUSED:
            raise ValueError(
                f"fused is {fused}, but PyTorch has no fused {optimizer!r}; it has {', '.join(FUSED)}"
            )
        return
    if not callable(optimizer) or isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is {optimizer!r}; give a name or a function from the parameters to an optimiser"
        )
    if lr is not None or fused or np.any(weight_decay):
        raise ValueError(
            f"lr is {lr}, weight_decay {weight_decay} and fused {fused}, but the function given as optimizer "
            "sets them; leave them out"
        )


def _numbers(name: str, value: PerMemberNumber, members: int | None, *, zero: bool) -> None:
    """Refuse what is neither a number nor, for an ensemble, one number per member."""
    if not is_per_member(value):
        size(name, value, zero=zero)
        return
    if members is None:
        raise TypeError(f"{name} is {value!r}; give one number, or train an Ensemble with one per member")
    if np.shape(value) != (members,):
        raise ValueError(f"{name} has shape {np.shape(value)}; give one number, or {members}, one per member")
    for number in value:
        size(name, number, zero=zero)


def is_per_member(value: object) -> bool:
    """Return whether there is one number for each member."""
    return isinstance(value, Sequence | np.ndarray | torch.Tensor) and not isinstance(value, str)


def make(
    optimizer: str | OptimizerFactory,
    parameters: list[nn.Parameter] | list[dict[str, Any]],
    *,
    lr: float | None,
    weight_decay: float,
    fused: bool,
) -> torch.optim.Optimizer:
    """Make the optimiser of a name or of a function."""
    if isinstance(optimizer, str):
        # Only where it was asked for: False would also rule out PyTorch's own choice for a GPU.
        options = {"fused": True} if fused else {}
        return OPTIMIZERS[optimizer](parameters, lr=lr, weight_decay=weight_decay, **options)
    made = optimizer(parameters)
    if not isinstance(made, torch.optim.Optimizer):
        raise TypeError(f"optimizer returned {made!r}; give a function that returns a torch.optim.Optimizer")
    return made


def make_for_members(
    optimizer: str,
    parameters: list[nn.Parameter],
    *,
    lr: PerMemberNumber,
    weight_decay: PerMemberNumber,
    fused: bool,
) -> torch.optim.Optimizer:
    """Make an optimiser of stacked parameters that gives each member its own rate and decay.

    PyTorch's optimiser takes each step with the largest of the rates. In all optimisers of
    :data:`OPTIMIZERS` a step is proportional to the rate, so that of member i is then scaled by its share of
    the largest rate. A weight decay of its own is applied before the step, as PyTorch does: to the parameters
    for ``"adamw"``, to the gradients for all others. The result is that of separate training to rounding.
    """
    rates = np.atleast_1d(np.asarray(lr, dtype=float))
    own_decay = is_per_member(weight_decay)
    made = make(
        optimizer,
        parameters,
        lr=float(rates.max()),
        weight_decay=0.0 if own_decay else float(weight_decay),
        fused=fused,
    )
    shares = rates / rates.max()
    decays = np.asarray(weight_decay, dtype=float)
    before: list[torch.Tensor] = []
    gradients: list[torch.Tensor | None] = []

    def along(parameter: nn.Parameter, values: np.ndarray) -> torch.Tensor:
        """Return one number per member in the shape that broadcasts against a parameter's."""
        values = torch.as_tensor(values, dtype=parameter.dtype).to(parameter.device)
        return values.reshape(-1, *[1] * (parameter.ndim - 1))

    @torch.no_grad()
    def decay(stepper: torch.optim.Optimizer, *_: object) -> None:
        rate = stepper.param_groups[0]["lr"]
        gradients[:] = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if parameter.grad is None:
                continue
            if optimizer == "adamw":
                parameter.mul_(along(parameter, 1 - rate * shares * decays))
            else:
                parameter.grad = torch.addcmul(parameter.grad, parameter, along(parameter, decays))

    def put_gradients_back(*_: object) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    @torch.no_grad()
    def remember(*_: object) -> None:
        before[:] = [parameter.clone() for parameter in parameters]

    @torch.no_grad()
    def scale(*_: object) -> None:
        for parameter, old in zip(parameters, before, strict=True):
            torch.lerp(old, parameter, along(parameter, shares), out=parameter)

    if own_decay:
        made.register_step_pre_hook(decay)
        made.register_step_post_hook(put_gradients_back)
    if (shares != 1).any():
        made.register_step_pre_hook(remember)
        made.register_step_post_hook(scale)
    return made
