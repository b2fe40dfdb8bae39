"""Tests of whether two sets of rows come from one distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ddl import checks
from ddl.monitoring.inputs import Rows, table

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

CORRECTIONS = ("holm", "bonferroni", "none")


class TwoSampleTests(NamedTuple):
    """One test for each feature."""

    statistics: np.ndarray
    """Shape (features,): the largest distance between the two distribution functions, from 0 to 1."""
    p_values: np.ndarray
    """Shape (features,): corrected for the number of features, so that each is compared with the level."""
    level: float
    """The probability of a false alarm that the tests were asked for."""

    @property
    def differ(self) -> np.ndarray:
        """Which features differ at that level, shape (features,) of truth values."""
        return self.p_values <= self.level


class ClassifierTest(NamedTuple):
    """One test for all features together."""

    accuracy: float
    """How often rows that were held out are told apart: about ½ if there is no difference."""
    p_value: float
    """Probability of such an accuracy, or a higher one, if there is none."""
    rows: int
    """Number of rows that the accuracy is a mean over."""


def two_sample_tests(
    reference: Rows, current: Rows, *, level: float = 0.05, correction: str = "holm"
) -> TwoSampleTests:
    """Test each feature by itself, with the test of Kolmogorov and Smirnov, and correct for their number.

    Parameters
    ----------
    reference
        Rows that the model was trained on, shape (n, features).
    current
        Rows that it meets now, shape (m, features).
    level
        Wanted probability that any feature at all is called different if none is.
    correction
        How to reach that with several features: ``"holm"``, ``"bonferroni"``, or ``"none"``, which does not.

    Returns
    -------
    TwoSampleTests
        Statistics and corrected p-values, exact up to 10,000 rows. They are too large (the test is too
        careful) for features that take few different values.

    Raises
    ------
    TypeError
        If ``level`` is no number.
    ValueError
        If it is not between 0 and 1, the correction is unknown, or the rows do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> reference, current = rng.normal(size=(300, 3)), rng.normal(size=(100, 3))
    >>> current[:, 1] += 0.8
    >>> two_sample_tests(reference, current).differ
    array([False,  True, False])
    """
    from scipy.stats import ks_2samp  # slow to import

    checks.fraction("level", level)
    reference = table("reference", reference)
    current = table("current", current, reference.shape[1])
    found = [ks_2samp(a, b) for a, b in zip(reference.T, current.T, strict=True)]
    p_values = adjusted([test.pvalue for test in found], correction)
    return TwoSampleTests(np.array([test.statistic for test in found]), p_values, float(level))


def adjusted(p_values: npt.ArrayLike, correction: str = "holm") -> np.ndarray:
    """Return p-values that may be compared with one level for all tests together.

    Bonferroni multiplies each by the number of tests m. Holm multiplies the smallest by m, the next by m − 1
    and so on, never letting the order change; it rejects at least as much, at the same probability of any
    false alarm: S. Holm, A simple sequentially rejective multiple test procedure, *Scandinavian Journal of
    Statistics* 6, 1979, 65–70.

    Parameters
    ----------
    p_values
        Shape (m,).
    correction
        ``"holm"``, ``"bonferroni"`` or ``"none"``.

    Returns
    -------
    numpy.ndarray
        Shape (m,), none above 1.

    Raises
    ------
    ValueError
        If the correction is unknown.

    Examples
    --------
    >>> adjusted([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.atleast_1d(np.asarray(p_values, dtype=float))
    if correction == "none":
        return p
    if correction == "bonferroni":
        return np.minimum(len(p) * p, 1)
    if correction != "holm":
        raise ValueError(f"correction is {correction!r}; take one of {', '.join(CORRECTIONS)}")
    order = np.argsort(p, kind="stable")
    found = np.empty_like(p)
    found[order] = np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order])
    return np.minimum(found, 1)


def classifier_test(
    reference: Rows,
    current: Rows,
    *,
    rng: np.random.Generator,
    model: ClassifierMixin | None = None,
    permutations: int = 0,
) -> ClassifierTest:
    """Test all features at once: whether a classifier can tell which of the two sets a row is from.

    D. Lopez-Paz and M. Oquab, Revisiting classifier two-sample tests, ICLR 2017. As many rows of each set are
    used as the smaller one has. By default the classifier learns from one half of them, and its hits among
    the other half are compared with coin tosses, which is never too bold: if the sets do not differ, hits
    vary at most as much as those. With ``permutations``, all rows serve for both in five folds, and the
    accuracy is compared with those after as many shuffles of the labels.

    Parameters
    ----------
    reference
        Rows that the model was trained on, shape (n, features).
    current
        Rows that it meets now, shape (m, features).
    rng
        What the rows and the shuffles are drawn from.
    model
        A classifier of scikit-learn; logistic regression of standardised features if not given, which sees
        differences of means, and not those of spread alone.
    permutations
        Number of shuffles; 0 for coin tosses. Each takes five fits of the model.

    Returns
    -------
    ClassifierTest
        Accuracy, p-value and number of rows.

    Raises
    ------
    TypeError
        If ``rng`` is no generator or ``permutations`` no whole number.
    ValueError
        If a set has fewer than ten rows, or the rows do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> reference, current = rng.normal(size=(300, 3)), rng.normal(size=(100, 3))
    >>> classifier_test(reference, current + 0.8, rng=rng).p_value < 0.001
    True
    """
    checks.generator(rng)
    permutations = checks.whole_number("permutations", permutations, at_least=0)
    reference = table("reference", reference)
    current = table("current", current, reference.shape[1])
    n = min(len(reference), len(current))
    if n < 10:
        raise ValueError(
            f"reference has {len(reference)} rows and current {len(current)}; give at least 10 of each"
        )
    x = np.concatenate([rng.permutation(rows)[:n] for rows in (reference, current)])
    y = np.repeat([0, 1], n)
    if model is None:
        model = _logistic_regression()
    if permutations:
        from sklearn.model_selection import StratifiedKFold, permutation_test_score

        seed, shuffle = rng.integers(2**31, size=2).tolist()
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        accuracy, _, p_value = permutation_test_score(
            model, x, y, cv=folds, n_permutations=permutations, random_state=shuffle
        )
        return ClassifierTest(float(accuracy), float(p_value), 2 * n)
    from scipy.stats import binomtest
    from sklearn.base import clone

    learning = np.tile(np.arange(n) < n // 2, 2)  # as many of each set, in a random order already
    hits = clone(model).fit(x[learning], y[learning]).predict(x[~learning]) == y[~learning]
    test = binomtest(int(hits.sum()), len(hits), 0.5, alternative="greater")
    return ClassifierTest(float(hits.mean()), float(test.pvalue), len(hits))


def _logistic_regression() -> ClassifierMixin:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression())
