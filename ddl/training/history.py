"""What a training run leaves behind: its curves, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class History:
    """The curves of a training run, one value per epoch.

    Epochs are counted from 1; ``history["loss"][0]`` is the loss of epoch 1.

    Parameters
    ----------
    names
        Names of the curves.

    Attributes
    ----------
    diverged : int or None
        The epoch in which the loss or the parameters stopped being finite, which ended the run. Its loss is
        recorded, its other values are NaN.
    stopped : int or None
        The epoch after which a callback ended the run.

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

    def __init__(self, names: Iterable[str]) -> None:
        self._values: dict[str, list[float]] = {name: [] for name in names}
        self.diverged: int | None = None
        self.stopped: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the curves, such as ``"loss"`` and ``"val_accuracy"``."""
        return tuple(self._values)

    @property
    def epochs(self) -> int:
        """Number of epochs recorded."""
        return len(next(iter(self._values.values()), ()))

    def append(self, values: Mapping[str, float]) -> None:
        """Record an epoch; curves without a value get NaN."""
        for name, curve in self._values.items():
            curve.append(float(values.get(name, np.nan)))

    def __getitem__(self, name: str) -> np.ndarray:
        """Return one curve, shape (epochs,)."""
        if name not in self._values:
            validated = any(known.startswith("val_") for known in self._values)
            hint = (
                ""
                if validated
                else "; fit(…, validation=…) measures val_loss, fit(…, metrics=…) further ones"
            )
            raise KeyError(f"{name!r} was not measured; there are {', '.join(self._values)}{hint}")
        return np.array(self._values[name])

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def final(self, name: str) -> float:
        """Return the last value of a curve."""
        curve = self[name]
        if not len(curve):
            raise ValueError(f"no epoch of {name!r} is recorded yet")
        return float(curve[-1])

    def to_frame(self) -> pd.DataFrame:
        """Return the curves as a table, one row per epoch, indexed by its number."""
        import pandas as pd

        index = pd.RangeIndex(1, self.epochs + 1, name="epoch")
        return pd.DataFrame({name: self[name] for name in self}, index=index)

    def __repr__(self) -> str:
        end = f", diverged in epoch {self.diverged}" if self.diverged is not None else ""
        end += f", stopped after epoch {self.stopped}" if self.stopped is not None else ""
        values = (
            ", ".join(f"{name} {self.final(name):.4g}" for name in self) if self.epochs else ", ".join(self)
        )
        return f"History({self.epochs} epoch{'s' * (self.epochs != 1)}{end}: {values})"
