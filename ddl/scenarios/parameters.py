"""Parameters of a world: each with its unit, its range, and an error that names both."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

Rows = np.ndarray | slice | Sequence[int] | Sequence[bool]
R = TypeVar("R", bound="Table")


def setting(default: float, low: float, high: float, unit: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Return a dataclass field for a number between two bounds, with its unit.

    Parameters
    ----------
    default
        The value where none is given; a whole number makes it a field for whole numbers.
    low, high
        Smallest and largest value allowed.
    unit
        What the number counts, for the error and for readers.

    Returns
    -------
    dataclasses.Field
        To stand after the annotation of a :class:`World`.
    """
    return field(default=default, metadata={"low": low, "high": high, "unit": unit})


class World:
    """A simulated world: checks its parameters when it is made."""

    def __post_init__(self) -> None:
        for parameter in fields(self):
            low, high, unit = (parameter.metadata[key] for key in ("low", "high", "unit"))
            value = getattr(self, parameter.name)
            kind = numbers.Integral if isinstance(parameter.default, int) else numbers.Real
            if isinstance(value, bool) or not isinstance(value, kind):
                wanted = "a whole number" if kind is numbers.Integral else "a number"
                raise TypeError(
                    f"{parameter.name} is {value!r}; give {wanted} from {low:g} to {high:g} ({unit})"
                )
            if not math.isfinite(value) or not low <= value <= high:
                raise ValueError(
                    f"{parameter.name} is {value}; it must lie between {low:g} and {high:g} ({unit})"
                )

    def parameters(self) -> list[dict[str, object]]:
        """Return name, value, range and unit of each parameter, one dictionary each, as for a table."""
        return [
            {
                "parameter": parameter.name,
                "value": getattr(self, parameter.name),
                "from": parameter.metadata["low"],
                "to": parameter.metadata["high"],
                "unit": parameter.metadata["unit"],
            }
            for parameter in fields(self)
        ]


@dataclass(frozen=True, eq=False)
class Table:
    """Arrays with one row for each case: indexing takes the same rows of all of them."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __getitem__(self: R, rows: Rows) -> R:
        """Return some of the rows, by a slice, a mask or whole numbers."""
        if isinstance(rows, numbers.Integral):
            raise TypeError(f"rows are {rows!r}; give a slice, a mask or a list of numbers, as [[{rows}]]")
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if rows.dtype == bool and len(rows) != len(self):
                raise ValueError(f"the mask has {len(rows)} rows, the table {len(self)}; give one for each")
        return type(self)(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows)"


def top(scores: np.ndarray, part: float) -> np.ndarray:
    """Return which scores are among the largest.

    Parameters
    ----------
    scores
        Shape (n,).
    part
        The share to choose, above 0 and at most 1; it is rounded to whole cases, at least one.

    Returns
    -------
    numpy.ndarray
        Booleans, shape (n,). Of equal scores, the first come first.

    Examples
    --------
    >>> top(np.array([3.0, 1.0, 2.0, 0.0]), 0.5).tolist()
    [True, False, True, False]
    """
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[np.argsort(-scores, kind="stable")[: max(1, round(part * len(scores)))]] = True
    return chosen
