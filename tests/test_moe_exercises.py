"""The exercises on sparse mixtures: every right answer passes, and every usual slip gets its hint."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from verdicts import assert_hint, is_right, parameter

from ddl.exercises import moe
from ddl.models import MixtureOfExperts, cost

# Weights of the best


def weights(logits, k):
    best = logits.topk(k, dim=1)
    return torch.full_like(logits, -torch.inf).scatter(1, best.indices, best.values).softmax(1)


def renormalised(logits, k):
    p = logits.softmax(1)
    p = torch.where(p >= p.sort(descending=True).values[:, k - 1 : k], p, 0)
    return p / p.sum(1, keepdim=True)


def by_the_layer(logits, k):
    layer = MixtureOfExperts((5, 1), experts=5, top_k=k, renormalize=True).double()
    with torch.no_grad():
        layer.router.weight.copy_(torch.eye(5))
    routing = layer.route(logits)
    return torch.zeros_like(logits).scatter(1, routing.chosen, routing.weights.detach())


@pytest.mark.parametrize(
    "function", [weights, renormalised, by_the_layer, lambda h, k: weights(h, k).tolist()]
)
def test_top_k_weights_takes_any_way_to_compute_them(function):
    assert is_right(moe.top_k_weights(function))


def chosen(h, k):
    return (weights(h, k) > 0).double()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda h, k: h.topk(k).values.softmax(1), "Right numbers, of shape (n, k)."),
        (
            lambda h, k: chosen(h, k) * h.softmax(1),
            "The rows do not sum to 1: divide by the sum of what is left.",
        ),
        (lambda h, k: (h * chosen(h, k)).softmax(1), "A logit of 0 is no zero weight"),
        (lambda h, k: h.softmax(1), "All experts have weights."),
        (lambda h, k: chosen(h, k) / k, "All k count the same."),
        (chosen, "That is which experts are chosen. With what weight?"),
        (lambda h, k: chosen(h, k) * h, "These are logits."),
        (
            lambda h, k: F.normalize(chosen(h, k) * h, p=1) * 0 + _divided(h, k),
            "You divide logits by their sum.",
        ),
        (lambda h, k: weights(h, k - 1), "Only the best has a weight."),
        (lambda h, k: (h == h.topk(k).values[:, -1:]).double(), "Only the k-th best has a weight."),
        (lambda h, k: _smallest(h, k), "You keep the k smallest logits."),
        (lambda h, k: h.softmax(1).sort().values[:, :k], "You keep the k smallest logits."),
        (lambda h, k: h.softmax(1).topk(k).values, "Rows must sum to 1, and have E entries."),
        (
            lambda h, k: torch.where(chosen(h, k) > 0, h, -torch.inf).softmax(0),
            "Your softmax runs over the examples.",
        ),
        (lambda h, k: weights(h, 3), "For logits ["),
        (lambda h, k: weights(h, 2), "Right for k = 2, wrong for k = 1."),
        (lambda h, k: weights(h, min(k, 4)), "Right for k = 2, wrong for k = 5."),
        (lambda h, k: weights(h, k)[:, 0], "Your tensor has shape (6,); (6, 5) is wanted"),
    ],
)
def test_top_k_weights_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(moe.top_k_weights(function), words)


def _divided(h, k):
    kept = chosen(h, k) * h
    return kept / kept.sum(1, keepdim=True)


def _smallest(h, k):
    best = (-h).topk(k)
    return torch.full_like(h, -torch.inf).scatter(1, best.indices, -best.values).softmax(1)


# Balance


def loss(p, chosen):
    f = F.one_hot(chosen, p.shape[1]).double().mean(0)
    return p.shape[1] * (f * p.mean(0)).sum()


@pytest.mark.parametrize(
    "function",
    [
        loss,
        lambda p, c: p.shape[1] * (c.bincount(minlength=p.shape[1]) / len(p) @ p.float().mean(0)),
        lambda p, c: (
            sum(float((c == e).double().mean() * p[:, e].mean()) for e in range(p.shape[1])) * p.shape[1]
        ),
    ],
)
def test_balance_loss_takes_any_way_to_compute_it(function):
    assert is_right(moe.balance_loss(function))


def parts(p, c):
    return F.one_hot(c, p.shape[1]).double().mean(0), p.mean(0)


def made(of):
    return lambda p, c: of(*parts(p, c), p, c)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (made(lambda f, P, p, c: (f * P).sum()), "Multiply by the number of experts"),
        (
            made(lambda f, P, p, c: len(p) * len(f) * (f * P).sum()),
            "f is a share: divide the counts by the num",
        ),
        (made(lambda f, P, p, c: len(p) * (f * P).sum()), "f is a share: divide the counts by n. And"),
        (made(lambda f, P, p, c: (f * P).mean()), "That is a mean over the experts."),
        (made(lambda f, P, p, c: len(f) * (f * f).sum()), "That is E Σ f²."),
        (made(lambda f, P, p, c: len(f) * (P * P).sum()), "That is E Σ P²."),
        (made(lambda f, P, p, c: len(f) * p.max(1).values.mean()), "You average p of the chosen expert."),
        (made(lambda f, P, p, c: len(f) * len(p) ** 2 * (f * P).sum()), "Both averages are sums"),
        (made(lambda f, P, p, c: -len(f) * (f * P).sum()), "The sign"),
        (made(lambda f, P, p, c: 3.0), "not 3. f = ["),
        (made(lambda f, P, p, c: 4 * (f * P).sum()), "Right where every expert is chosen."),
        (lambda p, c: p, "Your loss has shape (10, 4); one number is wanted."),
    ],
)
def test_balance_loss_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(moe.balance_loss(function), words)


FOOLED = [[0.51, 0.49]] * 3 + [[0.0, 1.0]]


@pytest.mark.parametrize(
    "answer", [FOOLED, np.array(FOOLED), parameter(FOOLED), [row[::-1] for row in FOOLED]]
)
def test_below_one_takes_what_is_below(answer):
    assert is_right(moe.below_one(answer))


def test_the_loss_that_is_below_one_is_that_of_the_layer():
    layer = MixtureOfExperts((2, 1), experts=2, top_k=1)
    with torch.no_grad():
        layer.router.weight.copy_(torch.eye(2))
    routing = layer.route(torch.tensor(FOOLED).clamp(min=1e-6).log())
    assert float(moe.below_one(FOOLED).message.split()[1][:-1]) == pytest.approx(
        routing.balance_loss.item(), abs=1e-3
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([[0.9, 0.1], [0.1, 0.9]], "The load is even, so the loss is 1, whatever P is."),
        ([[0.9, 0.1], [0.6, 0.4]], "All examples choose the same expert: 1.500."),
        ([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8]], "1.089: the expert that is chosen more often also has the"),
        ([[0.5005, 0.4995]] * 3 + [[0.498, 0.502]], "1.000: the right idea."),
        ([[0.5, 0.5], [0.1, 0.9]], "In one row both are equal."),
        ([[0.5, 0.6]], "Each row holds two probabilities"),
        ([[1.5, -0.5]], "Each row holds two probabilities"),
        ([0.5, 0.5], "probabilities has shape (2,); (n, 2) is wanted"),
    ],
)
def test_below_one_has_a_hint_for_each_misunderstanding(answer, words):
    assert_hint(moe.below_one(answer), words)


# Sizes


def counts(d, h, E, k):
    return E * (2 * d * h + h + d) + d * E, 4 * k * d * h + 2 * d * E


def of_the_layer(d, h, E, k):
    found = cost(MixtureOfExperts((d, h, d), E, top_k=k))
    return found.parameters, found.flops


@pytest.mark.parametrize(
    "function", [counts, lambda *case: np.array(counts(*case), dtype=float), of_the_layer]
)
def test_sizes_takes_any_way_to_count(function):
    assert is_right(moe.sizes(function))


def other(parameters=None, flops=None):
    """Right counts but for one of the two."""
    return lambda *case: (
        parameters(*case) if parameters else counts(*case)[0],
        flops(*case) if flops else counts(*case)[1],
    )


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (other(lambda d, h, E, k: E * (2 * d * h + h + d)), "parameters: the router has d · E weights"),
        (other(lambda d, h, E, k: 2 * E * d * h + d * E), "parameters: the biases are missing: h + d"),
        (other(lambda d, h, E, k: 2 * E * d * h), "parameters: the biases are missing, and the d · E"),
        (other(lambda d, h, E, k: k * (2 * d * h + h + d) + d * E), "parameters: all E experts are stored"),
        (other(lambda d, h, E, k: 2 * d * h + h + d + d * E), "parameters: that is one expert."),
        (
            other(lambda d, h, E, k: E * (2 * d * h + h + d) + d * E + E),
            "parameters: this router has no bias.",
        ),
        (other(lambda d, h, E, k: E * (d * h + h) + d * E), "parameters: each expert has two layers"),
        (
            other(lambda d, h, E, k: 7),
            "For d, hidden, experts, k = (16, 32, 8, 2) there are 8704 parameters, not 7.",
        ),
        (other(flops=lambda d, h, E, k: 4 * E * d * h + 2 * d * E), "FLOPs: only k of the experts"),
        (other(flops=lambda d, h, E, k: 2 * k * d * h + d * E), "FLOPs: a multiplication and an addition"),
        (other(flops=lambda d, h, E, k: 4 * k * d * h), "FLOPs: the router is computed too"),
        (
            other(flops=lambda d, h, E, k: 4 * k * d * h + 2 * d * k),
            "FLOPs: the router needs the logits of all",
        ),
        (other(flops=lambda d, h, E, k: 4 * k * d * h + d * E), "FLOPs: the router's multiply-adds"),
        (other(flops=lambda d, h, E, k: 2 * k * d * h + 2 * d * E), "FLOPs: each expert has two layers"),
        (other(flops=lambda d, h, E, k: 4 * d * h + 2 * d * E), "FLOPs: that is one expert."),
        (other(flops=lambda d, h, E, k: 7), "there are 4352 FLOPs, not 7."),
        (lambda d, h, E, k: 7, "Your counts has shape (); (2,) is wanted."),
    ],
)
def test_sizes_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(moe.sizes(function), words)


# All of them


@pytest.mark.parametrize(
    ("check", "answers"),
    [
        (moe.gaussian_nll, 2), (moe.coverage, 1), (moe.responsibilities, 1), (moe.m_step, 1),
        (moe.top_k_weights, 1), (moe.balance_loss, 1), (moe.below_one, 1), (moe.sizes, 1),
    ],
)  # fmt: skip
def test_dots_are_not_attempted(check, answers):
    assert not check(*[...] * answers).attempted
    if answers == 1 and check not in (moe.coverage, moe.below_one):
        assert not check(lambda *_: ...).attempted
