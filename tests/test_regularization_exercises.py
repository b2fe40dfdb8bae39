"""The regularisation chapter's checkers take every right answer, and know the usual misunderstandings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from verdicts import assert_hint, is_right, parameter

from ddl.exercises import regularization

# What is left of a weight


@pytest.mark.parametrize(
    ("l2", "l1"),
    [
        (-9 / 13, -0.6),
        (-0.69, -0.6),
        (np.float32(-0.6923), np.array([-0.6])),
        (torch.tensor(-9 / 13), parameter(-0.6)),
    ],
    ids=str,
)
def test_shrunk_takes_numbers_of_any_kind(l2, l1):
    assert is_right(regularization.shrunk(l2, l1))


@pytest.mark.parametrize(
    ("l2", "l1", "words"),
    [
        (-0.6, -9 / 13, "The other way round"),
        (-0.63, -0.6, "ℓ₂ multiplies by 1 − λ in your answer."),
        (-0.9 / 1.6, -0.6, "ℓ₂ with the factor ½ in front"),
        (-0.6, -0.6, "ℓ₂ divides. You have subtracted."),
        (9 / 13, -0.6, "ℓ₂ keeps the sign of the weight."),
        (-9 / 13, 0.6, "ℓ₁ keeps the sign of the weight."),
        (-9 / 13, -1.2, "ℓ₁ has pushed your weight away from zero."),
        (-9 / 13, -9 / 13, "ℓ₁ subtracts. You have divided."),
        (-9 / 13, 0, "ℓ₁ makes zero only what is below λ"),
        (-9 / 13, -0.9, "ℓ₁ is no hard threshold"),
        (-9 / 13, -0.5, "ℓ₁ does not leave -0.5 of −0.9."),
        (-0.5, -0.6, "ℓ₂ does not leave -0.5 of −0.9."),
        ([1, 2], -0.6, "with_l2 has shape (2,); one number is wanted."),
    ],
)
def test_shrunk_has_a_hint_for_each_misunderstanding(l2, l1, words):
    assert_hint(regularization.shrunk(l2, l1), words)


# The same penalty as weight decay


def test_decay_is_the_one_that_torch_needs():
    w, decayed = parameter([1.5, -2.0]), parameter([1.5, -2.0])
    (0.01 * w.square().sum()).backward()
    torch.optim.SGD([w], lr=0.1).step()
    decayed.grad = torch.zeros(2)
    torch.optim.SGD([decayed], lr=0.1, weight_decay=0.02).step()
    torch.testing.assert_close(w, decayed)
    assert is_right(regularization.decay_for(0.02))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (0.01, "What is the derivative of 0.01 w²?"),
        (0.005, "The wrong way round"),
        (0.001, "The learning rate multiplies the whole gradient"),
        (0.002, "The learning rate multiplies the whole gradient"),
        (0.03, "With 0.03 the gradients differ."),
    ],
)
def test_decay_has_a_hint_for_each_misunderstanding(given, words):
    assert_hint(regularization.decay_for(given), words)


# Soft thresholding


@pytest.mark.parametrize(
    "function",
    [
        lambda w, amount: np.sign(w) * np.maximum(np.abs(w) - amount, 0),
        lambda w, amount: np.maximum(w - amount, 0) + np.minimum(w + amount, 0),
        lambda w, amount: w - np.clip(w, -amount, amount),
        lambda w, amount: F.softshrink(torch.from_numpy(w), amount),
        lambda w, amount: (np.sign(w) * np.maximum(np.abs(w) - amount, 0)).tolist(),
    ],
    ids=["formula", "two sides", "clip", "torch", "list"],
)
def test_soft_threshold_takes_any_way_to_write_it(function):
    assert is_right(regularization.soft_threshold(function))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda w, a: np.where(np.abs(w) > a, w, 0), "That is hard thresholding"),
        (lambda w, a: w - a * np.sign(w), "jumped over zero"),
        (lambda w, a: w - a, "You take 0.4 off the weight"),
        (lambda w, a: np.maximum(w - a, 0), "All negative weights are gone."),
        (lambda w, a: np.maximum(np.abs(w) - a, 0), "The signs are lost."),
        (lambda w, a: w / (1 + a), "That is ℓ₂: it divides."),
        (lambda w, a: w * (1 - a), "That is weight decay"),
        (lambda w, a: w * 3, "For amount 0.4,"),
        (lambda w, a: np.sign(w) * np.maximum(np.abs(w) - 0.4, 0), "But amount 0 must change nothing"),
        (lambda w, a: w[0], "What you return has shape (3,); (2, 3) is wanted."),
        (lambda w, a: None, "Your function returns None."),
    ],
)
def test_soft_threshold_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(regularization.soft_threshold(function), words)


# Dropout


def right_dropout(h, rate, training):
    return (torch.rand(h.shape) >= rate) * h / (1 - rate) if training else h


@pytest.mark.parametrize(
    "function",
    [
        right_dropout,
        lambda h, rate, training: F.dropout(h, rate, training),
        lambda h, rate, training: (
            torch.empty_like(h).bernoulli_(1 - rate) * h / (1 - rate) if training else h
        ),
    ],
    ids=["uniform", "torch", "bernoulli"],
)
def test_dropout_takes_any_way_to_draw(function):
    assert is_right(regularization.dropout(function))


def test_dropout_leaves_the_random_state_alone():
    state = torch.random.get_rng_state()
    regularization.dropout(right_dropout)
    assert torch.equal(state, torch.random.get_rng_state())


def masked(keep, scale, quiet=1.0):
    """A dropout with another probability to survive and another scale, as functions of the rate."""
    return lambda h, rate, training: (
        (torch.rand(h.shape) < keep(rate)) * h * scale(rate) if training else h * quiet
    )


def fixed(h, rate, training):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(h.shape, generator=generator) >= rate) * h / (1 - rate) if training else h


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (masked(lambda p: 1 - p, lambda p: 1.0, 0.8), "That is the other bookkeeping"),
        (lambda h, rate, training: right_dropout(h, rate, True), "With training=False nothing must change."),
        (lambda h, rate, training: h, "In training nothing is silenced."),
        (masked(lambda p: p, lambda p: 1 / p), "You silence 80 %."),
        (lambda h, rate, training: F.dropout1d(h, rate, training), "Whole rows or columns"),
        (
            lambda h, rate, training: (torch.rand(h.shape[1]) >= rate) * h / (1 - rate) if training else h,
            "Whole rows or columns",
        ),
        (masked(lambda p: 0.5, lambda p: 2.0), "At rate 0.2 you silence 50% of the numbers."),
        (fixed, "Two calls have silenced the same numbers."),
        (masked(lambda p: 1 - p, lambda p: 1.0), "Scale by 1/(1 − p)."),
        (masked(lambda p: 1 - p, lambda p: 1 - p), "Divide instead"),
        (masked(lambda p: 1 - p, lambda p: 1 / p), "You divide by p."),
        (masked(lambda p: 1 - p, lambda p: 3.0), "From 2, what survives has become [6.0]"),
        (lambda h, rate, training: h[0], "What you return has shape (300,); (200, 300) is wanted."),
    ],
)
def test_dropout_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(regularization.dropout(function), words)


# Patience


def loop(values, patience, *, strict=True, late=0, anew=True, base=1):
    """Early stopping with the slips that the checker knows."""
    best, when, waited = np.inf, 0, 0
    for epoch, value in enumerate(values):
        if value < best or (not strict and value == best):
            best, when = value, epoch
            if anew:
                waited = 0
        else:
            waited += 1
            if waited >= patience + late:
                return when + base, epoch + base
    return when + base, len(values) - 1 + base


@pytest.mark.parametrize(
    "function", [loop, lambda v, p: list(loop(v, p)), lambda v, p: (np.int64(loop(v, p)[0]), loop(v, p)[1])]
)
def test_patience_takes_right_answers(function):
    assert is_right(regularization.patience(function))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda v, p: loop(v, p, base=0), "You count from 0."),
        (lambda v, p: (np.argmin(v) + 1, len(v)), "it is never seen"),
        (lambda v, p: (loop(v, p)[1],) * 2, "You return the last epoch twice."),
        (lambda v, p: loop(v, p, late=1), "You stop one epoch late"),
        (lambda v, p: loop(v, p, late=-1), "You stop one epoch early"),
        (lambda v, p: loop(v, p)[::-1], "the wrong way round"),
        (lambda v, p: loop(v, p, anew=False), "does not start anew"),
        (lambda v, p: loop(v, p, strict=False), "An equal loss is no improvement"),
        (lambda v, p: 4, "Return two epochs"),
        (lambda v, p: (8, 11), "and patience 3 you say (8, 11); it is (5, 8)."),
        (lambda v, p: loop(v, min(p, 4)), "and patience 5 you say"),
    ],
)
def test_patience_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(regularization.patience(function), words)


# The penalty that matches a stopping time


def matching(s, rate, steps):
    left = (1 - rate * s) ** steps
    return s * left / (1 - left)


def test_matching_penalty_takes_right_answers():
    assert is_right(regularization.matching_penalty(matching))
    assert is_right(regularization.matching_penalty(lambda s, r, t: s / (1 - (1 - r * s) ** t) - s))
    assert is_right(regularization.matching_penalty(lambda *a: torch.tensor(matching(*a))))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda s, r, t: 1 / (r * t), "That is the rule of thumb"),
        (lambda s, r, t: r * t, "Upside down, and the rule of thumb"),
        (lambda s, r, t: s**2 / matching(s, r, t), "Upside down: a long training"),
        (lambda s, r, t: s * (1 - r * s) ** t, "Divide by the share gone"),
        (lambda s, r, t: s * (1 - (1 - r * s) ** t), "That is s times the share gone."),
        (lambda s, r, t: 7.0, "For s = 1, η = 0.1 and 5 steps, α is 1.442; you return 7."),
    ],
)
def test_matching_penalty_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(regularization.matching_penalty(function), words)


def test_matching_penalty_misses_the_eigenvalue():
    """At s = 1 the slip cannot be seen; the next case shows it."""
    assert_hint(
        regularization.matching_penalty(lambda s, r, t: matching(s, r, t) / s), "The eigenvalue s is missing"
    )


# Problem by problem


def gain(with_it, without, ddof=1):
    difference = with_it - without
    return difference.mean(), difference.std(ddof=ddof) / len(difference) ** 0.5


@pytest.mark.parametrize("function", [gain, lambda a, b: np.array(gain(a, b)), lambda a, b: list(gain(a, b))])
def test_paired_takes_right_answers(function):
    assert is_right(regularization.paired(function))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda a, b: gain(b, a), "The gain has the wrong sign"),
        (lambda a, b: ((a - b).sum(), gain(a, b)[1]), "That is the sum of the gains"),
        (lambda a, b: (a.mean(), gain(a, b)[1]), "The mean gain is"),
        (
            lambda a, b: (gain(a, b)[0], np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 16)),
            "You treat the two as strangers.",
        ),
        (lambda a, b: (gain(a, b)[0], (a - b).std(ddof=1)), "That is the spread of the gains."),
        (lambda a, b: (gain(a, b)[0], (a - b).std()), "That is the spread of the gains."),
        (lambda a, b: (gain(a, b)[0], (a - b).std(ddof=1) / 16), "Divide by the root"),
        (lambda a, b: gain(a, b, ddof=0), "NumPy's std divides by n."),
        (lambda a, b: (gain(a, b)[0], a.std(ddof=1) / 4), "one of the two"),
        (lambda a, b: (gain(a, b)[0], b.std(ddof=1) / 4), "one of the two"),
        (lambda a, b: (gain(a, b)[0], 9.0), "The standard error is"),
        (lambda a, b: 2.0, "Return two numbers"),
    ],
)
def test_paired_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(regularization.paired(function), words)


def not_written(*_):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("check", "answers"),
    [
        (regularization.shrunk, (..., ...)),
        (regularization.shrunk, (-0.6, ...)),
        (regularization.decay_for, (...,)),
        *(
            (check, (not_written,))
            for check in (
                regularization.soft_threshold,
                regularization.dropout,
                regularization.patience,
                regularization.matching_penalty,
                regularization.paired,
            )
        ),
    ],
)
def test_exercises_not_attempted_say_so(check, answers):
    verdict = check(*answers)
    assert (verdict.right, verdict.attempted) == (False, False)
    assert str(verdict).startswith("… Not attempted yet")
