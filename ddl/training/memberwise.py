"""Losses and metrics of single models as those of all members of an ensemble at once."""

from __future__ import annotations

import functools
from typing import Protocol

import torch
from torch import nn
from torch.func import vmap
from torch.nn import functional as F

from ddl.training.measures import Measure, accuracy, binary_cross_entropy


class Memberwise(Protocol):
    """A loss or metric of all members."""

    def __call__(self, output: torch.Tensor, y: torch.Tensor, *, own_y: bool) -> torch.Tensor:
        """Return the values, shape (members,).

        Parameters
        ----------
        output
            Shape (members, n, …).
        y
            Shape (n, …); or (members, n, …).
        own_y
            Whether each member has targets of its own, which is the second of these shapes.
        """


def memberwise(measure: Measure, output: torch.Tensor, y: torch.Tensor, *, own_y: bool) -> Memberwise:
    """Return a measure that gives each member what the given one gives it alone.

    The usual ones are computed in one go, others by :func:`torch.func.vmap`; and those that vmap cannot take,
    such as one that returns a number of Python's, member by member. Which of them is found out by trying
    these outputs and targets.
    """
    known = _known(measure, output.shape[1:], y.shape[1:] if own_y else y.shape, y.is_floating_point())
    if known is not None:
        return lambda output, y, *, own_y: known(output, y if own_y else y.expand(len(output), *y.shape))

    def mapped(output: torch.Tensor, y: torch.Tensor, *, own_y: bool) -> torch.Tensor:
        return vmap(measure, in_dims=(0, 0 if own_y else None), randomness="different")(output, y)

    def looped(output: torch.Tensor, y: torch.Tensor, *, own_y: bool) -> torch.Tensor:
        targets = y if own_y else [y] * len(output)
        values = [measure(of_one, target) for of_one, target in zip(output, targets, strict=True)]
        return torch.stack([torch.as_tensor(value, device=output.device) for value in values])

    try:
        mapped(output, y, own_y=own_y)
    except (RuntimeError, ValueError, TypeError, NotImplementedError):
        return looped
    return mapped


def _known(measure: Measure, output: torch.Size, y: torch.Size, real: bool) -> Measure | None:
    """Return a measure that takes a leading member axis, if there is one for these shapes of one member."""
    labels = len(output) == 2 and len(y) == 1 and not real
    if measure is F.cross_entropy and labels:
        return _cross_entropy
    if type(measure) is nn.CrossEntropyLoss and labels:
        if measure.weight is None and measure.reduction == "mean":
            return functools.partial(_cross_entropy, label_smoothing=measure.label_smoothing)
    elif measure is F.mse_loss or (type(measure) is nn.MSELoss and measure.reduction == "mean"):
        return _mean_squared_error if output == y else None
    elif measure is binary_cross_entropy:
        return _binary_cross_entropy
    elif measure is accuracy and labels:
        return _accuracy
    return None


def _cross_entropy(output: torch.Tensor, y: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """Return the mean cross entropy of each member; output (members, n, classes), y (members, n)."""
    of_each = F.cross_entropy(
        output.flatten(0, 1), y.flatten(), reduction="none", label_smoothing=label_smoothing
    )
    return of_each.view(y.shape).mean(1)


def _mean_squared_error(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of each member; output and y (members, n, …)."""
    return F.mse_loss(output, y, reduction="none").flatten(1).mean(1)


def _binary_cross_entropy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross entropy of each member; one logit and one label per example."""
    logits = logits.flatten(1)
    y = y.flatten(1).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, y, reduction="none").mean(1)


def _accuracy(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the share of right predictions of each member; output (members, n, classes or 1)."""
    predicted = output.argmax(2) if output.shape[2] > 1 else (output[..., 0] > 0)
    return (predicted == y).sum(1).cpu().double() / y.shape[1]  # not every device knows double
