"""The sparse mixture layer against a loop over examples, and what it says of its routing."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ddl
from ddl.models import MLP, MixtureOfExperts, routings


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def by_loop(layer, x, logits=None):
    """One example after the other, one expert after the other; returns the output and what was dropped."""
    E, k, width = layer.experts.count, layer.top_k, layer.experts.sizes[-1]
    weights = [w[i] for w in layer.experts.weights for i in range(E)]
    biases = [b[i, 0] for b in layer.experts.biases for i in range(E)]

    def expert(e, example):
        h = example
        for number in range(len(layer.experts.weights)):
            h = h @ weights[number * E + e] + biases[number * E + e]
            h = layer.experts.activation(h) if number < len(layer.experts.weights) - 1 else h
        return h

    rows = x.reshape(-1, x.shape[-1])
    logits = rows @ layer.router.weight.T if logits is None else logits
    probabilities = [torch.exp(h) / torch.exp(h).sum() for h in logits]
    best = [sorted(range(E), key=lambda e, p=p: -p[e].item())[:k] for p in probabilities]
    factor = layer.capacity_factor
    free = [math.inf if factor is None else min(len(rows), math.ceil(factor * k * len(rows) / E))] * E
    output = [torch.zeros(width) for _ in rows]
    dropped = []
    for turn, i in itertools.product(range(k), range(len(rows))):
        e = best[i][turn]
        if not free[e]:
            dropped.append((i, turn))
            continue
        free[e] -= 1
        weight = probabilities[i][e]
        if layer.renormalize:
            weight = weight / sum(probabilities[i][other] for other in best[i])
        output[i] = output[i] + weight * expert(e, rows[i])
    if layer.shared is not None:
        output = [out + layer.shared(row) for out, row in zip(output, rows, strict=True)]
    return torch.stack(output).reshape(*x.shape[:-1], width), dropped


SETTINGS = [
    *({"top_k": k, "renormalize": r} for k in (1, 2, 3, 4, 5) for r in (False, True)),
    *({"top_k": k, "capacity_factor": f} for k in (1, 2, 5) for f in (0.3, 0.8, 1.25, 9.0)),
    {"top_k": 2, "capacity_factor": 0.6, "renormalize": True, "shared": 1},
    {"top_k": 1, "shared": 2},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_outputs_gradients_and_drops_are_those_of_a_loop(settings):
    layer = MixtureOfExperts((3, 6, 4), experts=5, **settings, seed=1)
    x, upstream = normal(17, 3).requires_grad_(), normal(17, 4, seed=1)
    output, (wanted, dropped) = layer(x), by_loop(layer, x)
    assert torch.allclose(output, wanted, atol=1e-6)
    assert (~layer.route(x).kept).nonzero().tolist() == sorted(map(list, dropped))
    inputs = [x, *layer.parameters()]
    ours = torch.autograd.grad((output * upstream).sum(), inputs, allow_unused=True)
    theirs = torch.autograd.grad((wanted * upstream).sum(), inputs, allow_unused=True)
    for mine, their in zip(ours, theirs, strict=True):
        if their is not None:  # the loop does not touch what it does not need
            assert torch.allclose(mine, their, atol=1e-5)
        else:
            assert mine is None or not mine.any()


def test_settings_of_the_loop_do_drop_something():
    x = normal(17, 3)
    drops = [
        len(by_loop(MixtureOfExperts((3, 6, 4), experts=5, **s, seed=1), x)[1])
        for s in SETTINGS
        if "capac" in str(s)
    ]
    assert sum(count > 0 for count in drops) >= 6
    assert 0 in drops


@pytest.mark.parametrize("sizes", [(3, 4), (3, 6, 6, 4)])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU])
def test_experts_have_any_number_of_layers_and_any_activation(sizes, activation):
    layer = MixtureOfExperts(sizes, experts=3, top_k=2, activation=activation, seed=0)
    assert torch.allclose(layer(normal(9, 3)), by_loop(layer, normal(9, 3))[0], atol=1e-6)


def test_any_leading_shape_is_taken_as_so_many_examples():
    layer = MixtureOfExperts((3, 6, 4), experts=5, top_k=2, capacity_factor=0.7, shared=1, seed=1)
    flat = layer(normal(24, 3))
    assert torch.equal(layer(normal(24, 3).reshape(2, 3, 4, 3)), flat.reshape(2, 3, 4, 4))
    assert torch.allclose(layer(normal(3)), layer(normal(3)[None])[0])
    routing = layer.route(normal(24, 3).reshape(2, 3, 4, 3))
    assert routing.chosen.shape == routing.weights.shape == routing.kept.shape == (2, 3, 4, 2)
    assert routing.logits.shape == routing.probabilities.shape == (2, 3, 4, 5)
    assert torch.equal(routing.load, layer.route(normal(24, 3)).load)


@pytest.mark.parametrize("capacity_factor", [None, 1.0])
@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
def test_no_examples_give_no_outputs_and_losses_of_zero(shape, capacity_factor):
    layer = MixtureOfExperts(
        (3, 6, 4), experts=5, capacity_factor=capacity_factor, shared=1, balance=1, z=1, noise=1.0, seed=1
    )
    output = layer(torch.zeros(shape))
    assert output.shape == (*shape[:-1], 4)
    output.sum().backward()
    assert not any(parameter.grad.any() for parameter in layer.parameters() if parameter.grad is not None)
    routing = layer.route(torch.zeros(shape))
    for value in (routing.balance_loss, routing.z_loss, routing.entropy, routing.dropped):
        assert value.item() == 0
    assert routing.load.tolist() == [0] * 5


def test_an_expert_that_gets_nothing_gets_no_gradient():
    layer = MixtureOfExperts((2, 4, 1), experts=3, top_k=1, seed=0)
    with torch.no_grad():
        layer.router.weight.copy_(torch.tensor([[1.0, 0], [1.5, 0], [-9.0, 0]]))
    x = normal(20, 2).abs()
    layer(x).sum().backward()
    for weight in layer.experts.weights:
        assert weight.grad[1].any()
        assert not weight.grad[0].any()
        assert not weight.grad[2].any()
    assert layer.route(x).load.tolist() == [0, 1, 0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_go_in_and_out_and_the_router_is_at_least_single(dtype):
    layer = MixtureOfExperts((3, 6, 4), experts=5, capacity_factor=0.9, balance=0.1, shared=1, seed=1)
    single = layer(normal(17, 3))
    layer.to(dtype)
    output = layer(normal(17, 3).to(dtype))
    output.sum().backward()
    assert output.dtype == layer.router.weight.grad.dtype == dtype
    wide = torch.promote_types(dtype, torch.float32)
    routing = layer.route(normal(17, 3).to(dtype))
    assert routing.probabilities.dtype == routing.load.dtype == routing.balance_loss.dtype == wide
    if dtype == torch.float64:
        assert torch.allclose(output.float(), single, atol=1e-6)


def test_load_is_exact_in_low_precision():
    layer = MixtureOfExperts((2, 2), experts=2, top_k=2).bfloat16()
    assert layer.route(torch.zeros(1001, 2, dtype=torch.bfloat16)).load.tolist() == [0.5, 0.5]


# Who finds a place


def test_first_choices_come_before_second_ones_and_earlier_examples_before_later_ones():
    layer = MixtureOfExperts((3, 3), experts=3, top_k=2, capacity_factor=0.5)  # one place of each
    with torch.no_grad():
        layer.router.weight.copy_(torch.eye(3))
    x = torch.tensor([[1.0, 3, 2], [3, 2, 1], [3, 2, 1]])  # choices (1, 2), (0, 1), (0, 1)
    routing = layer.route(x)
    assert routing.capacity == 1
    assert routing.chosen.tolist() == [[1, 2], [0, 1], [0, 1]]
    assert routing.kept.tolist() == [[True, True], [True, False], [False, False]]
    assert ((routing.weights > 0) == routing.kept).all()
    assert routing.dropped.item() == 0.5
    assert not layer.mix(x, routing)[2].any()
    assert routing.load.tolist() == pytest.approx([1 / 3, 1 / 2, 1 / 6])


@pytest.mark.parametrize(
    ("n", "k", "E", "factor", "places"),
    [(10, 1, 5, 1.0, 2), (10, 1, 4, 1.0, 3), (10, 2, 4, 1.25, 7), (10, 1, 4, 99, 10), (10, 1, 20, 0.1, 1),
     (10, 1, 5, None, 10), (0, 1, 5, 1.0, 0)],
)  # fmt: skip
def test_capacity_is_the_factor_times_an_even_share(n, k, E, factor, places):
    layer = MixtureOfExperts((2, 2), experts=E, top_k=k, capacity_factor=factor)
    assert layer.capacity(n) == layer.route(normal(n, 2)).capacity == places


# Auxiliary losses


def by_hand(layer, x, y):
    """The gradients with the auxiliary losses written out."""
    routing = layer.route(x)
    task = F.mse_loss(layer.mix(x, routing), y)
    return torch.autograd.grad(
        task + 0.3 * routing.balance_loss + 0.02 * routing.z_loss, list(layer.parameters()), allow_unused=True
    )


@pytest.mark.parametrize("settings", [{}, {"capacity_factor": 0.8, "top_k": 1}, {"shared": 1}])
def test_auxiliary_losses_act_on_the_way_back_and_leave_the_output_alone(settings):
    layer = MixtureOfExperts((3, 6, 1), experts=5, **settings, balance=0.3, z=0.02, seed=1)
    plain = MixtureOfExperts((3, 6, 1), experts=5, **settings, seed=1)
    x, y = normal(20, 3), normal(20, 1, seed=2)
    assert torch.equal(layer(x), plain(x))
    ours = torch.autograd.grad(F.mse_loss(layer(x), y), list(layer.parameters()))
    for mine, their in zip(ours, by_hand(layer, x, y), strict=True):
        assert torch.allclose(mine, their, atol=1e-7)
    without = torch.autograd.grad(F.mse_loss(plain(x), y), list(plain.parameters()))
    router = [name for name, _ in layer.named_parameters()].index("router.weight")
    assert (ours[router] - without[router]).abs().max() > 1e-3


def test_auxiliary_losses_rest_in_evaluation_mode():
    layer = MixtureOfExperts((3, 6, 1), experts=5, balance=0.3, z=0.02, seed=1).eval()
    plain = MixtureOfExperts((3, 6, 1), experts=5, seed=1)
    for model in (layer, plain):
        model(normal(20, 3)).sum().backward()
    assert torch.equal(layer.router.weight.grad, plain.router.weight.grad)


def test_fit_reports_the_loss_of_the_task_and_balances_all_the_same():
    x, y = normal(200, 3), normal(200, 1, seed=2)
    losses = []
    for balance in (0.0, 1.0):
        model = nn.Sequential(
            nn.Linear(3, 4), MixtureOfExperts((4, 8, 1), experts=6, top_k=1, balance=balance, seed=1)
        )
        with torch.no_grad():
            model[0].weight.copy_(normal(4, 3, seed=3))
            model[0].bias.fill_(1.0)
        before = routings(model, x)["1"].balance_loss.item()
        first = F.mse_loss(model(x), y).item()
        history = ddl.fit(model, (x, y), loss=nn.MSELoss(), epochs=100, lr=0.05)
        assert history["loss"][0] == pytest.approx(first, rel=1e-5)
        losses.append(routings(model, x)["1"].balance_loss.item())
    assert losses[1] < 1.1 < 1.15 < min(before, losses[0])


@pytest.mark.parametrize("settings", [{}, {"capacity_factor": 0.8}, {"shared": 1, "renormalize": True}])
def test_an_ensemble_trains_mixtures_as_each_alone(settings):
    def model(seed):
        return nn.Sequential(
            MLP((2, 4), seed=seed), MixtureOfExperts((4, 6, 3), 4, **settings, balance=0.1, z=0.01, seed=seed)
        )

    blobs = ddl.datasets.blobs(60, rng=ddl.rng(1))
    alone = [model(seed) for seed in range(3)]
    ensemble = ddl.Ensemble([copy.deepcopy(one) for one in alone], batched=True)
    options = {"loss": nn.CrossEntropyLoss(), "epochs": 8, "lr": 0.1, "batch_size": 25}
    together = ddl.fit(ensemble, blobs, **options)
    for index, one in enumerate(alone):
        history = ddl.fit(one, blobs, **options)
        assert together["loss"][:, index] == pytest.approx(history["loss"], rel=1e-4)
        assert torch.allclose(ensemble.member(index)(blobs.x), one(blobs.x), atol=1e-4)


# Noise


def test_noise_of_a_given_size_is_added_in_training_only():
    layer = MixtureOfExperts((3, 4), experts=5, noise=0.5, seed=1)
    x = normal(4000, 3)
    clean = x @ layer.router.weight.T
    torch.manual_seed(0)
    added = layer.route(x).logits - clean
    assert added.mean().abs() < 0.02
    assert added.std().item() == pytest.approx(0.5, rel=0.05)
    torch.manual_seed(0)
    assert torch.equal(layer.route(x).logits - clean, added)
    assert torch.allclose(layer.eval().route(x).logits, clean, atol=1e-6)


def test_learned_noise_has_the_size_that_softplus_says_and_is_learned():
    layer = MixtureOfExperts((3, 4), experts=5, noise="learned", seed=1)
    assert not layer.noise_router.weight.any()
    x = torch.ones(4000, 3)
    with torch.no_grad():
        layer.noise_router.weight[:] = torch.linspace(-1, 1, 5)[:, None] / 3
    torch.manual_seed(0)
    added = layer.route(x).logits - x @ layer.router.weight.T
    assert added.std(0).tolist() == pytest.approx(F.softplus(torch.linspace(-1, 1, 5)).tolist(), rel=0.05)
    layer(normal(50, 3)).sum().backward()
    assert layer.noise_router.weight.grad.any()
    assert torch.allclose(layer.eval().route(x).logits, x @ layer.router.weight.T, atol=1e-6)


def test_with_noise_outputs_are_those_of_a_loop_over_the_noisy_logits():
    layer = MixtureOfExperts((3, 6, 4), experts=5, noise=1.0, capacity_factor=1.0, seed=1)
    x = normal(17, 3)
    torch.manual_seed(3)
    output = layer(x)
    torch.manual_seed(3)
    assert torch.allclose(output, by_loop(layer, x, layer.route(x).logits)[0], atol=1e-6)


# An ordinary module


def test_a_seed_neither_uses_nor_changes_the_global_state():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    layers = [MixtureOfExperts((3, 6, 4), experts=5, shared=1, noise="learned", seed=s) for s in (5, 5, 6)]
    assert torch.equal(torch.get_rng_state(), state)
    first, same, other = (torch.nn.utils.parameters_to_vector(layer.parameters()) for layer in layers)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_experts_begin_with_different_weights_of_the_usual_size():
    layer = MixtureOfExperts((100, 50, 4), experts=3, seed=0)
    first = layer.experts.weights[0]
    assert not torch.allclose(first[0], first[1])
    assert first.abs().max().item() == pytest.approx(0.1, rel=0.01)  # uniform within 1/√100


def test_it_copies_and_loads_and_says_what_it_is():
    layer = MixtureOfExperts((3, 6, 4), experts=5, capacity_factor=1.25, shared=1, balance=0.1, seed=1)
    other = MixtureOfExperts((3, 6, 4), experts=5, capacity_factor=1.25, shared=1, seed=2)
    layer(normal(7, 3)).sum().backward()
    other.load_state_dict(copy.deepcopy(layer).state_dict())
    assert torch.equal(other(normal(7, 3)), layer(normal(7, 3)))
    assert "top_k=2, capacity_factor=1.25, balance=0.1" in repr(layer)
    assert "(experts): Experts(\n    5 × (3 → 6 → 4)" in repr(layer)
    assert repr(layer.route(normal(7, 3))) == "Routing(7 examples to 2 of 5 experts)"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"top_k": 6}, ValueError, "top_k is 6 of 5 experts; it can be at most 5"),
        ({"top_k": 0}, ValueError, "top_k is 0; it must be at least 1"),
        ({"top_k": 1.5}, TypeError, "top_k is 1.5; give a whole number"),
        ({"experts": 0}, ValueError, "experts is 0; it must be at least 1"),
        ({"sizes": (3,)}, ValueError, "at least the number of inputs and of outputs"),
        ({"noise": -1.0}, ValueError, "noise is -1.0; it must be zero or positive"),
        ({"noise": "large"}, TypeError, "noise is 'large'"),
        ({"capacity_factor": 0}, ValueError, "capacity_factor is 0; it must be positive"),
        ({"balance": -0.1}, ValueError, "balance is -0.1"),
        ({"z": math.nan}, ValueError, "z is nan"),
        ({"shared": -1}, ValueError, "shared is -1"),
        ({"activation": nn.PReLU}, TypeError, "has parameters; give one without"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        MixtureOfExperts(**{"sizes": (3, 4), "experts": 5} | arguments)


@pytest.mark.parametrize("shape", [(7, 4), (3, 2), ()])
def test_inputs_of_another_width_are_refused(shape):
    layer = MixtureOfExperts((3, 4), experts=5)
    with pytest.raises(ValueError, match=r"give \(…, 3\)"):
        layer(torch.zeros(shape))
