"""Rows of features and levels, as every detector wants them."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt
import torch

Rows = npt.ArrayLike | torch.Tensor
"""Shape (n, features); or (n,) for one feature."""


def table(name: str, rows: Rows, features: int | None = None, *, empty: bool = False) -> np.ndarray:
    """Return rows as an array of floats.

    Parameters
    ----------
    name
        What the caller's argument is called.
    rows
        Numbers, shape (n, features); or (n,) for one feature.
    features
        How many there must be, if that is known.
    empty
        Whether no row at all is allowed too.

    Returns
    -------
    numpy.ndarray
        Shape (n, features).

    Raises
    ------
    ValueError
        If the shape is another, there is no row, or a number is missing (NaN) or infinite.

    Examples
    --------
    >>> table("rows", [1, 2]).shape
    (2, 1)
    """
    found = np.asarray(rows.detach().cpu() if isinstance(rows, torch.Tensor) else rows, dtype=float)
    if found.ndim == 1:
        found = found[:, None]
    wanted = "features" if features is None else features
    if found.ndim != 2 or not found.shape[1] or found.shape[1] != (features or found.shape[1]):
        raise ValueError(f"{name} has shape {found.shape}; give (n, {wanted})")
    if not len(found) and not empty:
        raise ValueError(f"{name} has no row; give at least one")
    if not np.isfinite(found).all():
        _gap(name, found)
    return found


def _gap(name: str, found: np.ndarray) -> NoReturn:
    row, feature = np.argwhere(~np.isfinite(found))[0]
    raise ValueError(
        f"{name}[{row}, {feature}] is {found[row, feature]}; leave such rows out, and count them apart: "
        "missing values are a shift of their own"
    )
