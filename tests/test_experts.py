"""Stacked experts, and what a model with mixtures costs and does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ddl.models import MLP, Cost, Experts, MixtureOfExperts, cost, mutual_information, routings


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


# Experts


def test_experts_are_multilayer_perceptrons():
    experts = Experts(4, (3, 6, 5, 2), nn.Tanh, seed=0)
    own, common = normal(4, 9, 3), normal(9, 3)
    for i in range(4):
        alone = experts.expert(i)
        assert type(alone) is MLP
        assert type(alone.activation1) is nn.Tanh
        assert torch.allclose(experts(own)[i], alone(own[i]), atol=1e-6)
        assert torch.allclose(experts(common)[i], alone(common), atol=1e-6)
    assert experts.parameters_each == sum(p.numel() for p in alone.parameters())
    assert 4 * experts.parameters_each == sum(p.numel() for p in experts.parameters())
    with torch.no_grad():
        alone.output.weight.zero_()
    assert experts.weights[-1][3].any()


def test_experts_refuse_what_they_have_no_place_for():
    experts = Experts(4, (3, 2))
    for shape in ((3, 9, 3), (4, 9, 2), (9, 2), (3,)):
        with pytest.raises(ValueError, match=r"give \(4, n, 3\), or \(n, 3\)"):
            experts(torch.zeros(shape))
    with pytest.raises(IndexError, match="expert 4 of 4"):
        experts.expert(4)


def test_experts_answer_at_their_places():
    experts, x = Experts(3, (2, 4, 5), nn.Tanh, seed=0), normal(4, 2)
    answers = experts.at(torch.tensor([4, 6, 1, 5]), x, places=2)  # experts 2, none, 0 and 2
    for row, expert in ((0, 2), (2, 0), (3, 2)):
        assert torch.allclose(answers[row], experts.expert(expert)(x[row]), atol=1e-6)
    assert not answers[1].any()


def test_a_part_of_the_experts_is_a_copy_and_draws_nothing():
    experts, state = Experts(4, (2, 5, 3), nn.Tanh, seed=0).double(), torch.get_rng_state()
    part = experts.part(1, 3)
    assert part.count == 2
    assert torch.equal(part(normal(7, 2).double()), experts(normal(7, 2).double())[1:3])
    with torch.no_grad():
        part.weights[0].zero_()
    assert experts.weights[0][1].any()
    experts.expert(0)
    assert torch.equal(torch.get_rng_state(), state)


# Cost and inspection


def test_cost_counts_what_one_example_uses():
    dense = MLP((10, 20, 3))
    assert cost(dense) == Cost(283, 283, 2 * (200 + 60))
    layer = MixtureOfExperts((10, 20, 3), experts=6, top_k=2, shared=1, noise="learned")
    assert layer.shared.sizes == (10, 20, 3)
    # six experts, the shared one, router and noise; of these two experts, the shared one and the router
    assert cost(layer) == Cost(7 * 283 + 120, 3 * 283 + 60, 3 * 520 + 2 * 60)
    assert cost(layer.experts) == Cost(6 * 283, 6 * 283, 6 * 520)
    model = nn.Sequential(
        nn.Embedding(7, 10), nn.LayerNorm(10), layer, nn.ReLU(), nn.Linear(3, 2, bias=False)
    )
    assert cost(model) == Cost(7 * 283 + 120 + 70 + 20 + 6, 3 * 283 + 60 + 70 + 20 + 6, 3 * 520 + 120 + 12)


def test_cost_agrees_with_the_counter_of_pytorch():
    from torch.utils.flop_counter import FlopCounterMode

    model = nn.Sequential(MLP((10, 20, 8)), MixtureOfExperts((8, 16, 3), experts=4, top_k=4, shared=2))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(normal(50, 10))
    assert counter.get_total_flops() == 50 * cost(model).flops


def test_cost_refuses_what_it_cannot_count():
    with pytest.raises(TypeError, match="cannot count the operations of Conv2d"):
        cost(nn.Sequential(nn.Conv2d(1, 2, 3)))


def test_routings_sees_every_layer_and_leaves_no_trace():
    model = nn.Sequential(
        nn.Linear(3, 4),
        MixtureOfExperts((4, 4), 5, noise=1.0),
        nn.Dropout(),
        MixtureOfExperts((4, 2), 3, top_k=1),
    )
    model[2].eval()
    found = routings(model, normal(20, 3))
    assert list(found) == ["1", "3"]
    assert [part.training for part in model] == [True, True, False, True]
    assert not any(part._forward_pre_hooks for part in model.modules())
    inside = model[0](normal(20, 3))
    assert torch.allclose(found["1"].logits, inside @ model[1].router.weight.T, atol=1e-6)  # without noise
    assert not found["1"].probabilities.requires_grad
    assert list(routings(model[1], normal(20, 4))) == [""]
    with pytest.raises(ValueError, match="Linear holds no MixtureOfExperts"):
        routings(model[0], normal(20, 3))
    with pytest.raises(RuntimeError):
        routings(model, normal(20, 7))
    assert model.training
    assert not any(part._forward_pre_hooks for part in model.modules())


# Specialisation


def test_mutual_information_is_that_of_the_frequencies():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size=600)
    experts = np.where(rng.uniform(size=600) < 0.7, labels, rng.integers(0, 4, size=600))
    joint = np.zeros((3, 4))
    np.add.at(joint, (labels, experts), 1 / 600)
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    wanted = (joint[joint > 0] * np.log(joint / independent, where=joint > 0, out=joint * 0)[joint > 0]).sum()
    found = mutual_information(torch.from_numpy(experts), torch.from_numpy(labels), rng=rng)
    assert found.value == pytest.approx(wanted)
    share = np.bincount(labels) / 600
    assert found.most == pytest.approx(-(share * np.log(share)).sum())
    assert found.shuffled == pytest.approx(2 * 3 / (2 * 600), rel=0.5)  # the plug-in bias (r − 1)(c − 1)/2n


def test_several_choices_all_count_and_shapes_may_have_axes():
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.permutation(60)).reshape(6, 10) % 3
    chosen = torch.stack([labels, 3 + labels], dim=-1)
    found = mutual_information(chosen, labels, rng=rng)
    assert found.value == pytest.approx(np.log(3))
    assert mutual_information(chosen[..., 0], labels, rng=rng).value == pytest.approx(np.log(3))
    apart = torch.stack([labels, torch.zeros_like(labels)], dim=-1)
    once, both = (mutual_information(c, labels, rng=rng).value for c in (apart[..., :1], apart))
    assert 0 < both < once


@pytest.mark.parametrize("shapes", [((5,), (6,)), ((6, 5), (5, 6)), ((6, 2, 2), (6,)), ((0,), (0,))])
def test_mutual_information_refuses_shapes_that_do_not_fit(shapes):
    experts, labels = (torch.zeros(shape, dtype=torch.int64) for shape in shapes)
    with pytest.raises(ValueError, match="one label for each example"):
        mutual_information(experts, labels, rng=np.random.default_rng(0))
