"""Refusals that several rooms share, each with the value and the remedy."""

from __future__ import annotations

import math
import numbers

import numpy as np


def whole_number(name: str, value: int, at_least: int) -> int:
    """Return a whole number as Python's own; refuse anything else, and what is below a bound.

    Parameters
    ----------
    name
        What the caller's argument is called.
    value
        Its value.
    at_least
        The smallest value allowed.

    Returns
    -------
    int
        The same number.

    Raises
    ------
    TypeError
        If ``value`` is not an integer of Python or NumPy.
    ValueError
        If it is too small.

    Examples
    --------
    >>> whole_number("epochs", 0, at_least=1)
    Traceback (most recent call last):
    ValueError: epochs is 0; it must be at least 1
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} is {value!r}; give a whole number, at least {at_least}")
    if value < at_least:
        raise ValueError(f"{name} is {value}; it must be at least {at_least}")
    return int(value)


def size(name: str, value: float, *, zero: bool = False) -> None:
    """Refuse what is not a finite positive number.

    Parameters
    ----------
    name
        What the caller's argument is called.
    value
        Its value.
    zero
        Whether zero is allowed too.

    Raises
    ------
    TypeError
        If ``value`` is not a real number of Python or NumPy.
    ValueError
        If it is negative, infinite or NaN; or zero, unless allowed.
    """
    _real_number(name, value, "number such as 0.1")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} is {value}; it must be {'zero or ' if zero else ''}positive, and finite")


def fraction(name: str, value: float, *, one: bool = False) -> float:
    """Return a number above 0 and below 1, such as a share or a probability; refuse anything else.

    Parameters
    ----------
    name
        What the caller's argument is called.
    value
        Its value.
    one
        Whether 1 is allowed too.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    TypeError
        If ``value`` is not a real number of Python or NumPy.
    ValueError
        If it is out of range or NaN.

    Examples
    --------
    >>> fraction("level", 5)
    Traceback (most recent call last):
    ValueError: level is 5; give a fraction above 0 and below 1, such as 0.05
    """
    _real_number(name, value, "fraction such as 0.05")
    if not 0 < value < 1 and not (one and value == 1):
        bound = "at most 1" if one else "below 1"
        raise ValueError(f"{name} is {value}; give a fraction above 0 and {bound}, such as 0.05")
    return float(value)


def generator(rng: np.random.Generator) -> None:
    """Refuse what is not a NumPy generator, such as a seed.

    Parameters
    ----------
    rng
        What the caller was given to draw from.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is {rng!r}; give a numpy.random.Generator, as ddl.rng(1)")


def _real_number(name: str, value: float, wanted: str) -> None:
    """Refuse what is not a real number of Python or NumPy; truth values are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}; give a {wanted}")
