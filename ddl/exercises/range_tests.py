"""Judging a learning-rate range test: its curve, and what it leaves behind."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ddl.exercises.answers import array, result_of
from ddl.exercises.patients import regressor, with_state
from ddl.exercises.verdict import Hint

RangeTest = Callable[..., Sequence[float]]
"""Takes model, optimizer, loss, x, y and rates; returns the loss before the step with each rate."""


def check_curve(function: RangeTest) -> None:
    """Refuse a range test whose losses are not those of one run with rising rates.

    Parameters
    ----------
    function
        What was handed in.

    Raises
    ------
    Hint
        With what the losses look like, if they are those of a usual slip.
    """
    rates = np.geomspace(1e-3, 2, 12).tolist()
    rng = np.random.default_rng(22)
    x, y = (torch.tensor(rng.normal(size=(20, k)), dtype=torch.float32) for k in (3, 1))
    model = regressor()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    runs = {
        slip: _curve(model, x, y, rates, slip) for slip in ("", "late", "same", "again", "stale", "single")
    }
    given = array("The losses", result_of(function, model, optimizer, nn.MSELoss(), x, y, list(rates)))
    if given.shape != (len(rates),):
        raise Hint(
            f"For {len(rates)} rates you return losses of shape {given.shape}; one for each is wanted."
        )
    for slip, hint in (
        ("late", "You measure after the step. The first loss must be that of the weights as they came."),
        ("same", "Every step is taken with the optimiser's own rate. Set it in optimizer.param_groups."),
        ("again", "Every rate starts from the same weights. Go on from where the last step led: one run."),
        ("single", "Every rate starts from the same weights. Go on from where the last step led: one run."),
        ("stale", "The gradients of earlier steps are still there: zero_grad."),
    ):
        if np.allclose(given, runs[slip], rtol=1e-3):
            raise Hint(hint)
    if not np.allclose(given, runs[""], rtol=1e-3):
        wrong = int(np.flatnonzero(~np.isclose(given, runs[""], rtol=1e-3))[0])
        raise Hint(f"Loss number {wrong + 1} is {runs[''][wrong]:.4g}; you return {given[wrong]:.4g}.")


def check_traces(function: RangeTest) -> None:
    """Refuse a range test that changes a model, its optimiser, its mode, or the random state.

    Parameters
    ----------
    function
        What was handed in; its curve is right.

    Raises
    ------
    Hint
        With the first thing that is not as it was.
    """
    model, x, y = with_state()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        for _ in range(2):
            functional.cross_entropy(model.train()(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
        before, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
        dice = torch.random.get_rng_state()
        result_of(function, model, optimizer, nn.CrossEntropyLoss(), x, y, [0.01, 0.1, 1.0])
        dice_after = torch.random.get_rng_state()
    after, state_after = model.state_dict(), optimizer.state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    if any("running" not in name and "batches" not in name for name in changed):
        raise Hint(
            "The curve is right, but the weights are not as before. If you kept model.state_dict(): it holds "
            "the tensors themselves, and they were trained. Keep copy.deepcopy of it."
        )
    if changed:
        raise Hint("The weights are as before, but not the buffers: batch norm has seen every step.")
    if [group["lr"] for group in state_after["param_groups"]] != [0.05]:
        raise Hint(
            f"The optimiser is left with the rate {state_after['param_groups'][0]['lr']:g}; it had 0.05."
        )
    if not _same_momenta(state["state"], state_after["state"]):
        raise Hint(
            "The optimiser's momentum is not as before: its state has to be kept and restored as well."
        )
    if not model.training:
        raise Hint("The model came in training mode and is in evaluation mode now.")
    if any(p.grad is not None and p.grad.any() for p in model.parameters()):
        raise Hint(
            "The parameters have the gradients of the last step: a loop that adds to them would be misled."
        )
    if not torch.equal(dice, dice_after):
        raise Hint(
            "Dropout has drawn random numbers, and what is drawn next is another: training goes on "
            "differently. Put the random state back, or work inside torch.random.fork_rng()."
        )


def _curve(
    start: nn.Module, x: torch.Tensor, y: torch.Tensor, rates: Sequence[float], slip: str
) -> list[float]:
    """Return the losses of a range test, or of one with a slip, on a copy of the model."""
    model = copy.deepcopy(start)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    losses = []
    for rate in rates:
        if slip in ("again", "single"):
            model = copy.deepcopy(start)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
        if slip != "same":
            optimizer.param_groups[0]["lr"] = rate
        loss = functional.mse_loss(model(x), y)
        if slip != "stale":
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if slip in ("late", "single"):
            loss = functional.mse_loss(model(x), y)
        losses.append(loss.item())
    return losses


def _same_momenta(before: dict[int, dict], after: dict[int, dict]) -> bool:
    """Return whether two optimisers have the same momentum for every parameter."""
    return before.keys() == after.keys() and all(
        after[key].get("momentum_buffer") is not None
        and torch.equal(before[key]["momentum_buffer"], after[key]["momentum_buffer"])
        for key in before
    )
