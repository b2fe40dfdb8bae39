"""What a training run leaves behind: its curves, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

GOING_ON, STOPPED, DIVERGED = 0, 1, 2


class History:
    """The curves of a training run, one value per epoch; or of an ensemble's, one per epoch and member.

    Epochs are counted from 1; ``history["loss"][0]`` is the loss of epoch 1.

    Parameters
    ----------
    names
        Names of the curves.
    members
        Number of members of the ensemble; None for a single model.

    Attributes
    ----------
    members : int or None
        Number of members.

    Examples
    --------
    >>> history = History(["loss"])
    >>> history.append({"loss": 0.7})
    >>> history.append({"loss": 0.5})
    >>> history
    History(2 epochs: loss 0.5)
    >>> history["loss"]
    array([0.7, 0.5])
    """

    def __init__(self, names: Iterable[str], members: int | None = None) -> None:
        self._values: dict[str, list[np.ndarray | float]] = {name: [] for name in names}
        self.members = members
        self._how = np.full(self._shape, GOING_ON)
        self._ended = np.zeros(self._shape, dtype=int)

    @property
    def _shape(self) -> tuple[int, ...]:
        return () if self.members is None else (self.members,)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the curves, such as ``"loss"`` and ``"val_accuracy"``."""
        return tuple(self._values)

    @property
    def epochs(self) -> int:
        """Number of epochs recorded; of an ensemble, of the member that was trained longest."""
        return len(next(iter(self._values.values()), ()))

    @property
    def going_on(self) -> np.ndarray:
        """Whether the run, or each member's, has neither stopped nor diverged, shape () or (members,)."""
        return self._how == GOING_ON

    @property
    def stopped(self) -> int | tuple[int | None, ...] | None:
        """The epoch after which a callback ended the run, if one did; for an ensemble one per member."""
        return self._ends(STOPPED)

    @property
    def diverged(self) -> int | tuple[int | None, ...] | None:
        """The epoch in which the loss or the parameters stopped being finite, if they did; per member.

        The loss of this epoch is recorded, its other values are NaN; the parameters are those at its
        beginning.
        """
        return self._ends(DIVERGED)

    def _ends(self, how: int) -> int | tuple[int | None, ...] | None:
        """Return the epochs in which what ended in one way did."""
        ends = np.where(self._how == how, self._ended, None)
        return ends.item() if self.members is None else tuple(ends.tolist())

    @property
    def _last(self) -> np.ndarray:
        """The last epoch of the run, or of each member's."""
        return np.where(self.going_on, self.epochs, self._ended)

    def append(self, values: Mapping[str, float | np.ndarray]) -> None:
        """Record an epoch; NaN for curves without a value, and for members whose run has ended."""
        for name, curve in self._values.items():
            value = values.get(name, np.nan)
            if self.members is None:
                curve.append(float(value))
            else:
                curve.append(np.where(self.going_on, value, np.nan))

    def end(self, epoch: int, how: Literal["stopped", "diverged"], members: np.ndarray | None = None) -> None:
        """Record that the run, or that of some members, ended in the last epoch recorded.

        Parameters
        ----------
        epoch
            The epoch.
        how
            Because of a callback or of a loss that is not finite.
        members
            Booleans, shape (members,). Default: all. Members whose run has ended before are left alone.
        """
        ending = self.going_on & (True if members is None else np.asarray(members, dtype=bool))
        self._how = np.where(ending, STOPPED if how == "stopped" else DIVERGED, self._how)
        self._ended = np.where(ending, epoch, self._ended)

    def _curve(self, name: str) -> list[np.ndarray | float]:
        """Return what was recorded under a name, and say what there is if nothing was."""
        if name not in self._values:
            validated = any(known.startswith("val_") for known in self._values)
            hint = (
                ""
                if validated
                else "; fit(…, validation=…) measures val_loss, fit(…, metrics=…) further ones"
            )
            raise KeyError(f"{name!r} was not measured; there are {', '.join(self._values)}{hint}")
        return self._values[name]

    def __getitem__(self, name: str) -> np.ndarray:
        """Return one curve, shape (epochs,) or (epochs, members)."""
        return np.array(self._curve(name), dtype=float).reshape(-1, *self._shape)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def final(self, name: str) -> float | np.ndarray:
        """Return the last value of a curve; for an ensemble each member's last, shape (members,)."""
        curve = self._curve(name)  # no array of it all: callbacks ask in every epoch
        if not curve:
            raise ValueError(f"no epoch of {name!r} is recorded yet")
        if self.members is None:
            return float(curve[-1])
        return np.array([curve[last - 1][member] for member, last in enumerate(self._last)])

    def member(self, index: int) -> History:
        """Return the history of one member, as if it had been trained alone.

        Raises
        ------
        TypeError
            If this is the history of a single model.
        IndexError
            If there is no such member.
        """
        if self.members is None:
            raise TypeError("this is the history of a single model; it has no members")
        if not -self.members <= index < self.members:
            raise IndexError(f"member {index} of {self.members}; they are counted from 0")
        history = History(self.names)
        last = int(self._last[index])
        history._values = {name: self[name][:last, index].tolist() for name in self}
        history._how, history._ended = self._how[index], self._ended[index]
        return history

    def to_frame(self) -> pd.DataFrame:
        """Return the curves as a table, one row per epoch, indexed by its number.

        For an ensemble the columns have two levels, the curve and the number of the member.
        """
        import pandas as pd

        index = pd.RangeIndex(1, self.epochs + 1, name="epoch")
        if self.members is None:
            return pd.DataFrame({name: self[name] for name in self}, index=index)
        columns = {(name, i): self[name][:, i] for name in self for i in range(self.members)}
        return pd.DataFrame(columns, index=index).rename_axis(columns=["curve", "member"])

    def state_dict(self) -> dict[str, Any]:
        """Return everything recorded, as numbers and lists, for a checkpoint."""
        return {
            "values": {name: self[name].tolist() for name in self},
            "how": self._how.tolist(),
            "ended": self._ended.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned for a run that measures the same."""
        for name, curve in self._values.items():
            curve[:] = list(np.array(state["values"][name], dtype=float))
        self._how, self._ended = np.array(state["how"]), np.array(state["ended"])

    def __repr__(self) -> str:
        epochs = f"{self.epochs} epoch{'s' * (self.epochs != 1)}"
        if self.members is not None:
            epochs = f"{self.members} members, {epochs}"
            ends = [
                f", {number} {how}"
                for how, code in (("diverged", DIVERGED), ("stopped", STOPPED))
                if (number := int((self._how == code).sum()))
            ]
            measured = [f"{name} {np.median(self.final(name)):.4g}" for name in self] if self.epochs else self
            return f"History({epochs}{''.join(ends)}: median {', '.join(measured)})"
        end = f", diverged in epoch {self.diverged}" if self.diverged is not None else ""
        end += f", stopped after epoch {self.stopped}" if self.stopped is not None else ""
        values = (
            ", ".join(f"{name} {self.final(name):.4g}" for name in self) if self.epochs else ", ".join(self)
        )
        return f"History({epochs}{end}: {values})"
