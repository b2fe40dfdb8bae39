"""What a service accepts: each feature with its range and unit, and an answer that says what is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

Problem = dict[str, object]
"""Row, feature, value, reason and message, as the service sends them."""


@dataclass(frozen=True)
class Feature:
    """One input of a model, and the values that make sense for it.

    Parameters
    ----------
    name
        What callers know it by.
    low, high
        The smallest and the largest value that is accepted.
    unit
        Of these values; empty for none.

    Raises
    ------
    ValueError
        If the name is empty, or the range is.

    Examples
    --------
    >>> Feature("area", 20, 400, "m²").problem(-5)
    ('out_of_range', 'area is -5 m²; it must be between 20 and 400 m²')
    """

    name: str
    low: float
    high: float
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a feature has an empty name; callers must know which one a message is about")
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"{self.name} is to be between {self.low} and {self.high}; give a finite range")

    def problem(self, value: object) -> tuple[str, str] | None:
        """Return what is wrong with a value, as a reason to count and a message to read; or None.

        Parameters
        ----------
        value
            As JSON had it.

        Returns
        -------
        tuple of str, or None
            Reason, one of ``"wrong_type"``, ``"not_finite"`` and ``"out_of_range"``, and message.
        """
        unit = f" {self.unit}" * bool(self.unit)
        allowed = f"between {self.low:g} and {self.high:g}{unit}"
        # A bool is an int to Python, and no measurement.
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "wrong_type", f"{self.name} is {short(value)}; it must be a number {allowed}"
        if not -math.inf < value < math.inf:
            return "not_finite", f"{self.name} is {short(value)}; it must be a number {allowed}"
        if not self.low <= value <= self.high:
            return "out_of_range", f"{self.name} is {short(value)}{unit}; it must be {allowed}"
        return None


def problems(rows: Sequence[object], features: Sequence[Feature]) -> list[Problem]:
    """Return the first problem of each row that has any.

    Parameters
    ----------
    rows
        As JSON had them.
    features
        What each row must consist of.

    Returns
    -------
    list of dict
        Empty if all is well.
    """
    found = []
    for number, row in enumerate(rows):
        if not isinstance(row, list):
            found.append(_problem(number, row, "wrong_type", f"it is {short(row)}; a list is wanted"))
        elif len(row) != len(features):
            names = ", ".join(feature.name for feature in features)
            message = f"it has {len(row)} values; {len(features)} are wanted: {names}"
            found.append(_problem(number, row, "wrong_length", message))
        else:
            for feature, value in zip(features, row, strict=True):
                if (wrong := feature.problem(value)) is not None:
                    found.append(_problem(number, value, *wrong, feature.name))
                    break
    return found


def short(value: object) -> str:
    """Return a value as JSON has it, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _problem(row: int, value: object, reason: str, message: str, feature: str | None = None) -> Problem:
    return {
        "row": row, "feature": feature, "value": short(value), "reason": reason,
        "message": f"row {row}: {message}",
    }  # fmt: skip
