"""What a callback is, and what it sees of a training run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from ddl.training.history import History

State = dict[str, torch.Tensor]


@dataclass
class Run:
    """A training run as its callbacks see it.

    Attributes
    ----------
    model
        What is trained: a module, or an :class:`ddl.Ensemble`.
    optimizer
        What changes its parameters.
    history
        The epochs recorded so far; its ``names`` are known from the start.
    epochs
        Number of epochs asked for.
    gradients
        Function that returns the gradients of the last step by the parameters' names; for an ensemble with
        the members first; None for a parameter that has none.
    generators
        What the permutations are drawn from: one generator, or one for each member of an ensemble.
    describe
        Function that says in words what kind of run this is; one of another kind cannot be continued.
    callbacks
        All callbacks of the run, in the order in which they are called.
    steps_per_epoch
        Number of steps of an epoch; of the member with the most examples.
    epoch
        Number of epochs finished: 0 at the start.
    step
        Number of steps taken.
    loss
        The loss of the last step, before it was taken; for an ensemble shape (members,). Only up to date if
        there is a callback with ``on_step_end``.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    history: History
    epochs: int
    gradients: Callable[[], dict[str, torch.Tensor | None]]
    generators: Sequence[np.random.Generator] = ()
    describe: Callable[[], dict[str, str]] = dict
    callbacks: Sequence[Callback] = ()
    steps_per_epoch: int = 1
    epoch: int = 0
    step: int = 0
    loss: torch.Tensor | float = float("nan")
    _stopping: np.ndarray | bool = field(default=False, repr=False)

    @property
    def members(self) -> int | None:
        """Number of members of the ensemble; None for a single model."""
        return self.history.members

    def stop(self, members: np.ndarray | None = None) -> None:
        """End the run after this epoch.

        Parameters
        ----------
        members
            Which members of an ensemble: booleans, shape (members,). The others go on. Default: all.
        """
        self._stopping = self._stopping | (True if members is None else members)

    def settle(self) -> None:
        """Record in the history what :meth:`stop` was asked for, now that the epoch is complete."""
        if np.any(self._stopping):
            self.history.end(self.epoch, "stopped", self._stopping)
            self._stopping = False


class Callback:
    """Base class of callbacks: override what you need.

    Examples
    --------
    >>> class Print(Callback):
    ...     def on_epoch_end(self, run):
    ...         print(run.epoch, run.history.final("loss"))
    """

    order = 0
    """Callbacks with a larger number are called after those with a smaller one, wherever they stand.

    0 is for those that look on, 1 for those that change how the run goes on, 2 for those that keep it.
    """

    def on_start(self, run: Run) -> None:
        """Act before the first epoch."""

    def on_step_end(self, run: Run) -> None:
        """Act after a step of the optimiser, whose gradients are still there, in training mode."""

    def on_epoch_end(self, run: Run) -> None:
        """Act after an epoch, whose values are recorded, in evaluation mode; not after one that diverged."""

    def on_end(self, run: Run) -> None:
        """Act after the last epoch, however the run ended, unless with an exception."""

    def on_exit(self, run: Run) -> None:
        """Clean up, in any case: the last thing to be called, also after an exception."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep of this callback: numbers, strings, tensors, lists, dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""


def notify(callbacks: Sequence[Callback], moment: str, run: Run) -> None:
    """Call one method of all callbacks; an exception that one raises says which one it was."""
    for callback in callbacks:
        try:
            getattr(callback, moment)(run)
        except Exception as error:
            error.add_note(
                f"Raised by the callback {type(callback).__name__} in {moment}, after epoch {run.epoch} and "
                f"step {run.step}. The model is as this step left it."
            )
            raise
        if moment != "on_step_end":
            run.settle()


def copy_of_state(model: nn.Module, device: torch.device | str | None = None) -> State:
    """Return copies of a model's parameters and buffers, on their device or another."""
    return {name: value.detach().to(device=device, copy=True) for name, value in model.state_dict().items()}
