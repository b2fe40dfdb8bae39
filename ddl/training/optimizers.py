"""The optimisers that :func:`ddl.fit` knows by name, also with a rate and a decay for each member."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Recipe:
    """What an optimiser is made from: what :func:`ddl.fit` was given."""

    optimizer: str | OptimizerFactory
    lr: PerMemberNumber | None
    weight_decay: PerMemberNumber
    fused: bool

    def check(self, members: int | None) -> None:
        """Refuse an unknown optimiser, rates and decays that it cannot have, and a second word on them."""
        optimizer = self.optimizer
        if isinstance(optimizer, str):
            if optimizer not in OPTIMIZERS:
                raise ValueError(
                    f"optimizer {optimizer!r} is not known; there are {', '.join(OPTIMIZERS)}; "
                    "or give a function from the parameters to an optimiser"
                )
            if self.lr is None:
                raise TypeError(f"lr is missing; give the learning rate of {optimizer!r}, as lr=0.1")
            _numbers("lr", self.lr, members, zero=False)
            _numbers("weight_decay", self.weight_decay, members, zero=True)
            if self.fused and optimizer not in FUSED:
                raise ValueError(
                    f"fused is True, but PyTorch has no fused {optimizer!r}; it has {', '.join(FUSED)}"
                )
            return
        if not callable(optimizer) or isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer is {optimizer!r}; give a name or a function from the parameters to an optimiser"
            )
        if self.lr is not None or self.fused or np.any(self.weight_decay):
            raise ValueError(
                f"lr is {self.lr}, weight_decay {self.weight_decay} and fused {self.fused}, but the function "
                "given as optimizer sets them; leave them out"
            )

    def make(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimiser of one model."""
        return self._make(parameters, self.lr, self.weight_decay)

    def make_for_groups(self, groups: Sequence[Sequence[nn.Parameter]]) -> torch.optim.Optimizer:
        """Make one optimiser of many models, each a group with its own rate and decay."""
        if not isinstance(self.optimizer, str):
            return self.make(list(itertools.chain(*groups)))
        rates, decays = (np.broadcast_to(value, len(groups)) for value in (self.lr, self.weight_decay))
        own = [
            {"params": parameters, "lr": float(rate), "weight_decay": float(decay)}
            for parameters, rate, decay in zip(groups, rates, decays, strict=True)
        ]
        return self._make(own, float(rates.max()), 0.0)

    def make_for_stack(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Make one optimiser of stacked parameters, in which each member has its own rate and decay.

        PyTorch's optimiser takes each step with the largest of the rates. In all optimisers of
        :data:`OPTIMIZERS` a step is proportional to the rate, so that of member i is then scaled by its share
        of the largest rate. A weight decay of its own is applied before the step, as PyTorch does: to the
        parameters for ``"adamw"``, to the gradients for all others. The result is that of separate training
        to rounding; to the bit if all members have the same rate and decay.
        """
        own_rate, own_decay = is_per_member(self.lr), is_per_member(self.weight_decay)
        lr = float(np.max(self.lr)) if own_rate else self.lr
        made = self._make(parameters, lr, 0.0 if own_decay else self.weight_decay)
        shares = np.asarray(self.lr, dtype=float) / lr if own_rate else 1.0
        if own_decay:
            _decay(made, parameters, self.optimizer == "adamw", shares, np.asarray(self.weight_decay, float))
        if own_rate:
            _scale(made, parameters, shares)
        return made

    def _make(
        self,
        parameters: Sequence[nn.Parameter] | Sequence[dict[str, object]],
        lr: float | None,
        weight_decay: float,
    ) -> torch.optim.Optimizer:
        """Make the optimiser of a name or of a function."""
        if isinstance(self.optimizer, str):
            # Only where it was asked for: False would also rule out PyTorch's own choice for a GPU.
            options = {"fused": True} if self.fused else {}
            lr, weight_decay = float(lr), float(weight_decay)  # Python's own, as they stand in checkpoints
            return OPTIMIZERS[self.optimizer](parameters, lr=lr, weight_decay=weight_decay, **options)
        made = self.optimizer(parameters)
        if not isinstance(made, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer returned {made!r}; give a function that returns a torch.optim.Optimizer"
            )
        return made


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


def _along(parameter: nn.Parameter, values: np.ndarray | float) -> torch.Tensor:
    """Return one number per member in the shape that broadcasts against a stacked parameter's."""
    tensor = torch.as_tensor(values, dtype=parameter.dtype).to(parameter.device)
    return tensor.reshape(-1, *[1] * (parameter.ndim - 1))


def _decay(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[nn.Parameter],
    decoupled: bool,
    shares: np.ndarray | float,
    decays: np.ndarray,
) -> None:
    """Make an optimiser apply a weight decay per member before each of its steps."""
    gradients: list[torch.Tensor | None] = []

    @torch.no_grad()
    def apply(stepper: torch.optim.Optimizer, *_: object) -> None:
        rates = stepper.param_groups[0]["lr"] * shares
        gradients[:] = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if parameter.grad is None:
                continue
            if decoupled:
                parameter.mul_(_along(parameter, 1 - rates * decays))
            else:
                parameter.grad = torch.addcmul(parameter.grad, parameter, _along(parameter, decays))

    def put_gradients_back(*_: object) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    optimizer.register_step_pre_hook(apply)
    optimizer.register_step_post_hook(put_gradients_back)


def _scale(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], shares: np.ndarray) -> None:
    """Make an optimiser take only a share of each of its steps, another one for each member."""
    before: list[torch.Tensor] = []

    @torch.no_grad()
    def remember(*_: object) -> None:
        before[:] = [parameter.clone() for parameter in parameters]

    @torch.no_grad()
    def scale(*_: object) -> None:
        for parameter, old in zip(parameters, before, strict=True):
            torch.lerp(old, parameter, _along(parameter, shares), out=parameter)

    optimizer.register_step_pre_hook(remember)
    optimizer.register_step_post_hook(scale)
