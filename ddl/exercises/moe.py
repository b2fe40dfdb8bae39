"""Checkers of the exercises in the chapter on uncertainty and mixtures of experts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from ddl.exercises.answers import array, number, result_of, several
from ddl.exercises.verdict import Hint, checker


@checker
def gaussian_nll(at_one: float, best_variance: float) -> str:
    """Check the mean Gaussian NLL of the targets 1, 2, 5 for mean 2 and variance 1, and the best variance."""
    at_one, best = number("at_one", at_one), number("best_variance", best_variance)
    constant = math.log(2 * math.pi)
    for slip, hint in (
        (
            10 / 6,
            "½ log 2πσ² is missing. It does not matter to the gradient of the mean, but to the density.",
        ),
        (constant + 10 / 3, "Both terms carry a ½."),
        (constant / 2 + 10 / 3, "The squared error carries a ½ too."),
        (constant + 10 / 6, "The logarithm carries a ½ too: the density divides by the root of 2πσ²."),
        (3 * (constant / 2 + 10 / 6), "That is the sum of the three. The mean is asked for."),
        (constant / 2 - 10 / 6, "The sign of the squared error: far targets are unlikely, so they cost."),
        (-(constant / 2 + 10 / 6), "That is the log-likelihood. The loss is its negative."),
    ):
        if math.isclose(at_one, slip, rel_tol=1e-3):
            raise Hint(f"at_one: {hint}")
    if not math.isclose(at_one, constant / 2 + 10 / 6, rel_tol=1e-3):
        raise Hint(f"at_one is not {at_one:.4g}. The squared errors are 1, 0 and 9.")
    for slip, hint in (
        (math.sqrt(10 / 3), "That is the standard deviation."),
        (10, "That is the sum of the squared errors. Each of the three adds a ½ log σ² too."),
        (5, "n − 1 is for a mean that was estimated from the same data. Here the mean is given: it is 2."),
        (26 / 9, "That is the variance around the mean of the targets. The network says 2."),
        (1, "Set the derivative by σ² to zero: 1/σ² of the logarithm against r²/σ⁴ of the square."),
        (10 / 6, "The ½ stands before both terms, and falls out of the derivative."),
    ):
        if math.isclose(best, slip, rel_tol=1e-3):
            raise Hint(f"best_variance: {hint}")
    if not math.isclose(best, 10 / 3, rel_tol=2e-3):
        raise Hint(f"best_variance is not {best:.4g}. Set the derivative of the mean loss by σ² to zero.")
    return "Right: the best variance is the mean squared error, 10/3."


@checker
def coverage(share: float) -> str:
    """Check the share of normal targets in a 95 % band whose standard deviation is half the true one."""
    given = number("share", share)
    given = given / 100 if given > 1 else given
    for slip, hint in (
        (0.95, "It would be, with the true standard deviation."),
        (0.475, "Half as wide is not half the share: the normal density is highest in the middle."),
        (0.683, "Nearly: the band ends at ±1.96 · ½ = ±0.98 true standard deviations, not at ±1."),
        (0.3271, "That share lies outside of the band."),
        (0.99991, "That is what a band has that is twice as wide as it should be."),
        (0.8365, "That is the share below the upper end. Below the lower end there are some too."),
        (0.3365, "That is one half of the band, from the mean to the upper end."),
    ):
        if abs(given - slip) < 0.003:
            raise Hint(hint)
    if abs(given - 0.67291) > 0.004:
        raise Hint(
            f"It is not {given:.4g}. How many true standard deviations from the mean does the band end?"
        )
    return "Right: the band ends at ±0.98 true standard deviations, and a third of the targets falls outside."


@checker
def responsibilities(function: Callable[[np.ndarray, np.ndarray], npt.ArrayLike]) -> str:
    """Check responsibilities, (n, K), from log weights and log densities of K experts, (n, K) each."""
    rng = np.random.default_rng(3)
    log_weights = np.log(rng.dirichlet(np.ones(3), size=5))
    log_densities = rng.normal(scale=2, size=(5, 3))

    def answer(log_weights: np.ndarray, log_densities: np.ndarray) -> object:
        with np.errstate(all="ignore"):  # an underflow gets a hint of its own
            return result_of(function, log_weights.copy(), log_densities.copy())

    given = array("Your array", answer(log_weights, log_densities))
    joint = np.exp(log_weights + log_densities)
    right = joint / joint.sum(1, keepdims=True)
    density = np.exp(log_densities)
    for slip, hint in (
        (
            joint / joint.sum(0),
            "Each column sums to 1, and each row should: a point is shared out among the experts.",
        ),
        (
            joint / joint.sum(),
            "All of it sums to 1, and each row should: every point is shared out by itself.",
        ),
        (joint, "The rows do not sum to 1 yet: divide by the sum over the experts."),
        (
            density / density.sum(1, keepdims=True),
            "The weights are missing: a small one makes the share small.",
        ),
        (np.exp(log_weights), "These are the weights, before the point was seen."),
        (np.log(right), "These are the logarithms. Take exp at the end."),
        (_softmax(log_weights * log_densities), "Weight times density: their logarithms add up."),
        (_softmax(np.exp(log_weights) + log_densities), "Add the logarithm of the weight, not the weight."),
        (_softmax(joint), "You take exp twice: the products of weight and density only have to be divided."),
        (
            np.eye(3)[right.argmax(1)],
            "Each point goes to its best expert whole. Responsibilities are shares.",
        ),
    ):
        if given.shape == slip.shape and np.allclose(given, slip, atol=1e-6):
            raise Hint(hint)
    if given.shape != right.shape:
        raise Hint(f"Your array has shape {given.shape}; {right.shape} is wanted, a share for each expert.")
    if not np.allclose(given, right, atol=1e-5):
        raise Hint(f"It differs by up to {np.abs(given - right).max():.2g}. What do your rows sum to?")
    far = log_densities - 2000
    found = np.asarray(torch.as_tensor(answer(log_weights, far)), dtype=float)
    if not np.isfinite(found).all():
        raise Hint(
            "Right, but for a point far from all experts you get nan: exp(−2000) is 0, and 0/0 follows. "
            "Subtract each row's largest logarithm first, or its logsumexp."
        )
    if not np.allclose(found, right, atol=1e-5):
        raise Hint(
            "Right, but for a point far from all experts it is wrong: a constant per row must not matter."
        )
    return "Right, also for points that are far from every expert."


@checker
def m_step(function: Callable[..., tuple[npt.ArrayLike, float]]) -> str:
    """Check an M-step: inputs (n, d) with a column of ones, targets, responsibilities -> w, variance."""
    rng = np.random.default_rng(4)
    X = np.stack([np.ones(12), rng.normal(size=12)], axis=1)
    y, r = X @ [1.0, -2.0] + rng.normal(size=12), rng.uniform(0.05, 1, size=12)
    w, variance = several(("w", "variance"), result_of(function, X.copy(), y.copy(), r.copy()))
    w, variance = array("w", w, (2,)), number("variance", variance)
    right = _weighted(X, y, r)
    for slip, hint in (
        (
            _weighted(X, y, np.ones(12)),
            "all points count the same. Each counts as much as it is the expert's.",
        ),
        (
            _weighted(X, y, r**2),
            "the points are weighted by r². Multiply both X and y by √r, not by r.",
        ),
        (_weighted(X, y, 1 / r), "you divide by r. Points of other experts then count most."),
        (_weighted(X, y, r > 0.5), "you take the points above one half whole. EM takes a share of each."),
        (_weighted(X[:, :1], y, r), "the slope is missing."),
        (np.linalg.solve(X.T @ X, X.T @ (r * y)), "r stands on one side only: in XᵀRX it belongs too."),
        (np.linalg.solve((X.T * r) @ X, X.T @ y), "r stands on one side only: in XᵀRy it belongs too."),
    ):
        if slip.shape == w.shape and np.allclose(w, slip, atol=1e-6):
            raise Hint(f"w: {hint}")
    if not np.allclose(w, right, atol=1e-5):
        raise Hint(f"w is not {w.round(4).tolist()}: {right.round(4).tolist()} makes Σ r (y − Xw)² least.")
    square = (y - X @ w) ** 2
    best = (r * square).sum() / r.sum()
    for slip, hint in (
        ((r * square).sum() / 12, "divide by Σ r, the number of points that the expert owns, not by n."),
        (square.mean(), "the squared errors are weighted by r too."),
        (math.sqrt(best), "that is the standard deviation."),
        ((r * square).sum(), "that is the sum. Divide by Σ r."),
        ((r * square).mean() / r.sum(), "the mean has divided by n already."),
        ((r**2 * square).sum() / (r**2).sum(), "the weights are r, not r²."),
        ((r * square).sum() / (r.sum() - 1), "the likelihood divides by Σ r, without − 1."),
    ):
        if math.isclose(variance, slip, rel_tol=1e-6):
            raise Hint(f"w is right. variance: {hint}")
    if not math.isclose(variance, best, rel_tol=1e-4):
        raise Hint(f"w is right. variance is Σ r (y − Xw)² / Σ r = {best:.4g}, not {variance:.4g}.")
    return "Right: one expert's weighted least squares. EM does this for every expert in every step."


@checker
def top_k_weights(function: Callable[[torch.Tensor, int], torch.Tensor]) -> str:
    """Check the weights (n, E) of the k experts with the largest logits: their softmax, elsewhere zero."""
    logits = torch.from_numpy(np.random.default_rng(6).normal(size=(6, 5)) - 0.5)
    k = 2
    given = array("Your tensor", result_of(function, logits.clone(), k))
    h = logits.numpy()
    best = np.argsort(-h, axis=1)[:, :k]
    mask = np.zeros_like(h)
    np.put_along_axis(mask, best, 1.0, axis=1)
    right = _softmax(np.where(mask > 0, h, -np.inf))
    lowest = np.argsort(h, axis=1)[:, :k]
    for slip, hint in (
        (np.take_along_axis(right, best, 1), "Right numbers, of shape (n, k). Put them among the E experts."),
        (mask * _softmax(h), "The rows do not sum to 1: divide by the sum of what is left."),
        (_softmax(h * mask), "A logit of 0 is no zero weight: exp(0) = 1. What is masked must become −∞."),
        (_softmax(h), "All experts have weights. Only the k best keep theirs."),
        (mask / k, "All k count the same. Their logits say how much."),
        (mask, "That is which experts are chosen. With what weight?"),
        (mask * h, "These are logits. Weights are their softmax."),
        (mask * h / (mask * h).sum(1, keepdims=True), "You divide logits by their sum. Take exp first."),
        (_softmax(np.where(_rank(h) == k - 1, h, -np.inf)), "Only the k-th best has a weight."),
        (_softmax(np.where(_rank(h) == 0, h, -np.inf)), "Only the best has a weight."),
        (_softmax(np.where(_rank(-h) < k, h, -np.inf)), "You keep the k smallest logits."),
        (np.take_along_axis(_softmax(h), lowest, 1), "You keep the k smallest logits."),
        (np.take_along_axis(_softmax(h), best, 1), "Rows must sum to 1, and have E entries."),
        (_softmax(np.where(mask > 0, h, -np.inf), axis=0), "Your softmax runs over the examples."),
    ):  # fmt: skip
        if given.shape == slip.shape and np.allclose(given, slip, atol=1e-6):
            raise Hint(hint)
    if given.shape != right.shape:
        raise Hint(f"Your tensor has shape {given.shape}; {right.shape} is wanted, a weight for each expert.")
    if not np.allclose(given, right, atol=1e-5):
        raise Hint(f"For logits {h[0].round(2).tolist()} and k = 2, {right[0].round(3).tolist()} is right.")
    for k in (1, 5):
        found = array("Your tensor", result_of(function, logits.clone(), k), right.shape)
        if not np.allclose(found, _softmax(np.where(_rank(h) < k, h, -np.inf)), atol=1e-5):
            raise Hint(f"Right for k = 2, wrong for k = {k}.")
    return "Right. With k = 1 the weight is always 1: what does the router then learn from the task?"


@checker
def balance_loss(function: Callable[[torch.Tensor, torch.Tensor], float]) -> str:
    """Check the load-balancing loss E Σ f P of probabilities (n, E) and the experts chosen (n,)."""
    p = torch.from_numpy(np.random.default_rng(6).dirichlet(np.ones(4) / 2, size=10))
    chosen = p.argmax(1)

    def answer(p: torch.Tensor, chosen: torch.Tensor) -> float:
        return number("Your loss", result_of(function, p.clone(), chosen.clone()))

    given = answer(p, chosen)
    f, P = chosen.bincount(minlength=4).double() / 10, p.mean(0)
    right = (4 * (f * P).sum()).item()
    for slip, hint in (
        (right / 4, "Multiply by the number of experts, so that an even load gives 1 for any number."),
        (10 * right, "f is a share: divide the counts by the number of examples."),
        (10 * right / 4, "f is a share: divide the counts by n. And multiply the sum by E."),
        ((f * P).mean().item(), "That is a mean over the experts. E times the sum is wanted."),
        (4 * (f**2).sum().item(), "That is E Σ f². Counts have no gradient; the probabilities P carry it."),
        (4 * (P**2).sum().item(), "That is E Σ P². Where do the choices enter?"),
        (4 * p.max(1).values.mean().item(), "You average p of the chosen expert. f and P are averages."),
        (10 * 4 * (f * P).sum().item() * 10, "Both averages are sums: divide by n twice."),
        (-right, "The sign: a loss is to be small when the load is even."),
    ):  # fmt: skip
        if math.isclose(given, slip, rel_tol=1e-6):
            raise Hint(hint)
    if not math.isclose(given, right, rel_tol=1e-4):
        raise Hint(f"It is {right:.4g}, not {given:.4g}. f = {f.tolist()}; P is the mean of each column.")
    alone = torch.full((6, 3), 0.1, dtype=torch.float64)
    alone[:, 0] = 0.8
    if not math.isclose(answer(alone, alone.argmax(1)), 2.4, rel_tol=1e-4):
        raise Hint(
            "Right where every expert is chosen. But when all choose expert 0 of 3, the shares are 1, 0, 0."
        )
    return "Right: 1 where the load is even, up to E where one expert gets everything."


@checker
def below_one(probabilities: npt.ArrayLike) -> str:
    """Check probabilities (n, 2) for which the load-balancing loss of the best choices is below 1."""
    p = array("probabilities", probabilities)
    if p.ndim != 2 or p.shape[1] != 2 or not len(p):
        raise Hint(f"probabilities has shape {p.shape}; (n, 2) is wanted, two experts for each example.")
    if (p < 0).any() or not np.allclose(p.sum(1), 1, atol=1e-4):
        raise Hint("Each row holds two probabilities: not negative, and with the sum 1.")
    if np.isclose(p[:, 0], p[:, 1], atol=1e-9).any():
        raise Hint("In one row both are equal. Let every example have a clear choice, if only by a hair.")
    f = np.bincount(p.argmax(1), minlength=2) / len(p)
    loss = 2 * (f * p.mean(0)).sum()
    if loss < 0.999:
        return f"Right: {loss:.3f}. The even load is not where this loss is least, only where its value is 1."
    if math.isclose(loss, 1, abs_tol=1e-3) and math.isclose(f[0], 0.5):
        raise Hint("The load is even, so the loss is 1, whatever P is. Let one expert be chosen more often.")
    if f.max() == 1:
        raise Hint(f"All examples choose the same expert: {loss:.3f}. Then it is above 1.")
    if (f[0] > f[1]) == (p[:, 0].mean() > p[:, 1].mean()):
        raise Hint(
            f"{loss:.3f}: the expert that is chosen more often also has the larger P. Let many choose it "
            "by a hair, and few choose the other for certain."
        )
    raise Hint(f"{loss:.3f}: the right idea. Make the difference larger.")


@checker
def sizes(function: Callable[[int, int, int, int], tuple[int, int]]) -> str:
    """Check (d, hidden, experts, k) -> parameters, FLOPs per example of a layer of experts d → hidden → d."""
    cases = [(16, 32, 8, 2), (64, 256, 4, 1), (10, 7, 5, 5), (3, 11, 13, 4), (512, 2048, 64, 1)]
    given = [array("Your counts", result_of(function, *case), (2,)) for case in cases]

    def each(formula: Callable[[int, int, int, int], float]) -> np.ndarray:
        return np.array([formula(*case) for case in cases], dtype=float)

    parameters, flops = np.array(given).T
    right = each(lambda d, h, E, k: E * (2 * d * h + h + d) + d * E)
    for formula, hint in (
        (lambda d, h, E, k: E * (2 * d * h + h + d), "the router has d · E weights of its own."),
        (lambda d, h, E, k: E * 2 * d * h + d * E, "the biases are missing: h + d for each expert."),
        (lambda d, h, E, k: E * 2 * d * h, "the biases are missing, and the d · E weights of the router."),
        (lambda d, h, E, k: k * (2 * d * h + h + d) + d * E, "all E experts are stored, not k of them."),
        (lambda d, h, E, k: 2 * d * h + h + d + d * E, "that is one expert. How many are stored?"),
        (lambda d, h, E, k: E * (2 * d * h + h + d) + d * E + E, "this router has no bias."),
        (lambda d, h, E, k: E * (d * h + h) + d * E, "each expert has two layers: there and back."),
    ):
        if np.array_equal(parameters, each(formula)) and not np.array_equal(parameters, right):
            raise Hint(f"parameters: {hint}")
    for case, count, wanted in zip(cases, parameters, right, strict=True):
        if count != wanted:
            raise Hint(
                f"For d, hidden, experts, k = {case} there are {wanted:.0f} parameters, not {count:.10g}."
            )
    right = each(lambda d, h, E, k: 4 * k * d * h + 2 * d * E)
    for formula, hint in (
        (lambda d, h, E, k: 4 * E * d * h + 2 * d * E, "only k of the experts are computed for an example."),
        (lambda d, h, E, k: 2 * k * d * h + d * E, "a multiplication and an addition are two operations."),
        (
            lambda d, h, E, k: 4 * k * d * h,
            "the router is computed too, and for all E: it must compare them.",
        ),
        (
            lambda d, h, E, k: 4 * k * d * h + 2 * d * k,
            "the router needs the logits of all E, to find the best k.",
        ),
        (
            lambda d, h, E, k: 4 * k * d * h + d * E,
            "the router's multiply-adds are two operations each, too.",
        ),
        (lambda d, h, E, k: 2 * k * d * h + 2 * d * E, "each expert has two layers: there and back."),
        (lambda d, h, E, k: 4 * d * h + 2 * d * E, "that is one expert. An example goes to k."),
    ):
        if np.array_equal(flops, each(formula)) and not np.array_equal(flops, right):
            raise Hint(f"The parameters are right. FLOPs: {hint}")
    for case, count, wanted in zip(cases, flops, right, strict=True):
        if count != wanted:
            raise Hint(f"For d, hidden, experts, k = {case} there are {wanted:.0f} FLOPs, not {count:.10g}.")
    return "Right: parameters grow with E, operations with k, but for the router."


def _softmax(values: np.ndarray, axis: int = 1) -> np.ndarray:
    shifted = np.exp(values - values.max(axis, keepdims=True))
    return shifted / shifted.sum(axis, keepdims=True)


def _rank(values: np.ndarray) -> np.ndarray:
    """Return how many values of its row are larger than each."""
    return (values[:, None, :] > values[:, :, None]).sum(2)


def _weighted(X: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted least-squares solution."""
    return np.linalg.solve((X.T * weights) @ X, X.T @ (weights * y))
