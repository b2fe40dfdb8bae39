"""The end of a run at the right time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ddl.checks import whole_number
from ddl.training.callbacks.base import Callback, Run, State, copy_of_state

MODES = {"loss": "min", "accuracy": "max"}


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
    best_epoch : int or ndarray
        The epoch of the best value, 0 before there is one; for an ensemble shape (members,).
    best : float or ndarray
        That value.

    Raises
    ------
    ValueError
        If ``patience`` is below 1, ``mode`` is unknown or not to be guessed, or the value is not measured.

    Notes
    -----
    Each member of an ensemble is stopped by its own values, and goes back to its own best epoch.
    """

    def __init__(
        self, patience: int, *, monitor: str = "val_loss", mode: str | None = None, restore: bool = True
    ) -> None:
        self.patience = whole_number("patience, in epochs,", patience, at_least=1)
        mode = mode or MODES.get(monitor.removeprefix("val_"))
        if mode not in ("min", "max"):
            raise ValueError(
                f'mode is {mode!r} for {monitor!r}; give "min" if smaller is better, "max" if larger is'
            )
        self.monitor, self.mode, self.restore = monitor, mode, restore
        self._forget(None)

    def _forget(self, members: int | None) -> None:
        """Know of no epoch yet."""
        shape = () if members is None else (members,)
        self.best_epoch = np.zeros(shape, dtype=int)[()]
        self.best = np.full(shape, np.inf if self.mode == "min" else -np.inf)[()]
        self._state: State = {}

    def on_start(self, run: Run) -> None:
        """Refuse a value that is not measured; forget an earlier run."""
        if self.monitor not in run.history:
            raise ValueError(
                f"EarlyStopping watches {self.monitor!r}, but the run measures {', '.join(run.history)}; "
                "pass validation= or metrics= to fit, or another monitor="
            )
        self._forget(run.members)

    def on_epoch_end(self, run: Run) -> None:
        """Remember the best epoch; stop the run, or those members, whose best epoch is long ago."""
        value = np.asarray(run.history.final(self.monitor))
        better = np.asarray(value < self.best if self.mode == "min" else value > self.best)
        if better.any():
            self.best = np.where(better, value, self.best)[()]
            self.best_epoch = np.where(better, run.epoch, self.best_epoch)[()]
            if self.restore:
                self._keep(run, better)
        late = ~better & (run.epoch - self.best_epoch >= self.patience)
        if late.any():
            run.stop(late)

    def _keep(self, run: Run, better: np.ndarray) -> None:
        """Keep the present values, or those of the members that have become better."""
        if not self._state or better.all():
            self._state = copy_of_state(run.model)
            return
        members = torch.from_numpy(better)
        for name, value in run.model.state_dict().items():
            self._state[name][members] = value[members].to(self._state[name].device)

    def on_end(self, run: Run) -> None:
        """Go back to the best parameters."""
        if self._state:
            run.model.load_state_dict(self._state)
            self._state = {}

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch, its value and its parameters."""
        return {
            "best_epoch": np.asarray(self.best_epoch).tolist(),
            "best": np.asarray(self.best).tolist(),
            "state": self._state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.best_epoch = np.array(state["best_epoch"])[()]
        self.best = np.array(state["best"])[()]
        self._state = state["state"]
