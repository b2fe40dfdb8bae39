"""Checkers of the exercises in the regularisation chapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from ddl.exercises.answers import array, number, result_of
from ddl.exercises.verdict import Hint, checker


@checker
def shrunk(with_l2: float, with_l1: float) -> str:
    """Check what ℓ₂ and ℓ₁ of strength 0.3 leave of a weight that alone would be −0.9."""
    with_l2, with_l1 = number("with_l2", with_l2), number("with_l1", with_l1)
    right = -0.9 / 1.3, -0.6
    if np.isclose(with_l2, right[1], atol=0.005) and np.isclose(with_l1, right[0], atol=0.005):
        raise Hint("The other way round: which of the two divides, and which subtracts?")
    for name, given, slips in (
        (
            "ℓ₂",
            with_l2,
            {
                -0.63: "multiplies by 1 − λ in your answer. Set the derivative to zero: w − a + λw = 0.",
                -0.9 / 1.6: "with the factor ½ in front: the derivative of λw²/2 is λw, not 2λw.",
                -0.6: "divides. You have subtracted.",
            },
        ),
        (
            "ℓ₁",
            with_l1,
            {
                -1.2: "has pushed your weight away from zero. The sign of a matters.",
                -0.9 / 1.3: "subtracts. You have divided.",
                0.0: "makes zero only what is below λ in size, and |a| = 0.9 is not.",
                -0.9: "is no hard threshold: it takes λ away also from what survives.",
            },
        ),
    ):
        wanted = right[name == "ℓ₁"]
        if np.isclose(given, -wanted, atol=0.005):
            raise Hint(f"{name} keeps the sign of the weight.")
        for slip, hint in slips.items():
            if np.isclose(given, slip, atol=0.005):
                raise Hint(f"{name} {hint}")
        if not np.isclose(given, wanted, atol=0.005):
            raise Hint(f"{name} does not leave {given:.3g} of −0.9. Set the derivative of the sum to zero.")
    return "Right: divided by 1.3, and 0.3 less."


@checker
def decay_for(weight_decay: float) -> str:
    """Check the weight decay of SGD that does what 0.01 times the sum of all squared weights does."""
    given = number("weight_decay", weight_decay)
    for slip, hint in (
        (0.01, "PyTorch adds weight_decay · w to the gradient. What is the derivative of 0.01 w²?"),
        (0.005, "The wrong way round: the penalty has no ½, so its derivative is larger, not smaller."),
        (0.001, "The learning rate multiplies the whole gradient, the penalty's too: it does not enter."),
        (0.002, "The learning rate multiplies the whole gradient, the penalty's too: it does not enter."),
    ):
        if np.isclose(given, slip):
            raise Hint(hint)
    if not np.isclose(given, 0.02):
        raise Hint(f"With {given:.3g} the gradients differ. Write both of them for a single weight.")
    return "Right: the derivative of 0.01 w² is 0.02 w."


@checker
def soft_threshold(function: Callable[[np.ndarray, float], npt.ArrayLike]) -> str:
    """Check a function (w, amount) that takes so much of the size of each weight, and stops at zero."""
    w = np.array([[-2.0, -0.5, -0.2], [0.0, 0.3, 1.5]])

    def given(amount: float) -> np.ndarray:
        return array("What you return", result_of(function, w.copy(), amount), w.shape)

    found = given(0.4)
    for slip, hint in (
        (np.where(np.abs(w) > 0.4, w, 0), "That is hard thresholding: what survives must lose 0.4 as well."),
        (w - 0.4 * np.sign(w), "Small weights have jumped over zero to the other side. They stop at zero."),
        (w - 0.4, "You take 0.4 off the weight, not off its size: −2 has become −2.4."),
        (np.maximum(w - 0.4, 0), "All negative weights are gone. What is taken away is size."),
        (np.maximum(np.abs(w) - 0.4, 0), "The sizes are right. The signs are lost."),
        (w / 1.4, "That is ℓ₂: it divides. ℓ₁ takes the same from each weight."),
        (0.6 * w, "That is weight decay: it multiplies. ℓ₁ takes the same from each weight."),
    ):
        if np.allclose(found, slip):
            raise Hint(hint)
    wanted = np.array([[-1.6, -0.1, 0.0], [0.0, 0.0, 1.1]])
    if not np.allclose(found, wanted):
        raise Hint(f"For amount 0.4, {w.tolist()} becomes {found.tolist()}; it should be {wanted.tolist()}.")
    if not np.allclose(given(0.0), w) or not np.allclose(given(5.0), 0):
        raise Hint("Right for 0.4. But amount 0 must change nothing, and amount 5 leave nothing.")
    return "Right: this is the whole difference between gradient descent and proximal ℓ₁."


@checker
def dropout(function: Callable[[torch.Tensor, float, bool], torch.Tensor]) -> str:
    """Check a function (h, rate, training) that does what nn.Dropout does."""
    h = torch.full((200, 300), 2.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        quiet = array("What you return", result_of(function, h.clone(), 0.2, False), (200, 300))
        kept = array("What you return", result_of(function, h.clone(), 0.2, True), (200, 300))
        again = array("What you return", result_of(function, h.clone(), 0.2, True), (200, 300))
    if np.allclose(quiet, 1.6):
        raise Hint("In evaluation you scale by 1 − p. That is the other bookkeeping: here training scales.")
    if not np.allclose(quiet, 2.0):
        raise Hint("With training=False nothing must change.")
    zeros = (kept == 0).mean()
    if zeros == 0:
        raise Hint("In training nothing is silenced.")
    if abs(zeros - 0.8) < 0.02:
        raise Hint("You silence 80 %. The rate is the probability to be silenced, not to survive.")
    rows, columns = (kept == 0).all(1).mean(), (kept == 0).all(0).mean()
    if rows > 0.01 or columns > 0.01:
        raise Hint("Whole rows or columns are silenced together. Each number is drawn by itself.")
    if abs(zeros - 0.2) > 0.02:
        raise Hint(f"At rate 0.2 you silence {zeros:.0%} of the numbers.")
    if np.array_equal(kept, again):
        raise Hint("Two calls have silenced the same numbers. Draw a new mask each time.")
    left = np.unique(kept[kept != 0].round(6))
    for value, hint in (
        (2.0, "What survives is unchanged, so the mean falls to 80 %. Scale by 1/(1 − p)."),
        (1.6, "What survives is multiplied by 1 − p. Divide instead: the mean must stay."),
        (10.0, "You divide by p. What is the probability to survive?"),
    ):
        if len(left) == 1 and np.isclose(left[0], value):
            raise Hint(hint)
    if len(left) != 1 or not np.isclose(left[0], 2.5):
        raise Hint(f"From 2, what survives has become {left[:3].tolist()}; the mean stays with 2.5.")
    return "Right: the mean stays, and evaluation changes nothing."


@checker
def patience(function: Callable[[Sequence[float], int], tuple[int, int]]) -> str:
    """Check a function (values, patience) that returns the best epoch and the last one, counted from 1."""

    def told(values: Sequence[float], wait: int) -> tuple[int, int]:
        given = result_of(function, list(values), wait)
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise Hint("Return two epochs: the best one, and the one at which training ends.")
        return round(number("The best epoch", given[0])), round(number("The last epoch", given[1]))

    def loop(values: Sequence[float], wait: int) -> tuple[int, int]:
        best = 0
        for epoch in range(1, len(values)):
            if values[epoch] < values[best]:
                best = epoch
            elif epoch - best >= wait:
                return best + 1, epoch + 1
        return best + 1, len(values)

    jumpy = [5.0, 4.0, 4.2, 4.3, 3.0, 3.1, 3.2, 3.3, 2.0, 2.5, 2.6, 2.7, 2.8, 1.0]
    given = told(jumpy, 3)
    for slip, hint in (
        ((4, 7), "You count from 0. The first epoch is 1."),
        ((14, 14), "Epoch 14 is the best of all, but after epoch 8 training has ended: it is never seen."),
        ((8, 8), "You return the last epoch twice. Which had the lowest loss before it?"),
        ((8, 5), "The right epochs, the wrong way round: first the best, then the last."),
        ((9, 13), "You stop one epoch late: after 3 epochs without improvement, not after 4."),
        ((2, 4), "You stop one epoch early: after 3 epochs without improvement, not after 2."),
        ((5, 6), "Your count of epochs without improvement does not start anew after an improvement."),
    ):
        if given == slip:
            raise Hint(hint)
    if told([3.0, 2.0, 2.0, 2.0, 2.0, 1.0], 2) == (6, 6):
        raise Hint("An equal loss is no improvement: at patience 2, [3, 2, 2, 2, 2, 1] ends at epoch 4.")
    rng = np.random.default_rng(7)
    cases = [(jumpy, 3), (jumpy, 1), (jumpy, 5), ([3.0, 2.0, 1.0], 5), ([1.0], 2)]
    cases += [(rng.normal(size=20).round(1).tolist(), int(wait)) for wait in rng.integers(1, 8, size=30)]
    for values, wait in cases:
        found, wanted = told(values, wait), loop(values, wait)
        if found != wanted:
            raise Hint(f"For {values} and patience {wait} you say {found}; it is {wanted}.")
    return "Right: and the weights of the best epoch are the ones to keep."


@checker
def matching_penalty(function: Callable[[float, float, int], float]) -> str:
    """Check a function (s, rate, steps) -> α with s/(s + α) = 1 − (1 − ηs)ᵗ."""
    for s, rate, steps in ((1.0, 0.1, 5), (0.2, 0.5, 30), (3.0, 0.05, 2)):
        left = (1 - rate * s) ** steps
        given, wanted = number("α", result_of(function, s, rate, steps)), s * left / (1 - left)
        if np.isclose(given, wanted, rtol=1e-4):
            continue
        for slip, hint in (
            (1 / (rate * steps), "That is the rule of thumb 1/(ηt). It is exact only for small ηts: solve."),
            (s * (1 - left) / left, "Upside down: a long training must give a small α."),
            (left / (1 - left), "The eigenvalue s is missing: α has the same units as s."),
            (s * left, "Divide by the share gone, 1 − (1 − ηs)ᵗ."),
            (
                s * (1 - left),
                "That is s times the share gone. Solve s/(s + α) = share for α.",
            ),
            (rate * steps, "Upside down, and the rule of thumb: a long training must give a small α."),
        ):
            if np.isclose(given, slip, rtol=1e-4):
                raise Hint(hint)
        raise Hint(
            f"For s = {s:g}, η = {rate:g} and {steps} steps, α is {wanted:.4g}; you return {given:.4g}."
        )
    return "Right: each direction has a penalty of its own, and for small ηts they are all 1/(ηt)."


@checker
def paired(function: Callable[[np.ndarray, np.ndarray], tuple[float, float]]) -> str:
    """Check a function (with_it, without) -> mean gain and its standard error, problem by problem."""
    rng = np.random.default_rng(11)
    without = rng.normal(70, 6, size=16)
    with_it = without + rng.normal(2, 1, size=16)
    given = result_of(function, with_it.copy(), without.copy())
    if not isinstance(given, list | tuple | np.ndarray) or len(given) != 2:
        raise Hint("Return two numbers: the mean gain and its standard error.")
    gain, error = number("The gain", given[0]), number("The standard error", given[1])
    gains = with_it - without
    if np.isclose(gain, -gains.mean()):
        raise Hint("The gain has the wrong sign: with minus without.")
    if np.isclose(gain, gains.sum()):
        raise Hint("That is the sum of the gains; the mean is wanted.")
    if not np.isclose(gain, gains.mean()):
        raise Hint(f"The mean gain is {gains.mean():.4g}; you return {gain:.4g}.")
    spread = gains.std(ddof=1)
    unpaired = [
        np.sqrt((with_it.var(ddof=d) + without.var(ddof=d)) / (16 - e)) for d in (0, 1) for e in (0, 1)
    ]
    if np.isclose(error, unpaired).any():
        raise Hint(
            "You treat the two as strangers. They are the same 16 problems: take the differences first."
        )
    for slip, hint in (
        (spread, "That is the spread of the gains. The mean of 16 is less uncertain than one of them."),
        (gains.std(), "That is the spread of the gains. The mean of 16 is less uncertain than one of them."),
        (spread / 16, "Divide by the root of the number of problems, not by the number."),
        (gains.std() / 4, "NumPy's std divides by n. For an estimate from a sample take ddof=1."),
        (with_it.std(ddof=1) / 4, "That is the standard error of one of the two, not of their difference."),
        (without.std(ddof=1) / 4, "That is the standard error of one of the two, not of their difference."),
    ):
        if np.isclose(error, slip):
            raise Hint(hint)
    if not np.isclose(error, spread / 4):
        raise Hint(f"The standard error is {spread / 4:.4g}; you return {error:.4g}.")
    return "Right: what varies from problem to problem cancels before you average."
