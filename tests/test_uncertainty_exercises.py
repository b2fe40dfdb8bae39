"""The exercises on densities and EM: every right answer passes, and every usual slip gets its hint."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax
from scipy.stats import norm
from verdicts import assert_hint, is_right, parameter

from ddl.exercises import moe
from ddl.models import gaussian_nll as models_nll

# The likelihood by hand

AT_ONE, BEST = 0.5 * math.log(2 * math.pi) + 10 / 6, 10 / 3


def test_the_likelihood_that_is_taken_is_that_of_the_models():
    y = torch.tensor([[1.0], [2.0], [5.0]])

    def at(variance):
        return models_nll(torch.tensor([[2.0, variance]]).expand(3, 2), y).item()

    assert at(1.0) == pytest.approx(AT_ONE)
    grid = np.linspace(0.5, 9, 1701)
    assert grid[np.argmin([at(float(variance)) for variance in grid])] == pytest.approx(BEST, abs=0.01)


@pytest.mark.parametrize(
    "answer", [(AT_ONE, BEST), (2.5856, 3.33), (parameter([AT_ONE]), np.array([[BEST]])), (2.586, 3.333)]
)
def test_gaussian_nll_takes_the_right_numbers(answer):
    assert is_right(moe.gaussian_nll(*answer))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((10 / 6, BEST), "at_one: ½ log 2πσ² is missing."),
        ((math.log(2 * math.pi) + 10 / 3, BEST), "at_one: Both terms carry a ½."),
        ((AT_ONE + 10 / 6, BEST), "at_one: The squared error carries a ½ too."),
        ((AT_ONE + 0.5 * math.log(2 * math.pi), BEST), "at_one: The logarithm carries a ½ too"),
        ((3 * AT_ONE, BEST), "at_one: That is the sum of the three."),
        ((AT_ONE - 20 / 6, BEST), "at_one: The sign of the squared error"),
        ((-AT_ONE, BEST), "at_one: That is the log-likelihood."),
        ((4.0, BEST), "at_one is not 4. The squared errors are 1, 0 and 9."),
        ((AT_ONE, BEST**0.5), "best_variance: That is the standard deviation."),
        ((AT_ONE, 10), "best_variance: That is the sum of the squared errors."),
        ((AT_ONE, 5), "best_variance: n − 1 is for a mean that was estimated"),
        ((AT_ONE, np.var([1, 2, 5])), "best_variance: That is the variance around the mean of the targets."),
        ((AT_ONE, 1), "best_variance: Set the derivative by σ² to zero"),
        ((AT_ONE, 10 / 6), "best_variance: The ½ stands before both terms"),
        ((AT_ONE, 4), "best_variance is not 4. Set the derivative"),
        (("much", 4), "at_one is 'much'; numbers are wanted."),
    ],
)
def test_gaussian_nll_has_a_hint_for_each_misunderstanding(answer, words):
    assert_hint(moe.gaussian_nll(*answer), words)


# Coverage


@pytest.mark.parametrize("answer", [0.673, 67.3, 2 * norm.cdf(0.98) - 1, 0.67, torch.tensor([0.6729])])
def test_coverage_takes_shares_and_percents(answer):
    assert is_right(moe.coverage(answer))


def test_the_share_that_is_taken_is_what_is_measured():
    draws = np.random.default_rng(0).normal(scale=2, size=400_000)
    assert is_right(moe.coverage((np.abs(draws) < 1.96).mean()))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (0.95, "It would be, with the true standard deviation."),
        (0.475, "Half as wide is not half the share"),
        (norm.cdf(1) - norm.cdf(-1), "Nearly: the band ends at ±1.96 · ½"),
        (2 * norm.cdf(-0.98), "That share lies outside of the band."),
        (norm.cdf(3.92) - norm.cdf(-3.92), "That is what a band has that is twice as wide"),
        (norm.cdf(0.98), "That is the share below the upper end."),
        (norm.cdf(0.98) - 0.5, "That is one half of the band"),
        (0.6, "It is not 0.6. How many true standard deviations"),
    ],
)
def test_coverage_has_a_hint_for_each_misunderstanding(answer, words):
    assert_hint(moe.coverage(answer), words)


# Responsibilities


def shares(log_weights, log_densities):
    joint = log_weights + log_densities
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


@pytest.mark.parametrize(
    "function",
    [
        shares,
        lambda w, p: softmax(w + p, axis=1),
        lambda w, p: torch.softmax(torch.tensor(w + p), 1),
        lambda w, p: torch.distributions.Categorical(logits=torch.tensor(w + p)).probs,
        lambda w, p: [[math.exp(a - max(row)) / sum(math.exp(b - max(row)) for b in row) for a in row]
                      for row in (w + p).tolist()],
    ],
)  # fmt: skip
def test_responsibilities_takes_any_way_to_compute_them(function):
    assert is_right(moe.responsibilities(function))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda w, p: softmax(w + p, axis=0), "Each column sums to 1, and each row should"),
        (lambda w, p: softmax(w + p), "All of it sums to 1, and each row should"),
        (lambda w, p: np.exp(w + p), "The rows do not sum to 1 yet"),
        (lambda w, p: softmax(p, axis=1), "The weights are missing"),
        (lambda w, p: np.exp(w), "These are the weights, before the point was seen."),
        (lambda w, p: np.log(shares(w, p)), "These are the logarithms."),
        (lambda w, p: softmax(w * p, axis=1), "Weight times density: their logarithms add up."),
        (lambda w, p: softmax(np.exp(w) + p, axis=1), "Add the logarithm of the weight"),
        (lambda w, p: softmax(np.exp(w + p), axis=1), "You take exp twice"),
        (lambda w, p: np.eye(3)[(w + p).argmax(1)], "Each point goes to its best expert whole."),
        (lambda w, p: shares(w, p)[0], "Your array has shape (3,); (5, 3) is wanted"),
        (lambda w, p: shares(w, 2 * p), "It differs by up to "),
        (
            lambda w, p: np.exp(w + p) / np.exp(w + p).sum(1, keepdims=True),
            "Right, but for a point far from all experts you get nan",
        ),
        (
            lambda w, p: np.exp(w + p) / (np.exp(w + p).sum(1, keepdims=True) + 1e-9),
            "Right, but for a point far from all experts it is wrong",
        ),
        (lambda w, p: None, "Your function returns None."),
    ],
)
def test_responsibilities_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(moe.responsibilities(function), words)


# The M-step


def step(X, y, r):
    root = np.sqrt(r)[:, None]
    w = np.linalg.lstsq(root * X, root[:, 0] * y, rcond=None)[0]
    return w, (r * (y - X @ w) ** 2).sum() / r.sum()


def by_normal_equations(X, y, r):
    w = np.linalg.inv(X.T @ np.diag(r) @ X) @ X.T @ np.diag(r) @ y
    return w, np.average((y - X @ w) ** 2, weights=r)


def by_polyfit(X, y, r):
    slope, intercept = np.polyfit(X[:, 1], y, 1, w=np.sqrt(r))
    return torch.tensor([[intercept], [slope]]), step(X, y, r)[1]


@pytest.mark.parametrize(
    "function", [step, by_normal_equations, by_polyfit, lambda *given: list(step(*given))]
)
def test_m_step_takes_any_way_to_compute_it(function):
    assert is_right(moe.m_step(function))


def with_variance(variance):
    """The right weights with another variance, a function of r and the squared errors."""
    return lambda X, y, r: (step(X, y, r)[0], variance(r, (y - X @ step(X, y, r)[0]) ** 2))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda X, y, r: step(X, y, r / r), "w: all points count the same."),
        (lambda X, y, r: step(X, y, r**2), "w: the points are weighted by r²."),
        (lambda X, y, r: step(X, y, 1 / r), "w: you divide by r."),
        (lambda X, y, r: step(X, y, (r > 0.5) * 1.0), "w: you take the points above one half whole."),
        (
            lambda X, y, r: (np.linalg.solve(X.T @ X, X.T @ (r * y)), 1),
            "w: r stands on one side only: in XᵀRX",
        ),
        (lambda X, y, r: (np.linalg.solve(X.T * r @ X, X.T @ y), 1), "w: r stands on one side only: in XᵀRy"),
        (lambda X, y, r: (step(X, y, r)[0] + 0.1, 1), "w is not ["),
        (lambda X, y, r: (step(X, y, r)[0][:1], 1), "w has shape (1,); (2,) is wanted."),
        (
            with_variance(lambda r, e: (r * e).mean()),
            "w is right. variance: divide by Σ r, the number of points",
        ),
        (
            with_variance(lambda r, e: e.mean()),
            "w is right. variance: the squared errors are weighted by r too.",
        ),
        (
            with_variance(lambda r, e: np.average(e, weights=r) ** 0.5),
            "w is right. variance: that is the stand",
        ),
        (with_variance(lambda r, e: (r * e).sum()), "w is right. variance: that is the sum. Divide by Σ r."),
        (
            with_variance(lambda r, e: (r * e).mean() / r.sum()),
            "variance: the mean has divided by n already.",
        ),
        (with_variance(lambda r, e: np.average(e, weights=r**2)), "variance: the weights are r, not r²."),
        (
            with_variance(lambda r, e: (r * e).sum() / (r.sum() - 1)),
            "variance: the likelihood divides by Σ r",
        ),
        (with_variance(lambda r, e: 1.0), "w is right. variance is Σ r (y − Xw)² / Σ r = "),
        (
            lambda X, y, r: step(X, y, r)[0],
            "Return two things, w and variance; your function returns ndarray.",
        ),
    ],
)
def test_m_step_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(moe.m_step(function), words)
