"""The population stability index, as credit scoring has used it for decades."""

from __future__ import annotations

import numpy as np

from ddl import checks
from ddl.monitoring.inputs import Rows, table

MINOR_SHIFT, MAJOR_SHIFT = 0.1, 0.25
"""The usual thresholds of the index: below 0.1 no shift to speak of, above 0.25 a major one.

Rules of thumb from credit scoring, which know neither the number of rows nor that of bins: N. Siddiqi,
*Credit Risk Scorecards*, Wiley, 2006. What chance alone reaches: :func:`stability_threshold`.
"""


class ReferenceBins:
    """The summary of reference rows that later rows are compared with: bins and how full they are.

    A bin ends at a quantile of the reference, so that all bins are about equally full. A feature of no more
    than ``bins`` different values has a bin for each of them, and one for anything below and above.

    Parameters
    ----------
    reference
        Rows that the model was trained on, shape (n, features).
    bins
        Number of bins for a feature.

    Raises
    ------
    TypeError
        If ``bins`` is no whole number.
    ValueError
        If it is below 2, or ``reference`` is not such rows.
    """

    def __init__(self, reference: Rows, bins: int = 10) -> None:
        bins = checks.whole_number("bins", bins, at_least=2)
        rows = table("reference", reference)
        self.edges = [_edges(column, bins) for column in rows.T]
        """For each feature the upper ends of its bins, without the last bin, which has none."""
        self.reference_counts = self.counts(rows)
        """Reference rows in each bin, shape (features, bins)."""

    def counts(self, rows: Rows) -> np.ndarray:
        """Return how many rows fall into each bin.

        Parameters
        ----------
        rows
            Shape (n, features); n may be 0.

        Returns
        -------
        numpy.ndarray
            Shape (features, bins), in the largest number of bins that a feature has.
        """
        rows = table("rows", rows, len(self.edges), empty=True)
        most = max(map(len, self.edges)) + 1
        return np.stack(
            [
                np.bincount(np.searchsorted(edges, column), minlength=most)
                for edges, column in zip(self.edges, rows.T, strict=True)
            ]
        )

    def index(self, counts: np.ndarray) -> np.ndarray:
        """Return the population stability index of rows that were counted.

        Parameters
        ----------
        counts
            What :meth:`counts` returned, or sums of it: rows need not be kept.

        Returns
        -------
        numpy.ndarray
            Shape (features,).
        """
        reached = (self.reference_counts > 0) | (counts > 0)
        p, q = (_shares(part, reached) for part in (self.reference_counts, counts))
        return ((q - p) * np.log(q / p)).sum(axis=1, where=reached)


def population_stability_index(reference: Rows, current: Rows, *, bins: int = 10) -> np.ndarray:
    """Return how far each feature has moved: Σ (q − p) log(q / p) over the bins.

    p and q are the shares of the reference rows and of the current rows in a bin: the sum of both
    Kullback–Leibler divergences, named after H. Jeffreys. Half a row is added to each bin of both, since an
    empty one would make the index infinite. A bin that neither reaches counts nothing.

    Parameters
    ----------
    reference
        Rows that the model was trained on, shape (n, features).
    current
        Rows that it meets now, shape (m, features).
    bins
        Number of bins, which end at quantiles of the reference; see :class:`ReferenceBins`.

    Returns
    -------
    numpy.ndarray
        Shape (features,): 0 for equal shares, without upper bound.

    Raises
    ------
    TypeError
        If ``bins`` is no whole number.
    ValueError
        If it is below 2, or the rows do not fit.

    Examples
    --------
    >>> at_home = np.repeat([0.0, 1.0], 50)
    >>> population_stability_index(at_home, at_home)
    array([0.])
    >>> population_stability_index(at_home, np.repeat([0.0, 1.0], [20, 80])).round(2)
    array([0.41])
    """
    summary = ReferenceBins(reference, bins)
    return summary.index(summary.counts(table("current", current, len(summary.edges))))


def stability_threshold(
    reference_rows: int, current_rows: int, *, bins: int = 10, level: float = 0.05, features: int = 1
) -> float:
    """Return the population stability index that chance alone exceeds with a given probability.

    For rows of one distribution the index is about (1/n + 1/m) times a χ² variable with bins − 1 degrees of
    freedom, if there are many rows: B. Yurdakul, *Statistical Properties of Population Stability Index*,
    dissertation, Western Michigan University, 2018.

    Parameters
    ----------
    reference_rows, current_rows
        n and m.
    bins
        Number of bins.
    level
        Probability of an index above the threshold, in one look at all features.
    features
        How many are looked at; the level is divided by it (Bonferroni).

    Returns
    -------
    float
        The threshold.

    Raises
    ------
    TypeError
        If a number is not of its kind.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> [round(stability_threshold(1000, m), 2) for m in (50, 200, 1000)]
    [0.36, 0.1, 0.03]
    """
    from scipy.stats import chi2  # slow to import

    n = checks.whole_number("reference_rows", reference_rows, at_least=1)
    m = checks.whole_number("current_rows", current_rows, at_least=1)
    bins = checks.whole_number("bins", bins, at_least=2)
    features = checks.whole_number("features", features, at_least=1)
    checks.fraction("level", level)
    return float((1 / n + 1 / m) * chi2.isf(level / features, bins - 1))


def _edges(column: np.ndarray, bins: int) -> np.ndarray:
    values = np.unique(column)
    if len(values) <= bins:
        return np.append(np.nextafter(values[0], -np.inf), values)
    return np.unique(np.quantile(column, np.arange(1, bins) / bins, method="inverted_cdf"))


def _shares(counts: np.ndarray, reached: np.ndarray) -> np.ndarray:
    filled = np.where(reached, counts + 0.5, 1)  # where nothing is reached, any share but zero will do
    return filled / filled.sum(axis=1, keepdims=True, where=reached)
