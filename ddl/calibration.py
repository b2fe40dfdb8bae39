"""Whether a classifier's probabilities can be believed, what one number repairs, and when to say nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ddl import checks

Numbers = npt.ArrayLike | torch.Tensor


@dataclass(frozen=True, eq=False)
class Reliability:
    """How confident a classifier is, and how often it is right, in bins of equal confidence.

    All arrays have shape (bins,), those of an empty bin hold NaN, but for its count.
    """

    edges: np.ndarray
    """Ends of the bins, shape (bins + 1,). A bin holds its upper end and not its lower one."""
    counts: np.ndarray
    """Number of examples."""
    confidence: np.ndarray
    """Mean confidence."""
    accuracy: np.ndarray
    """Share of examples that are right; for probabilities of class 1, share of examples of class 1."""
    low: np.ndarray
    """Lower end of the 95 % interval of that share, after Wilson."""
    high: np.ndarray
    """Its upper end."""

    @property
    def error(self) -> float:
        """The expected calibration error: the mean gap of accuracy and confidence over all examples."""
        return float(np.nansum(self.counts * np.abs(self.accuracy - self.confidence)) / self.counts.sum())


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What happens if only the most confident answers are given; one entry for each confidence that occurs.

    The first entry is that for the highest confidence, the last is that for answering always.
    """

    threshold: np.ndarray
    """Answers at least as confident as this are given."""
    coverage: np.ndarray
    """Share of examples that get an answer."""
    risk: np.ndarray
    """Share of wrong answers among those given."""

    @property
    def area(self) -> float:
        """The area under the curve of steps: the mean risk over all coverages; 0 is best."""
        return float(np.diff(self.coverage, prepend=0) @ self.risk)

    def at(self, coverage: float) -> float:
        """Return the risk if at least this share of the examples is to get an answer.

        Parameters
        ----------
        coverage
            Above 0, at most 1.

        Returns
        -------
        float
            Share of wrong answers at the highest threshold that covers so many.

        Raises
        ------
        TypeError
            If the coverage is no number.
        ValueError
            If it is out of range.
        """
        coverage = checks.fraction("coverage", coverage, one=True)
        return float(self.risk[np.searchsorted(self.coverage, coverage)])


def reliability(
    probabilities: Numbers, y: Numbers, *, bins: int = 10, strategy: str = "uniform"
) -> Reliability:
    """Sort predictions into bins of confidence and count how often they are right in each.

    Parameters
    ----------
    probabilities
        Shape (n, classes): the confidence is the largest of each row, and its class may be right or wrong.
        Shape (n,): the probability of class 1, which is compared with how often class 1 occurs.
    y
        Classes 0, 1, …, shape (n,).
    bins
        Their number.
    strategy
        ``"uniform"`` for bins of equal width from 0 to 1, ``"quantile"`` for bins about equally full.

    Returns
    -------
    Reliability
        What :func:`ddl.plots.reliability_diagram` draws.

    Raises
    ------
    TypeError
        If ``bins`` is no whole number.
    ValueError
        If the shapes do not fit, these are no probabilities or classes, or the strategy is unknown.

    Examples
    --------
    >>> found = reliability([0.9, 0.9, 0.9, 0.9, 0.2], [1, 1, 1, 0, 0], bins=2)
    >>> found.confidence, found.accuracy
    (array([0.2, 0.9]), array([0.  , 0.75]))
    """
    bins = checks.whole_number("bins", bins, at_least=1)
    confidence, right = _confidence(probabilities, y)
    if strategy == "uniform":
        edges = np.linspace(0, 1, bins + 1)
    elif strategy == "quantile":
        inner = np.quantile(confidence, np.arange(1, bins) / bins, method="inverted_cdf")
        edges = np.unique(np.concatenate([[0], inner, [1]]))
    else:
        raise ValueError(f"strategy is {strategy!r}; take 'uniform' or 'quantile'")
    place = np.searchsorted(edges[1:-1], confidence)
    counts, hits, total = (
        np.bincount(place, weights, minlength=len(edges) - 1) for weights in (None, right, confidence)
    )
    filled = counts > 0
    mean, share = (np.divide(part, counts, where=filled, out=_nan(part)) for part in (total, hits))
    low, high = _nan(share), _nan(share)
    for i in filled.nonzero()[0]:
        low[i], high[i] = _wilson(int(hits[i]), int(counts[i]))
    return Reliability(edges, counts, mean, share, low, high)


def expected_calibration_error(
    probabilities: Numbers, y: Numbers, *, bins: int = 10, strategy: str = "uniform"
) -> float:
    """Return the mean gap between confidence and accuracy over bins of confidence.

    M. P. Naeini, G. Cooper and M. Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning,
    AAAI 2015. It depends on the bins: within one, gaps of opposite sign cancel, so that few bins find too
    little; in bins of few examples chance alone makes a gap, so that many bins find too much, even of a
    perfect classifier. Compare values of equal bins and equally many examples only.

    Parameters
    ----------
    probabilities, y, bins, strategy
        As for :func:`reliability`.

    Returns
    -------
    float
        From 0, where confidence and accuracy agree in each bin, to 1.

    Raises
    ------
    TypeError, ValueError
        As for :func:`reliability`.

    Examples
    --------
    >>> round(expected_calibration_error([0.9, 0.9, 0.9, 0.9, 0.2], [1, 1, 1, 0, 0], bins=2), 3)
    0.16
    """
    return reliability(probabilities, y, bins=bins, strategy=strategy).error


