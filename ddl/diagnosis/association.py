"""Whether targets have something to do with inputs, judged without the model."""

from __future__ import annotations

import numpy as np
import torch

NEIGHBOURS = 3
"""Nearest examples whose targets are compared."""

SHUFFLES = 30
"""Other orders of the targets that the true one is compared with."""

MOST_COUNTS = 20_000_000
"""Numbers that counting tokens may take; of longer rows the numbers themselves are compared."""

PENALTY = 1.0
"""Of the linear model, for each example and feature of unit variance."""


class Association:
    """Inputs from which targets are predicted: by nearest neighbours, and by ridge regression.

    Parameters
    ----------
    x
        Inputs, shape (n, …): real numbers, or tokens.
    """

    def __init__(self, x: torch.Tensor) -> None:
        features = _features(x)
        squares = (features**2).sum(1)
        products = features @ features.T
        distances = squares[:, None] + squares[None] - 2 * products
        np.fill_diagonal(distances, np.inf)
        self.near = np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        n, d = features.shape
        # Ridge regression by examples or by features, whichever are fewer.
        if d < n:
            penalty = PENALTY * n * np.eye(d, dtype=features.dtype)
            self.hat = features @ np.linalg.solve(features.T @ features + penalty, features.T)
        else:
            self.hat = np.linalg.solve(products + PENALTY * n * np.eye(n, dtype=features.dtype), products)

    def deviations(self, target: np.ndarray, seed: int) -> float:
        """Return by how many standard deviations a target is predicted better than in other orders.

        Parameters
        ----------
        target
            One number, or the number of a class, for each example, shape (n,).
        seed
            Seed of the other orders.

        Returns
        -------
        float
            Of the two ways to predict it, that of the better one.
        """
        rng = np.random.default_rng(seed)
        true = self._scores(target)
        others = np.array([self._scores(rng.permutation(target)) for _ in range(SHUFFLES)])
        return float(((true - others.mean(0)) / np.maximum(others.std(0), 1e-9)).max())

    def left_out(self, columns: np.ndarray) -> np.ndarray:
        """Return what the linear model says of each example, fitted to all others; shape (n, k)."""
        own = np.diag(self.hat)[:, None]
        return (self.hat @ columns - own * columns) / (1 - own)

    def _scores(self, target: np.ndarray) -> np.ndarray:
        """Return how well neighbours, and all others by a linear model, predict the targets."""
        kinds = np.unique(target)
        if len(kinds) <= max(2, min(20, len(target) // 10)):
            columns = (target[:, None] == kinds).astype(self.hat.dtype)
            by_neighbours = (target[self.near] == target[:, None]).mean()
        else:
            columns = target.argsort().argsort()[:, None].astype(self.hat.dtype)
            by_neighbours = np.corrcoef(columns[self.near, 0].mean(1), columns[:, 0])[0, 1]
        columns = columns - columns.mean(0)
        left_out = self.left_out(columns)
        return np.array([by_neighbours, (left_out * columns).sum() / (np.linalg.norm(left_out) + 1e-12)])


def _features(x: torch.Tensor) -> np.ndarray:
    """Return one row of numbers per example; scaled ones in single precision, which is faster and will do."""
    rows = x.reshape(len(x), -1)
    if not rows.is_floating_point():
        kinds = int(rows.max()) + 1 if rows.numel() and int(rows.min()) >= 0 else 0
        if not 0 < kinds <= 1000 or rows.numel() * kinds > MOST_COUNTS:
            return rows.double().cpu().numpy()
        rows = torch.nn.functional.one_hot(rows.long(), kinds).sum(1)  # which tokens, in any order
    values = rows.double().cpu().numpy()
    spread = values.std(0)
    return ((values - values.mean(0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
