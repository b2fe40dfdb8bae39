"""The book's modules, against hand-made cases and scikit-learn."""

from __future__ import annotations

import copy
import functools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import PolynomialFeatures
from torch import nn

from ddl.models import MLP, RBF, Heaviside, Polynomial


def points(n, dimension, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32))


# MLP


def test_mlp_is_the_formula():
    model = MLP((2, 3, 4, 1), nn.Tanh)
    x = points(5, 2)
    hidden1 = torch.tanh(x @ model.hidden1.weight.T + model.hidden1.bias)
    hidden2 = torch.tanh(hidden1 @ model.hidden2.weight.T + model.hidden2.bias)
    assert torch.allclose(model(x), hidden2 @ model.output.weight.T + model.output.bias, atol=1e-6)


def test_mlp_names_its_layers():
    names = [name for name, _ in MLP((2, 3, 4, 1)).named_children()]
    assert names == ["hidden1", "activation1", "hidden2", "activation2", "output"]
    assert [name for name, _ in MLP((2, 1)).named_children()] == ["output"]


def test_mlp_says_what_it_is():
    text = repr(MLP((784, 128, 10), nn.ReLU))
    assert "784 → 128 → 10, 101770 parameters" in text  # 784·128 + 128 + 128·10 + 10
    assert "(activation1): ReLU()" in text


def test_mlp_takes_any_maker_of_activations():
    model = MLP((2, 3, 1), functools.partial(nn.LeakyReLU, 0.2))
    assert model.activation1.negative_slope == 0.2
    deep = MLP((2, 3, 3, 1), nn.PReLU)
    assert deep.activation1 is not deep.activation2


def test_part_of_an_mlp_shares_its_parameters():
    model = MLP((2, 3, 1))
    hidden = model[:2]
    assert type(hidden) is nn.Sequential
    assert hidden.hidden1.weight is model.hidden1.weight
    assert torch.equal(hidden(points(4, 2)), torch.tanh(model.hidden1(points(4, 2))))
    assert model[-1] is model.output


def test_mlp_is_an_ordinary_module():
    model, other = MLP((2, 3, 1), seed=0), MLP((2, 3, 1), seed=1)
    twin = copy.deepcopy(model)
    other.load_state_dict(model.state_dict())
    assert torch.equal(twin(points(4, 2)), other(points(4, 2)))


def test_mlp_with_a_seed_neither_uses_nor_changes_the_global_state():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = MLP((2, 3, 1), seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(first.hidden1.weight, MLP((2, 3, 1), seed=5).hidden1.weight)
    assert not torch.equal(first.hidden1.weight, MLP((2, 3, 1), seed=6).hidden1.weight)


def test_mlp_without_a_seed_draws_from_the_global_state():
    torch.manual_seed(1)
    first, second = MLP((2, 3, 1)), MLP((2, 3, 1))
    torch.manual_seed(1)
    assert torch.equal(first.hidden1.weight, MLP((2, 3, 1)).hidden1.weight)
    assert not torch.equal(first.hidden1.weight, second.hidden1.weight)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (((2,),), ValueError, r"sizes are \(2,\)"),
        (((),), ValueError, r"sizes are \(\)"),
        (((2, 0, 1),), ValueError, "is 0; it must be at least 1"),
        (((2, 3.0, 1),), TypeError, r"is 3\.0; give a whole number"),
        (((2, True),), TypeError, "is True"),
        (((2, 3, 1), nn.Tanh()), TypeError, r"activation is Tanh\(\)"),
        (((2, 3, 1), "tanh"), TypeError, "activation is 'tanh'"),
    ],
)
def test_mlp_refuses_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        MLP(*arguments)


# Heaviside


def test_heaviside_steps_at_zero_and_has_no_slope():
    x = torch.tensor([-3.0, -1e-30, 0.0, 1e-30, 3.0], requires_grad=True)
    y = Heaviside()(x)
    assert y.tolist() == [0, 0, 1, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0] * 5


