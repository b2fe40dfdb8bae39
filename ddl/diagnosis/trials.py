"""What could be reached: the least loss of any outputs, and of a model that learns examples by heart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from ddl.diagnosis.errors import Unavailable, describe
from ddl.diagnosis.examples import Pair

if TYPE_CHECKING:
    from ddl.diagnosis.case import Case


@dataclass
class Trained:
    """What became of the model when an optimiser of ours trained it on a few examples."""

    losses: tuple[float, float]
    """Before and after."""
    learned: float | None
    """Part of the way from the least loss of one output for all examples to the least possible one."""
    parameters: dict[str, torch.Tensor]
    """Afterwards."""
    output: torch.Tensor
    """For the examples, afterwards, in training mode without dropout."""


def least_loss(case: Case, output: torch.Tensor, y: torch.Tensor, *, same: bool = False) -> float | None:
    """Return the least loss of outputs that may take any value; None if it cannot be found.

    Parameters
    ----------
    output
        Where the search begins.
    y
        The targets.
    same
        Whether the output is to be the same for all examples.
    """
    start = output.detach().contiguous()
    free = (start.mean(0, keepdim=True) if same else start.clone()).requires_grad_()
    optimizer = torch.optim.LBFGS([free], max_iter=100, line_search_fn="strong_wolfe")
    best = math.inf

    def closure() -> torch.Tensor:
        nonlocal best
        optimizer.zero_grad()
        loss = case.loss(free.expand_as(start), y).mean()
        loss.backward()
        best = min(best, loss.item())
        return loss

    try:
        with case.fresh(notice=False), torch.enable_grad():
            optimizer.step(closure)
    except Exception:  # the reader's loss may refuse outputs that are no probabilities
        return None
    return best if math.isfinite(best) else None


def learn_by_heart(case: Case, pair: Pair) -> Trained:
    """Train the model on a few examples with optimisers that hardly ever fail; the best of three."""
    x, y = case.to_model(pair)
    with case.fresh():
        start = case.value(pair)
        case.quiet()
        output = case.call("the model", case.model, x)
    if not isinstance(output, torch.Tensor):
        raise Unavailable(f"the model returns {type(output).__name__}, not a tensor")
    output = output.detach()
    floor, constant = least_loss(case, output, y), least_loss(case, output, y, same=True)
    best, failure = None, None
    for attempt in (_adam(3e-3, 60), _adam(3e-2, 60), _lbfgs):
        with case.fresh(notice=False):
            case.quiet()
            trainable = [parameter for parameter in case.model.parameters() if parameter.requires_grad]
            try:
                attempt(trainable, lambda: case.loss(case.model(x), y).mean())
            except Exception as error:  # the reader's code, or a line search among infinities
                failure = error
                continue
            end = case.value(pair)
            case.quiet()
            with torch.no_grad():
                output = case.model(x).detach()
            parameters = {name: p.detach().clone() for name, p in case.model.named_parameters()}
        learned = None
        if floor is not None and constant is not None and constant - floor > 1e-9:
            learned = (constant - end) / (constant - floor)
        if best is None or not end >= best.losses[1]:
            best = Trained((start, end), learned, parameters, output)
        if learned is not None and learned > 0.8:
            break
    if best is None:
        raise Unavailable(f"training raised {describe(failure)}")
    return best


def _adam(lr: float, steps: int) -> Callable[..., None]:
    """Return what trains parameters with Adam."""

    def run(parameters: list[nn.Parameter], loss: Callable[[], torch.Tensor]) -> None:
        fast = all(p.is_floating_point() and p.device.type in ("cpu", "cuda", "mps") for p in parameters)
        optimizer = torch.optim.Adam(parameters, lr=lr, fused=fast)
        for _ in range(steps):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

    return run


def _lbfgs(parameters: list[nn.Parameter], loss: Callable[[], torch.Tensor]) -> None:
    """Train parameters with L-BFGS, which does not care for scales."""
    optimizer = torch.optim.LBFGS(parameters, max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
