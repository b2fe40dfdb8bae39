"""Copies of a model as it learns, for figures that move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from ddl.training.callbacks.base import Callback, Run, State, copy_of_state
from ddl.training.callbacks.due import Due
from ddl.training.ensemble import state_of_member


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
        self.due = Due("snapshots", 0, every=every, at=at)
        self._states: dict[int, State] = {}

    def on_start(self, run: Run) -> None:
        """Forget an earlier run, and take epoch 0."""
        self.due.check(run.epochs)
        self._states = {}
        self.on_epoch_end(run)

    def on_epoch_end(self, run: Run) -> None:
        """Take a snapshot where one is due."""
        if run.epoch in self.due:
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

    def load(self, model: nn.Module, epoch: int, *, member: int | None = None) -> nn.Module:
        """Put the parameters and buffers of an epoch into a model, and return it.

        Parameters
        ----------
        model
            What was trained, or a model of the same shape.
        epoch
            Which snapshot.
        member
            If an ensemble was trained: which member to put into a model of its shape. Default: all of them
            into the ensemble.
        """
        model.load_state_dict(self[epoch] if member is None else state_of_member(self[epoch], member))
        return model

    def state_dict(self) -> dict[str, Any]:
        """Return the snapshots."""
        return {"states": self._states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self._states = state["states"]
