"""A run that survives: kept in a file, and gone on with as if it had never ended."""

from __future__ import annotations

import itertools
import os
import pickle
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import default_restore_location

from ddl.checks import whole_number
from ddl.training.callbacks.base import Callback, Run, copy_of_state

FORMAT = "ddl checkpoint 1"

EXCERPT = 120
"""Of a long description a message quotes so many characters."""


class Checkpoint(Callback):
    """The whole state of a run in a file, so that it can be gone on with, bit for bit.

    Parameters
    ----------
    path
        The file; its folder must exist. A file of that name is replaced, in one go, so that there is a whole
        one at any time.
    every
        Write it after so many epochs each, and after the last one.
    resume
        Whether a run goes on from the file, if there is one. Otherwise it begins anew.

    Attributes
    ----------
    resumed : int
        The epoch after which the last run went on; 0 if it began anew.

    Raises
    ------
    TypeError
        If ``every`` is not a whole number, or the state of a callback holds what no checkpoint can keep.
    ValueError
        If ``every`` is below 1. When the run starts: if the folder does not exist, the file is damaged or no
        checkpoint, it is of another kind of run, or more epochs are done than asked for. The model is then
        as it was.

    Notes
    -----
    The file holds the parameters and buffers, what the optimiser remembers, the history, the states of the
    other callbacks, and of all random numbers that the run draws from: those of the permutations, and
    PyTorch's own, for dropout and the like. Where it goes on, the same things follow as if it had never
    ended, on the same machine; resuming on another device takes that device's random numbers as they are.

    What is kept is the end of an epoch, before :class:`EarlyStopping` goes back to the best parameters, which
    are part of its own state. So a finished run can go on with a larger number of epochs; one that was
    stopped or has diverged stays ended, and ends in the same way again.

    Examples
    --------
    >>> import tempfile
    >>> import ddl
    >>> from torch import nn
    >>> folder = tempfile.TemporaryDirectory()
    >>> def train(epochs):
    ...     model = ddl.models.MLP((2, 5, 2), seed=1)
    ...     moons = ddl.datasets.moons(60, rng=ddl.rng(1))
    ...     checkpoint = Checkpoint(f"{folder.name}/moons.pt", resume=True)
    ...     loss = nn.CrossEntropyLoss()
    ...     return ddl.fit(model, moons, loss=loss, epochs=epochs, lr=0.1, callbacks=checkpoint)
    >>> train(epochs=3).epochs
    3
    >>> train(epochs=5).epochs  # two more
    5
    >>> folder.cleanup()
    """

    order = 2  # after schedules: what it writes must be a whole epoch of all of them

    def __init__(self, path: str | os.PathLike[str], *, every: int = 1, resume: bool = False) -> None:
        self.path = Path(path)
        self.every = whole_number("every", every, at_least=1)
        self.resume = resume
        self.resumed = 0
        self._written = 0
        self._kind: dict[str, str] = {}

    def on_start(self, run: Run) -> None:
        """Refuse a path that nothing can be written to; go on from the file, if asked to and there is one."""
        if not self.path.parent.is_dir():
            raise ValueError(
                f"there is no folder {str(self.path.parent)!r} for the checkpoint; make it, as with "
                "pathlib.Path.mkdir(parents=True), or give another path"
            )
        if self.path.is_dir():
            raise ValueError(f"{str(self.path)!r} is a folder; give the path of a file in it")
        self._kind = _kind(run)
        self.resumed = self._written = 0
        if self.resume and self.path.exists():
            self._resume(run)

    def on_epoch_end(self, run: Run) -> None:
        """Write the file where it is due, and after the last epoch."""
        last = run.epoch == run.epochs or not run.history.going_on.any()
        if last or run.epoch % self.every == 0:
            self._write(run)

    def on_end(self, run: Run) -> None:
        """Write the file after an epoch that diverged."""
        if self._written != run.epoch:
            self._write(run)

    def _write(self, run: Run) -> None:
        """Write the file beside its place, and then put it there."""
        optimizer = run.optimizer.state_dict()
        state = {
            "format": FORMAT,
            "kind": self._kind,
            "epoch": run.epoch,
            "step": run.step,
            "model": run.model.state_dict(),
            "optimizer": _plain("optimizer", optimizer),
            "history": run.history.state_dict(),
            "generators": [generator.bit_generator.state for generator in run.generators],
            "random": _random_states(next(run.model.parameters()).device),
            "callbacks": [_plain(type(other).__name__, other.state_dict()) for other in _others(run)],
        }
        partial = self.path.with_name(f"{self.path.name}.partial")
        try:
            with partial.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        finally:
            partial.unlink(missing_ok=True)
        self._written = run.epoch

    def _resume(self, run: Run) -> None:
        """Bring the run to where it was when the file was written."""
        state = self._read(next(run.model.parameters()).device)
        self._check(state, run)
        before = copy_of_state(run.model)
        try:
            run.model.load_state_dict(state["model"])
            run.optimizer.load_state_dict(state["optimizer"])
            run.history.load_state_dict(state["history"])
            run.epoch, run.step = state["epoch"], state["step"]
            for other, of_other in zip(_others(run), state["callbacks"], strict=True):
                other.load_state_dict(of_other)
        except Exception:
            run.model.load_state_dict(before)
            raise
        for generator, of_generator in zip(run.generators, state["generators"], strict=True):
            generator.bit_generator.state = of_generator
        _set_random_states(state["random"], next(run.model.parameters()).device)
        self.resumed = self._written = run.epoch

    def _read(self, device: torch.device) -> dict[str, Any]:
        """Return what the file holds, and refuse one that is not whole."""

        def location(storage: torch.UntypedStorage, kept_on: str) -> torch.UntypedStorage:
            """Leave on the CPU what was there, such as snapshots; the rest is where the run is now."""
            return storage if kept_on == "cpu" else default_restore_location(storage, str(device))

        remedy = "delete it, give another path, or begin anew with resume=False"
        try:
            with zipfile.ZipFile(self.path) as archive:
                damaged = archive.testzip()  # PyTorch compares no checksums
            state = None if damaged else torch.load(self.path, map_location=location, weights_only=True)
        except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ValueError(f"{str(self.path)!r} is damaged, or no checkpoint; {remedy}") from error
        if damaged:
            raise ValueError(f"{str(self.path)!r} is damaged, in {damaged}; {remedy}")
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise ValueError(f"{str(self.path)!r} is no checkpoint of a run; {remedy}")
        return state

    def _check(self, state: dict[str, Any], run: Run) -> None:
        """Refuse to go on with another kind of run, or one that has gone further."""
        kept = state["kind"]
        for name in kept | self._kind:
            old, new = str(kept.get(name)), str(self._kind.get(name))
            if old != new:
                raise ValueError(
                    f"{str(self.path)!r} holds another kind of run: {_quote(name, old, new)}; go on with the "
                    "same, give another path, or begin anew with resume=False"
                )
        if state["epoch"] > run.epochs:
            raise ValueError(
                f"{str(self.path)!r} holds {state['epoch']} epochs, but epochs={run.epochs}; ask for as "
                "many, or begin anew with resume=False"
            )


