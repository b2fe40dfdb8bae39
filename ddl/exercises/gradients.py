"""Judging gradients that a reader computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ddl.exercises.verdict import Hint


def check_shape(name: str, given: np.ndarray, like: np.ndarray, of: str) -> None:
    """Refuse a gradient that has not the shape of what it is the gradient of.

    Parameters
    ----------
    name
        What the exercise calls the gradient.
    given
        The answer.
    like, of
        What it is the gradient of, and its name.

    Raises
    ------
    Hint
        If the shapes differ.
    """
    if given.shape != like.shape:
        raise Hint(f"{name} has shape {given.shape}; {of} has {like.shape}, and so has its gradient.")


def check_gradient(
    name: str, given: np.ndarray, right: np.ndarray, of: str, slips: Sequence[tuple[npt.ArrayLike, str]]
) -> None:
    """Refuse a gradient that is not right, with the hint for the slip that gives it.

    Parameters
    ----------
    name
        What the exercise calls the gradient.
    given
        The answer; a row or a column counts as a vector.
    right
        The gradient.
    of
        Name of what it is the gradient of.
    slips
        What the usual slips give, with their hints. A wrong sign and a transposed gradient need none.

    Raises
    ------
    Hint
        If the gradient is not right.
    """
    if right.ndim == 1 and given.size == right.size:
        given = given.ravel()
    if given.shape == right.shape and np.allclose(given, right, atol=1e-5):
        return
    for slip, hint in (*slips, (-right, f"{name} has the wrong sign."), (right.T, f"{name} is transposed.")):
        if given.shape == np.shape(slip) and np.allclose(given, slip, atol=1e-5):
            raise Hint(hint)
    check_shape(name, given, right, of)
    raise Hint(f"{name} differs from nudging by up to {np.abs(given - right).max():.2g}.")


def nudged(loss: Callable[..., float], arguments: tuple[np.ndarray, ...], place: int) -> np.ndarray:
    """Return the gradient of a loss with respect to one of its arguments, by central differences.

    Parameters
    ----------
    loss
        Takes the arguments and returns a number.
    arguments
        Arrays of floats.
    place
        Which of them.

    Returns
    -------
    numpy.ndarray
        The gradient, of the argument's shape.

    Examples
    --------
    >>> nudged(lambda x: (x**2).sum(), (np.array([1.0, -3.0]),), 0).round(6)
    array([ 2., -6.])
    """
    gradient = np.zeros_like(arguments[place])
    for index in np.ndindex(gradient.shape):
        ends = []
        for h in (1e-5, -1e-5):
            moved = [part.copy() for part in arguments]
            moved[place][index] += h
            ends.append(loss(*moved))
        gradient[index] = (ends[0] - ends[1]) / 2e-5
    return gradient
