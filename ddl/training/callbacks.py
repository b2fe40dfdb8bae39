"""What may happen between the epochs of a training run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ddl.training.history import History

State = dict[str, torch.Tensor]

MODES = {"loss": "min", "accuracy": "max"}


@dataclass
class Run:
    """A training run as its callbacks see it.

    Attributes
    ----------
    model
        What is trained.
    optimizer
        What changes its parameters.
    history
        The epochs recorded so far; its ``names`` are known from the start.
    epochs
        Number of epochs asked for.
    epoch
        Number of epochs finished: 0 at the start.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    history: History
    epochs: int
    epoch: int = 0

    def stop(self) -> None:
        """End the run after this epoch."""
        self.history.stopped = self.epoch


class Callback:
    """Base class of callbacks: override what you need.

    Examples
    --------
    >>> class Print(Callback):
    ...     def on_epoch_end(self, run):
    ...         print(run.epoch, run.history.final("loss"))
    """

    def on_start(self, run: Run) -> None:
        """Act before the first epoch."""

    def on_epoch_end(self, run: Run) -> None:
        """Act after an epoch, whose values are recorded; not after one that diverged."""

    def on_end(self, run: Run) -> None:
        """Act after the last epoch, however the run ended, unless with an exception."""


class Snapshots(Callback):
    """Copies of the parameters and buffers, taken as the run goes on; epoch 0 is before training.

    Parameters
    ----------
    every
        Take one at epoch 0, ``every``, 2 ``every``, …
    at
        Take one at each of these epochs instead.

    Raises
    ------
    TypeError
        If both or neither are given.
    ValueError
        If ``every`` is below 1, or an epoch of ``at`` is not one of the run.

    Examples
    --------
    >>> import ddl
    >>> from torch import nn
    >>> data, model, snapshots = ddl.datasets.ten_points(), nn.Linear(1, 1), Snapshots(at=[0, 1, 10])
    >>> _ = ddl.fit(model, data, loss=nn.MSELoss(), epochs=10, lr=0.01, callbacks=[snapshots])
    >>> for epoch in snapshots:
    ...     line = snapshots.load(model, epoch)(data.x)
    """

    def __init__(self, *, every: int | None = None, at: Iterable[int] | None = None) -> None:
        if (every is None) == (at is None):
            raise TypeError(f"every={every} and at={at}; give one of them, as Snapshots(every=10)")
        if every is not None and every < 1:
            raise ValueError(f"every is {every}; it must be at least 1")
        self.every = every
        self.at = None if at is None else sorted(set(at))
        self._states: dict[int, State] = {}

    def on_start(self, run: Run) -> None:
        """Forget an earlier run, and take epoch 0."""
        if self.at is not None and not all(0 <= epoch <= run.epochs for epoch in self.at):
            raise ValueError(
                f"snapshots at epochs {self.at} of a run from epoch 0 to {run.epochs}; leave the others out"
            )
        self._states = {}
        self.on_epoch_end(run)

    def on_epoch_end(self, run: Run) -> None:
        """Take a snapshot where one is due."""
        if run.epoch in self.at if self.at is not None else run.epoch % self.every == 0:
            self._states[run.epoch] = copy_of_state(run.model, device="cpu")

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that there is a snapshot of."""
        return tuple(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[int]:
        return iter(self.epochs)

    def __getitem__(self, epoch: int) -> State:
        """Return the ``state_dict`` of an epoch, on the CPU."""
        if epoch not in self._states:
            raise KeyError(f"there is no snapshot of epoch {epoch}; there are {self.epochs}")
        return self._states[epoch]

    def load(self, model: nn.Module, epoch: int) -> nn.Module:
        """Put the parameters and buffers of an epoch into a model, and return it."""
        model.load_state_dict(self[epoch])
        return model


class EarlyStopping(Callback):
    """End the run when a value has not improved for some epochs, and go back to the best parameters.

    Parameters
    ----------
    patience
        Number of epochs without improvement to wait for.
    monitor
        Name of the value, one of the history's.
    mode
        ``"min"`` if smaller is better, ``"max"`` if larger is. Default: known for losses and accuracies.
    restore
        Whether the model has the parameters and buffers of the best epoch at the end, however the run ended.

    Attributes
    ----------
    best_epoch : int
        The epoch of the best value, 0 before there is one.
    best : float
        That value.

    Raises
    ------
    ValueError
        If ``patience`` is below 1, ``mode`` is unknown or not to be guessed, or the value is not measured.
    """

    def __init__(
        self, patience: int, *, monitor: str = "val_loss", mode: str | None = None, restore: bool = True
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience is {patience}; it must be at least 1 epoch")
        mode = mode or MODES.get(monitor.removeprefix("val_"))
        if mode not in ("min", "max"):
            raise ValueError(
                f'mode is {mode!r} for {monitor!r}; give "min" if smaller is better, "max" if larger is'
            )
        self.patience, self.monitor, self.mode, self.restore = patience, monitor, mode, restore
        self._forget()

    def _forget(self) -> None:
        """Know of no epoch yet."""
        self.best_epoch = 0
        self.best = float("inf") if self.mode == "min" else float("-inf")
        self._state: State | None = None

    def on_start(self, run: Run) -> None:
        """Refuse a value that is not measured; forget an earlier run."""
        if self.monitor not in run.history:
            raise ValueError(
                f"EarlyStopping watches {self.monitor!r}, but the run measures {', '.join(run.history)}; "
                "pass validation= or metrics= to fit, or another monitor="
            )
        self._forget()

    def on_epoch_end(self, run: Run) -> None:
        """Remember the best epoch; stop the run when it is long ago."""
        value = run.history.final(self.monitor)
        if value < self.best if self.mode == "min" else value > self.best:
            self.best, self.best_epoch = value, run.epoch
            self._state = copy_of_state(run.model) if self.restore else None
        elif run.epoch - self.best_epoch >= self.patience:
            run.stop()

    def on_end(self, run: Run) -> None:
        """Go back to the best parameters."""
        if self._state is not None:
            run.model.load_state_dict(self._state)
            self._state = None


def copy_of_state(model: nn.Module, device: torch.device | str | None = None) -> State:
    """Return copies of a model's parameters and buffers, on their device or another."""
    return {name: value.detach().to(device=device, copy=True) for name, value in model.state_dict().items()}