def temperature_scaling(logits: Numbers, y: Numbers) -> float:
    """Return the number that logits must be divided by to predict these labels best.

    The temperature with the smallest cross-entropy. It is above 1 for a net that is too confident. The order
    of the classes stays, and with it every prediction: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On
    calibration of modern neural networks, ICML 2017.

    Parameters
    ----------
    logits
        Of examples that the net was not trained on, shape (n, classes); or (n, 1) or (n,) for two classes.
    y
        Classes 0, 1, …, shape (n,).

    Returns
    -------
    float
        The temperature T; ``logits / T`` are the new logits.

    Raises
    ------
    ValueError
        If the shapes do not fit, these are no logits or classes, or no temperature is best: if all examples
        are right the smaller the better, and if the logits are no better than chance the larger the better.

    Examples
    --------
    >>> sure, y = [4.0] * 10, [1] * 8 + [0] * 2  # sure to be right in 98 of 100 cases, and right in 80
    >>> round(temperature_scaling(sure, y), 3)
    2.885
    """
    from scipy.optimize import brentq  # slow to import
    from scipy.special import softmax

    z = _array("logits", logits)
    z = z[:, 0] if z.ndim == 2 and z.shape[1] == 1 else z
    if z.ndim == 1:
        z = np.stack([np.zeros_like(z), z], axis=1)
    labels = _labels(z, y)
    margins = z - z[np.arange(len(z)), labels][:, None]  # of each class over the right one

    def slope(scale: float) -> float:
        """Return the derivative of the cross-entropy along 1/T, along which it is convex."""
        return (softmax(margins * scale, axis=1) * margins).sum(axis=1).mean()

    if (margins <= 0).all():
        raise ValueError(
            f"all {len(z)} examples are right, so that a smaller temperature always fits better; "
            "give more examples that the net was not trained on"
        )
    if slope(0) >= 0:
        raise ValueError(
            "the logits are no better than chance, so that a larger temperature always fits better; "
            "are they in the order of the labels?"
        )
    highest = 1.0
    while slope(highest) < 0:
        highest *= 2
    return 1 / float(brentq(slope, 0, highest))


def risk_coverage(confidence: Numbers, correct: Numbers) -> RiskCoverage:
    """Return how often a classifier errs that answers only where it is confident enough.

    R. El-Yaniv and Y. Wiener, On the foundations of noise-free selective classification, *Journal of Machine
    Learning Research* 11, 2010, 1605–1641. Examples of equal confidence are answered together or not at all.

    Parameters
    ----------
    confidence
        Any score that is larger where an answer is more likely to be right, shape (n,).
    correct
        Whether the answer is right, shape (n,), of truth values or 0 and 1.

    Returns
    -------
    RiskCoverage
        Thresholds, coverages and risks; ``area`` is the area under the curve.

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``correct`` holds anything else.

    Examples
    --------
    >>> curve = risk_coverage([0.9, 0.8, 0.8, 0.6], [True, True, False, False])
    >>> curve.coverage, curve.risk.round(2), round(curve.area, 3)
    (array([0.25, 0.75, 1.  ]), array([0.  , 0.33, 0.5 ]), 0.292)
    """
    score, right = _array("confidence", confidence), _array("correct", correct)
    if score.ndim != 1 or right.shape != score.shape:
        raise ValueError(
            f"confidence has shape {score.shape} and correct {right.shape}; give (n,) and (n,), n at least 1"
        )
    if not np.isin(right, (0, 1)).all():
        raise ValueError(f"correct holds {right[~np.isin(right, (0, 1))][0]}; give truth values")
    threshold, place, size = np.unique(-score, return_inverse=True, return_counts=True)
    answered = size.cumsum()
    wrong = np.bincount(place, 1 - right).cumsum()
    return RiskCoverage(-threshold, answered / len(score), wrong / answered)


def _confidence(probabilities: Numbers, y: Numbers) -> tuple[np.ndarray, np.ndarray]:
    p = _array("probabilities", probabilities)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(
            f"probabilities hold {p[(p < 0) | (p > 1)][0]:g}; pass logits through softmax or sigmoid first"
        )
    if p.ndim == 1:
        return p, (_labels(np.stack([1 - p, p], axis=1), y) == 1).astype(float)
    labels = _labels(p, y)
    sums = p.sum(axis=1)
    if not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(
            f"a row of probabilities has the sum {sums[np.abs(sums - 1).argmax()]:.4g}; it must be 1"
        )
    return np.minimum(p.max(axis=1), 1), (p.argmax(axis=1) == labels).astype(float)


def _array(name: str, values: Numbers) -> np.ndarray:
    found = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values, dtype=float)
    if not found.size or not np.isfinite(found).all():
        what = "nothing" if not found.size else str(found[~np.isfinite(found)][0])
        raise ValueError(f"{name} has shape {found.shape} and holds {what}; give finite numbers")
    return found


def _labels(scores: np.ndarray, y: Numbers) -> np.ndarray:
    """Return labels as whole numbers, one for each row of scores, each a column of them."""
    found = _array("y", y)
    if scores.ndim != 2 or scores.shape[1] < 2 or found.shape != scores.shape[:1]:
        raise ValueError(
            f"y has shape {found.shape} for outputs of shape {scores.shape}; give (n,) and (n, classes)"
        )
    strange = (found != found.round()) | (found < 0) | (found >= scores.shape[1])
    if strange.any():
        raise ValueError(f"y holds {found[strange][0]:g}; the classes are 0 to {scores.shape[1] - 1}")
    return found.astype(int)


def _wilson(hits: int, count: int) -> tuple[float, float]:
    from scipy.stats import binomtest  # slow to import

    return tuple(binomtest(hits, count).proportion_ci(0.95, method="wilson"))


def _nan(like: np.ndarray) -> np.ndarray:
    return np.full(len(like), np.nan)