def _others(run: Run) -> list[Callback]:
    """Return the callbacks whose states are kept."""
    return [callback for callback in run.callbacks if not isinstance(callback, Checkpoint)]


def _kind(run: Run) -> dict[str, str]:
    """Return what must be the same for a run to go on."""
    groups = [len(group["params"]) for group in run.optimizer.param_groups]
    return {
        **run.describe(),
        "members": str(run.members),
        "groups of parameters": f"of {groups}",
        "curves": ", ".join(run.history.names),
        "callbacks": ", ".join(type(other).__name__ for other in _others(run)) or "none",
    }


def _quote(name: str, old: str, new: str) -> str:
    """Return two descriptions for a message: where they are long, from where they begin to differ."""
    start = 0
    if max(len(old), len(new)) > EXCERPT:
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
        start = max(0, sum(1 for _ in same) - EXCERPT // 4)
    old, new = (("…" if start else "") + text[start : start + EXCERPT] for text in (old, new))
    return f"{name} was {old}, now it is {new}"


def _plain(owner: str, value: Any) -> Any:  # noqa: ANN401 - whatever a state may hold
    """Return a state without NumPy's numbers, which a file read with care may not hold."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str | torch.Tensor | Counter):
        return value
    if isinstance(value, dict):
        return {key: _plain(owner, of_key) for key, of_key in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(owner, part) for part in value)
    raise TypeError(
        f"the state of {owner} holds {value!r}, a {type(value).__name__}; a checkpoint can keep numbers, "
        "strings, tensors, lists, tuples and dicts"
    )


def _random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of PyTorch's random numbers, on the CPU and on the device of the run."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _set_random_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Go on with PyTorch's random numbers from their states, of devices that there are."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])
