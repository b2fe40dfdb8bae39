"""Soft mixtures: gates, trees, and what their leaves say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import ddl
from ddl.models import (
    MLP,
    LeafDensity,
    MixtureDensity,
    SoftMixture,
    cost,
    hierarchical_mixture,
    mixture_density,
    mixture_nll,
    mixture_of_mlps,
)


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def test_a_mixture_is_the_weighted_sum_of_its_experts():
    experts, gate = [MLP((2, 5, 3), seed=s) for s in range(4)], MLP((2, 6, 4), seed=9)
    mixture, x = SoftMixture(experts, gate), normal(7, 2)
    weights = gate(x).exp() / gate(x).exp().sum(1, keepdim=True)
    wanted = sum(weights[:, e : e + 1] * experts[e](x) for e in range(4))
    assert torch.allclose(mixture(x), wanted, atol=1e-6)
    assert torch.allclose(mixture.gates(x), weights, atol=1e-6)
    assert torch.allclose(mixture.leaf_gates(x), weights, atol=1e-6)
    assert torch.equal(mixture.leaf_outputs(x), torch.stack([e(x) for e in experts], dim=1))
    assert mixture.leaves == experts
    assert torch.allclose(mixture(x.reshape(1, 7, 2)), mixture(x)[None], atol=1e-6)


def test_in_a_tree_the_gates_multiply_on_the_way_down():
    tree = SoftMixture(
        [mixture_of_mlps((2, 1), 3, seed=1), MLP((2, 1), seed=2), hierarchical_mixture((2, 1), seed=3)],
        nn.Linear(2, 3),
    )
    x = normal(7, 2)
    top = tree.gates(x)
    left, right = tree.experts[0], tree.experts[2]
    wanted = [top[:, 0] * left.gates(x)[:, i] for i in range(3)] + [top[:, 1]]
    wanted += [
        top[:, 2] * right.gates(x)[:, i] * right.experts[i].gates(x)[:, j] for i in (0, 1) for j in (0, 1)
    ]
    assert torch.allclose(tree.leaf_gates(x), torch.stack(wanted, dim=1), atol=1e-6)
    assert torch.allclose(tree.leaf_gates(x).sum(1), torch.ones(7))
    assert len(tree.leaves) == 8
    blended = (tree.leaf_gates(x)[..., None] * tree.leaf_outputs(x)).sum(1)
    assert torch.allclose(tree(x), blended, atol=1e-5)


def test_makers_build_trees_of_the_given_sizes():
    tree = hierarchical_mixture((2, 5, 1), branches=(2, 3), gate=(4,), activation=nn.ReLU, seed=0)
    assert tree.gate.sizes == (2, 4, 2)
    assert [branch.gate.sizes for branch in tree.experts] == [(2, 4, 3)] * 2
    assert [leaf.sizes for leaf in tree.leaves] == [(2, 5, 1)] * 6
    assert isinstance(tree.leaves[0].activation1, nn.ReLU)
    flat = mixture_of_mlps((2, 1), 5, seed=0)
    assert flat.gate.sizes == (2, 5)
    assert len(flat.leaves) == 5
    assert cost(tree).parameters == cost(tree).active == sum(p.numel() for p in tree.parameters())


def test_a_seed_fixes_the_weights_and_leaves_the_global_state_alone():
    state = torch.get_rng_state()
    first, same, other = (
        torch.nn.utils.parameters_to_vector(hierarchical_mixture((2, 1), seed=s).parameters())
        for s in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    leaves = hierarchical_mixture((2, 1), seed=0).leaves
    assert not torch.equal(leaves[0].output.weight, leaves[3].output.weight)


def test_an_ensemble_trains_trees():
    x, y = normal(40, 2), normal(40, 1, seed=1)
    models = [hierarchical_mixture((2, 4, 1), seed=seed) for seed in range(3)]
    together = ddl.fit(ddl.Ensemble(models, batched=True), (x, y), loss=nn.MSELoss(), epochs=5, lr=0.1)
    for index, model in enumerate(models):
        alone = ddl.fit(model, (x, y), loss=nn.MSELoss(), epochs=5, lr=0.1)
        assert together["loss"][:, index] == pytest.approx(alone["loss"], rel=1e-4)


def test_leaves_of_a_mixture_of_lines_are_a_mixture_density_of_lines():
    lines = MixtureDensity((2,), components=3, constant_variance=True, seed=0)
    leaves = LeafDensity(mixture_of_mlps((2, 1), 3))
    with torch.no_grad():
        leaves.mixture.gate.output.weight.copy_(lines.gate.weight)
        leaves.mixture.gate.output.bias.copy_(lines.gate.bias)
        leaves.variances.value.copy_(torch.tensor([-1.0, 0.0, 2.0]))
        lines.variances.value.copy_(torch.tensor([-1.0, 0.0, 2.0]))
        for number, leaf in enumerate(leaves.mixture.leaves):
            leaf.output.weight.copy_(lines.means.weight[number : number + 1])
            leaf.output.bias.copy_(lines.means.bias[number : number + 1])
    x, y = normal(7, 2), normal(7, 1, seed=1)
    for ours, theirs in zip(mixture_density(leaves(x)), mixture_density(lines(x)), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert mixture_nll(leaves(x), y).item() == pytest.approx(mixture_nll(lines(x), y).item(), rel=1e-5)


def test_leaf_densities_keep_targets_and_leaves_apart():
    model, x = LeafDensity(hierarchical_mixture((2, 3), seed=0), outputs=3), normal(5, 2)
    density = mixture_density(model(x), 3)
    assert torch.equal(density.means, model.mixture.leaf_outputs(x))
    assert torch.allclose(density.log_weights.exp(), model.mixture.leaf_gates(x), atol=1e-6)


def test_certain_gates_leave_finite_logarithms():
    model = LeafDensity(mixture_of_mlps((1, 1), 2, seed=0))
    with torch.no_grad():
        model.mixture.gate.output.weight.copy_(torch.tensor([[500.0], [-500.0]]))
    loss = mixture_nll(model(torch.ones(3, 1)), torch.ones(3, 1))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SoftMixture([], nn.Identity()), ValueError, "experts is empty"),
        (lambda: SoftMixture([nn.Tanh], nn.Linear(2, 1)), TypeError, "is no expert and no gate"),
        (lambda: SoftMixture([nn.Tanh()], torch.zeros(2)), TypeError, "is no expert and no gate"),
        (lambda: SoftMixture([nn.Tanh()] * 2, nn.Linear(2, 3))(normal(7, 2)), ValueError, r"shape \(7, 3\)"),
        (lambda: hierarchical_mixture((2, 1), ()), ValueError, "branches is empty"),
        (lambda: hierarchical_mixture((2, 1), (2, 0)), ValueError, "number of experts is 0"),
        (lambda: LeafDensity(nn.Linear(2, 1)), TypeError, "mixture is Linear; give a SoftMixture"),
    ],
)
def test_wrong_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
