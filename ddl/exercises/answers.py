"""Reading what a reader hands in: numbers of any kind, and functions that may not be finished."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence

import numpy as np
import torch

from ddl.exercises.verdict import Hint


def array(name: str, value: object, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return an answer as an array of floats, be it a list, an array, a tensor or a parameter.

    Parameters
    ----------
    name
        What the exercise calls the answer.
    value
        The answer.
    shape
        The shape that is wanted, if there is only one. A row or a column of numbers is also taken where
        a plain vector is wanted.

    Returns
    -------
    numpy.ndarray
        The numbers.

    Raises
    ------
    Hint
        If these are no finite numbers, or have another shape.

    Examples
    --------
    >>> array("w", [[1], [2]], (2,))
    array([1., 2.])
    """
    try:
        found = np.asarray(_untracked(value))
    except ValueError:  # rows of different lengths
        found = np.asarray(None)
    if found.dtype.kind not in "biuf":
        raise Hint(f"{name} is {reprlib.repr(value)}; numbers are wanted.")
    if shape is not None and len(shape) == 1 and found.size == max(found.shape, default=0):
        found = found.ravel()
    if shape is not None and found.shape != shape:
        raise Hint(f"{name} has shape {found.shape}; {shape} is wanted.")
    if not np.isfinite(found).all():
        raise Hint(f"{name} holds {found[~np.isfinite(found)][0]}; finite numbers are wanted.")
    return found.astype(float)


def number(name: str, value: object) -> float:
    """Return an answer that is one number, which may stand in an array or a tensor.

    Parameters
    ----------
    name
        What the exercise calls the answer.
    value
        The answer.

    Returns
    -------
    float
        The number.

    Raises
    ------
    Hint
        If it is not one finite number.
    """
    found = array(name, value)
    if found.size != 1:
        raise Hint(f"{name} has shape {found.shape}; one number is wanted.")
    return found.item()


def several(names: Sequence[str], value: object) -> Sequence[object]:
    """Return an answer that consists of several parts.

    Parameters
    ----------
    names
        What the exercise calls the parts.
    value
        The answer, a list or a tuple.

    Returns
    -------
    sequence of object
        The parts.

    Raises
    ------
    Hint
        If these are not as many.
    """
    if isinstance(value, list | tuple) and len(value) == len(names):
        return value
    count = {2: "two", 3: "three"}[len(names)]
    wanted = f"{', '.join(names[:-1])} and {names[-1]}"
    raise Hint(f"Return {count} things, {wanted}; your function returns {type(value).__name__}.")


def result_of(function: Callable[..., object], *arguments: object) -> object:
    """Call the reader's function.

    Parameters
    ----------
    function
        What was handed in.
    *arguments
        What to call it with; copies, if it may change them.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    Hint
        If it is no function, or returns nothing.
    NotImplementedError
        If it returns ``...``: then it is not written yet.
    """
    if not callable(function):
        raise Hint(f"{reprlib.repr(function)} is no function: hand in its name, without parentheses.")
    given = function(*arguments)
    if given is ...:
        raise NotImplementedError
    if given is None:
        raise Hint("Your function returns None. Does it end with `return`?")
    return given


def _untracked(value: object) -> object:
    """Return tensors as arrays, those in lists too; NumPy itself refuses tensors that require gradients."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, list | tuple):
        return [_untracked(part) for part in value]
    return value
