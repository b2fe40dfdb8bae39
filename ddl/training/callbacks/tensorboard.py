"""Event files, for looking at runs in TensorBoard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ddl.checks import whole_number
from ddl.training.callbacks.base import Callback, Run
from ddl.training.callbacks.schedule import largest_rate
from ddl.training.callbacks.statistics import name_in_member

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


BINS = 30
"""Number of bins of a histogram: as many as TensorBoard shows."""


class TensorBoard(Callback):
    """The curves of a run as TensorBoard's event files, written as it goes on.

    ``tensorboard --logdir runs`` then shows all runs whose folders are in ``runs``; in a notebook
    ``%load_ext tensorboard`` and ``%tensorboard --logdir runs`` do.

    Parameters
    ----------
    folder
        Where to write, one folder for each run: its name is the name of the run in TensorBoard. It is made
        if it does not exist. What an earlier run has left there is not deleted, and no longer shown.
    histograms
        Also write, after so many epochs each, how the parameters and the gradients of the last step are
        distributed, by name. Default: never.

    Raises
    ------
    ImportError
        If the package ``tensorboard`` is not installed.
    TypeError, ValueError
        If ``histograms`` is no whole number above 0. When the run starts: if ``folder`` is a file.

    Notes
    -----
    The scalars have the names of the history's curves, against the epoch, and ``learning_rate`` is the
    largest that there is, at the last step of the epoch. What has no value is left out.

    For an ensemble the scalars are the medians over the members whose run has not ended, and how these are
    distributed is a histogram, as ``loss/members``. The histograms of parameters and gradients are of all
    members together.

    The files are up to date after each epoch, and are closed after an exception too. A run that goes on from
    a :class:`Checkpoint` goes on in them.

    Examples
    --------
    >>> import tempfile
    >>> import ddl
    >>> from torch import nn
    >>> folder = tempfile.TemporaryDirectory()
    >>> board = TensorBoard(f"{folder.name}/line", histograms=2)
    >>> data, loss = ddl.datasets.ten_points(), nn.MSELoss()
    >>> history = ddl.fit(nn.Linear(1, 1), data, loss=loss, epochs=4, lr=0.05, callbacks=board)
    >>> folder.cleanup()
    """

    def __init__(self, folder: str | os.PathLike[str], *, histograms: int | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard needs the package tensorboard: pip install tensorboard") from error
        self.folder = Path(folder)
        self.histograms = None if histograms is None else whole_number("histograms", histograms, at_least=1)
        self._open = SummaryWriter
        self._writer: SummaryWriter | None = None
        self._written = 0

    def on_start(self, run: Run) -> None:
        """Make the folder, so that one that cannot be made is known before the run."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ValueError(
                f"{str(self.folder)!r} is a file or in one; give a folder for this run, as 'runs/first'"
            ) from error
        self._written = 0

    def on_epoch_end(self, run: Run) -> None:
        """Write the epoch."""
        self._write_curves(run)
        if self.histograms is not None and run.epoch % self.histograms == 0:
            for name, parameter in run.model.named_parameters():
                self._write_histogram(
                    f"parameters/{name_in_member(run, name)}", parameter.detach(), run.epoch
                )
            for name, gradient in run.gradients().items():
                if gradient is not None:
                    tag = f"gradients/{name_in_member(run, name)}"
                    self._write_histogram(tag, gradient.to_dense(), run.epoch)
        self._writer.flush()

    def on_end(self, run: Run) -> None:
        """Write an epoch that diverged."""
        if self._written < run.epoch:
            self._write_curves(run)

    def on_exit(self, run: Run) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _write_curves(self, run: Run) -> None:
        """Write the values of the last epoch."""
        if self._writer is None:
            # Only now is it known where a run goes on. TensorBoard forgets what it has of this epoch and
            # later ones: of an earlier run, or of the same after its last checkpoint.
            self._writer = self._open(str(self.folder), purge_step=run.epoch)
        for name in run.history:
            values = np.atleast_1d(run.history[name][-1])
            values = values[~np.isnan(values)]
            if len(values):
                self._writer.add_scalar(name, np.median(values), run.epoch)
            if run.members is not None:
                self._write_histogram(f"{name}/members", torch.from_numpy(values), run.epoch)
        self._writer.add_scalar("learning_rate", largest_rate(run), run.epoch)
        self._written = run.epoch

    def _write_histogram(self, tag: str, values: torch.Tensor, epoch: int) -> None:
        """Write how the numbers among some values are distributed, if there are any."""
        values = values[values.isfinite()].cpu().double().numpy()
        if len(values):
            # Of its own accord the writer takes 1500 bins, and ten times as long; and a number of bins alone
            # is refused where the values lie too close together.
            edges = np.linspace(values.min(), values.max(), BINS + 1)
            self._writer.add_histogram(tag, values, epoch, bins=edges)

    def state_dict(self) -> dict[str, Any]:
        """Return which epoch was written last."""
        return {"written": self._written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self._written = state["written"]
