"""What a routing says of the router that made it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from ddl.models import MixtureOfExperts
from ddl.models.routing import places_in_order


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def test_places_are_counted_as_by_hand():
    chosen = torch.from_numpy(np.random.default_rng(0).integers(0, 4, size=(50, 3)))
    counted = dict.fromkeys(range(4), 0)
    wanted = torch.zeros_like(chosen)
    for turn, i in itertools.product(range(3), range(50)):
        wanted[i, turn] = counted[chosen[i, turn].item()]
        counted[chosen[i, turn].item()] += 1
    assert torch.equal(places_in_order(chosen, 4), wanted)


def test_losses_are_the_formulas():
    layer = MixtureOfExperts((3, 6, 4), experts=5, top_k=2, seed=1)
    x = normal(40, 3)
    routing = layer.route(x)
    h = x.double() @ layer.router.weight.double().T
    p = h.exp() / h.exp().sum(1, keepdim=True)
    f = torch.zeros(5)
    for row in p:
        for e in sorted(range(5), key=lambda e: -row[e])[:2]:
            f[e] += 1 / 80
    assert torch.allclose(routing.load, f)
    assert torch.allclose(routing.importance.double(), p.mean(0))
    assert routing.balance_loss.item() == pytest.approx(5 * (f * p.mean(0)).sum().item(), rel=1e-5)
    assert routing.z_loss.item() == pytest.approx((h.exp().sum(1).log() ** 2).mean().item(), rel=1e-5)
    assert routing.entropy.item() == pytest.approx(-(p * p.log()).sum(1).mean().item(), rel=1e-5)


def test_balance_loss_is_one_when_even_and_the_number_of_experts_when_all_go_to_one():
    layer = MixtureOfExperts((4, 4), experts=4, top_k=1)
    for weight, x, wanted in ((50 * torch.eye(4), torch.eye(4), 1), (50 * torch.eye(4), torch.eye(4)[:1], 4)):
        with torch.no_grad():
            layer.router.weight.copy_(weight)
        assert layer.route(x).balance_loss.item() == pytest.approx(wanted)


def test_entropy_is_that_of_even_odds_for_a_router_of_zeros_and_no_nan_for_a_certain_one():
    layer = MixtureOfExperts((4, 4), experts=4)
    nn.init.zeros_(layer.router.weight)
    assert layer.route(torch.ones(3, 4)).entropy.item() == pytest.approx(math.log(4))
    nn.init.constant_(layer.router.weight[0], 1e4)
    assert layer.route(torch.ones(3, 4)).entropy.item() == 0


def test_renormalised_weights_are_the_softmax_of_the_largest_logits():
    layer = MixtureOfExperts((3, 4), experts=5, top_k=3, renormalize=True, seed=1)
    routing = layer.route(normal(20, 3))
    largest = routing.logits.sort(descending=True).values[:, :3]
    assert torch.allclose(routing.weights, largest.softmax(1))
    layer.renormalize = False
    assert torch.allclose(
        layer.route(normal(20, 3)).weights, routing.probabilities.sort(descending=True).values[:, :3]
    )


def test_a_single_renormalised_expert_teaches_the_router_nothing():
    gradients = []
    for renormalize in (True, False):
        layer = MixtureOfExperts((3, 4), experts=5, top_k=1, renormalize=renormalize, seed=1)
        layer(normal(20, 3)).square().sum().backward()
        gradients.append(layer.router.weight.grad.abs().max().item())
    assert gradients[0] < 1e-6 < 0.1 < gradients[1]