def test_two_layers_of_steps_compute_xor():
    model = MLP((2, 2, 1), Heaviside)
    with torch.no_grad():
        model.hidden1.weight.copy_(torch.ones(2, 2))
        model.hidden1.bias.copy_(torch.tensor([-0.5, -1.5]))  # or, and
        model.output.weight.copy_(torch.tensor([[1.0, -1.0]]))
        model.output.bias.zero_()
    corners = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    assert model(corners).flatten().tolist() == [0, 1, 1, 0]


# RBF


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_rbf_agrees_with_scikit_learn(dimension):
    x, centres = points(20, dimension), points(7, dimension, seed=1)
    expected = rbf_kernel(x, centres, gamma=1 / (2 * 0.7**2))
    features = RBF(centres, bandwidth=0.7)
    assert np.allclose(features(x), expected, atol=1e-6)
    assert features.outputs == 7
    assert features(x).shape == (20, 7)


def test_rbf_by_hand():
    features = RBF(torch.tensor([0.0, 3.0]), bandwidth=2)
    assert features(torch.tensor([[0.0], [2.0]])).flatten().tolist() == pytest.approx(
        [1, math.exp(-9 / 8), math.exp(-4 / 8), math.exp(-1 / 8)]
    )
    assert repr(features) == "RBF(1 → 2, bandwidth=2)"


def test_rbf_has_nothing_to_train_and_moves_with_the_model():
    features = RBF(torch.zeros(3, 2), 1.0)
    assert list(features.parameters()) == []
    assert features.to(torch.float64).centres.dtype == torch.float64
    x = points(4, 2).requires_grad_()
    RBF(torch.zeros(3, 2), 1.0)(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("centres", "bandwidth", "words"),
    [
        (torch.zeros(2), 0, "bandwidth is 0"),
        (torch.zeros(2), -1.0, r"bandwidth is -1\.0"),
        (torch.zeros(2), math.nan, "bandwidth is nan"),
        (torch.zeros(2, 2, 2), 1.0, r"centres have shape \(2, 2, 2\)"),
        (torch.zeros(0, 2), 1.0, r"centres have shape \(0, 2\)"),
    ],
)
def test_rbf_refuses_bad_arguments(centres, bandwidth, words):
    with pytest.raises(ValueError, match=words):
        RBF(centres, bandwidth)


# Polynomial


@pytest.mark.parametrize(("degree", "inputs"), [(1, 1), (10, 1), (1, 3), (2, 2), (10, 2), (3, 5)])
def test_polynomial_agrees_with_scikit_learn(degree, inputs):
    x = points(20, inputs)
    oracle = PolynomialFeatures(degree, include_bias=False)
    expected = oracle.fit_transform(x.double())
    features = Polynomial(degree, inputs)
    assert np.allclose(features(x), expected, rtol=1e-4, atol=1e-5)
    assert features.outputs == expected.shape[1] == math.comb(inputs + degree, degree) - 1


def test_polynomial_has_finite_gradients_at_zero():
    x = torch.zeros(1, 2, requires_grad=True)
    Polynomial(4, 2)(x).sum().backward()
    assert x.grad.tolist() == [[1, 1]]  # of x1 + x2 only


def test_polynomial_leaves_the_state_of_a_model_alone():
    model = nn.Sequential(Polynomial(3, 2), nn.Linear(9, 1))
    assert sorted(model.state_dict()) == ["1.bias", "1.weight"]
    assert repr(model[0]) == "Polynomial(2 → 9, degree=3)"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0,), ValueError, "degree is 0"),
        ((2, 0), ValueError, "inputs is 0"),
        ((1.5,), TypeError, r"degree is 1\.5"),
    ],
)
def test_polynomial_refuses_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        Polynomial(*arguments)


@pytest.mark.parametrize("features", [Polynomial(2, 3), RBF(torch.zeros(4, 3), 1.0)])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 2), (5, 3, 1)])
def test_features_refuse_inputs_that_broadcasting_would_take(features, shape):
    with pytest.raises(ValueError, match=r"give \(n, 3\)"):
        features(torch.zeros(shape))
