"""The perceptron chapter's checkers take every right answer, and know the usual misunderstandings."""

from __future__ import annotations

import functools
import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import nn
from verdicts import assert_hint, is_right, parameter

from ddl.exercises import perceptron

# A gate


@pytest.mark.parametrize(
    ("w", "b"),
    [
        ([1.0, 1.0], -1.5),
        ((1, 1), -2),  # z = 0 at (1, 1) is class 1
        ([0.2, 30], -30.1),
        (np.array([2.0, 3.0]), np.float32(-4)),
        (np.array([[2.0, 3.0]]), np.array([-4])),
        (torch.tensor([2, 3]), torch.tensor(-4)),
        (parameter([2.0, 3.0]), parameter(-4.0)),
        (parameter([[2.0, 3.0]]), parameter([-4.0])),  # as nn.Linear has them
        ([parameter(2.0), parameter(3.0)], [parameter(-4.0)]),
        (torch.tensor([2.0, 3.0], dtype=torch.bfloat16), torch.tensor(-4.0, dtype=torch.bfloat16)),
        ([[2.0], [3.0]], [[-4.0]]),
    ],
    ids=str,
)
def test_and_takes_numbers_of_any_kind(w, b):
    assert is_right(perceptron.and_gate(w, b))


def test_and_takes_all_weights_and_biases_that_compute_it_and_no_others():
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(3000):
        w, b = rng.uniform(-1, 3, size=2), rng.uniform(-4, 1)
        computes_and = w[0] + w[1] + b >= 0 and max(w[0], w[1], 0) + b < 0
        right += computes_and
        assert perceptron.and_gate(w, b).right == computes_and, (w, b)
    assert 200 < right < 2800


def test_and_takes_right_answers_of_any_size():
    rng = np.random.default_rng(1)
    for _ in range(300):
        w = 10 ** rng.uniform(-3, 3, size=2)
        b = -(w.max() + rng.uniform(0.01, 0.99) * w.min())  # between either weight and their sum
        assert is_right(perceptron.and_gate(w, b)), (w, b)


@pytest.mark.parametrize(
    ("w", "b", "words"),
    [
        ([1, 1], -0.5, "This is OR"),
        ([1, 1], -1, "This is OR"),
        ([-1, -1], 1.5, "This is NAND"),
        ([1, 1], 1.5, "The neuron always says 1. The bias is minus the threshold"),
        ([0, 0], 0, "The neuron always says 1"),
        ([1, 1], -3, "Wrong at (1, 1), where w·x + b is -1. It must reach zero at (1, 1), and nowhere else."),
        ([1, 0], -0.5, "Wrong at (1, 0), where w·x + b is 0.5."),
        ([-1, -1], 0, "Wrong at (0, 0), where w·x + b is 0; at (1, 1), where w·x + b is -2."),
        ([0.1, 0.7], -0.8, "Wrong at (1, 1), where w·x + b is -1.11e-16"),  # rounding is shown
        ([1, 1, 1], -1.5, "w has shape (3,); (2,) is wanted."),
        (1, -1.5, "w has shape (); (2,) is wanted."),
        ([1, 1], [-1.5, -1.5], "b has shape (2,); one number is wanted."),
    ],
)
def test_and_has_a_hint_for_each_misunderstanding(w, b, words):
    assert_hint(perceptron.and_gate(w, b), words)


# The mistake bound


def bound(x, s, u):
    return (np.linalg.norm(x, axis=1).max() / ((s * (x @ u)).min() / np.linalg.norm(u))) ** 2


def bound_in_loops(x, s, u):
    gamma = math.inf
    for point, side in zip(x, s, strict=True):
        gamma = min(gamma, side * sum(a * b for a, b in zip(point, u, strict=True)) / math.hypot(*u))
    return max(math.hypot(*point) for point in x) ** 2 / gamma**2


def bound_by_absolute_values(x, s, u):
    return (x**2).sum(1).max() * (u @ u) / np.abs(x @ u).min() ** 2


def bound_that_changes_its_arguments(x, s, u):
    u /= np.linalg.norm(u)
    x *= s[:, None]
    margin = (x @ u).min()
    x **= 2
    return x.sum(1).max() / margin**2


@pytest.mark.parametrize(
    "function",
    [
        bound,
        bound_in_loops,
        bound_by_absolute_values,
        bound_that_changes_its_arguments,
        lambda x, s, u: torch.tensor(bound(x, s, u)),
        lambda x, s, u: parameter([bound(x, s, u)]),
        lambda x, s, u: np.array([[bound(x, s, u)]]),
    ],
    ids=["arrays", "loops", "absolute values", "in place", "tensor", "parameter", "array"],
)
def test_mistake_bound_takes_any_way_to_compute_it(function):
    assert is_right(perceptron.mistake_bound(function))


def radius(x):
    return np.linalg.norm(x, axis=1).max()


def unit(u):
    return u / np.linalg.norm(u)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x, s, u: (radius(x) / (s * (x @ u)).min()) ** 2, "Your margin grows with the length of u"),
        (lambda x, s, u: (radius(x) / (s * (x @ u)).min() * (u @ u)) ** 2, "not by its square"),
        (lambda x, s, u: bound(x, s, u) ** 0.5, "That is R/γ."),
        (lambda x, s, u: bound(x, s, u) ** 2, "R is a length, not its square"),
        (lambda x, s, u: 1 / bound(x, s, u), "upside down"),
        (lambda x, s, u: (radius(x) / (x @ unit(u)).min()) ** 2, "Where does s come in?"),
        (lambda x, s, u: (radius(x) / (s * (x @ unit(u))).max()) ** 2, "γ is the smallest distance"),
        (lambda x, s, u: bound(x[s > 0], 1, u), "With −s and −u your bound is another"),
        (lambda x, s, u: bound(x, s, u) * (u @ u / 4), "Another length of u changes your bound"),
        (lambda x, s, u: 5, "For points with R = 3 and γ = 1 your function gives 5; (R/γ)² is 9."),
        (lambda x, s, u: (np.abs(x).max() / (s * (x @ unit(u))).min()) ** 2, "your function gives 8"),
        (lambda x, s, u: np.nan, "Your bound holds nan; finite numbers are wanted."),
        (lambda x, s, u: (radius(x), 1.0), "Your bound has shape (2,); one number is wanted."),
    ],
)
def test_mistake_bound_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(perceptron.mistake_bound(function), words)


# One feature


@pytest.mark.parametrize(
    "function",
    [
        lambda x: -(x[:, 0] - 0.5) * (x[:, 1] - 0.5),
        lambda x: abs(x[:, 0] - x[:, 1]),
        lambda x: 100 + x[:, 0] + x[:, 1] - 2 * x[:, 0] * x[:, 1],
        lambda x: torch.tensor(x).sum(1) == 1,
        lambda x: [[float(a != b)] for a, b in x],
        lambda x: parameter(x.sum(1) % 2),
        lambda x: np.subtract(x[:, 0], x[:, 1], out=x[:, 0]) ** 2,
    ],
    ids=["product", "distance", "shifted", "truth values", "column", "tracked", "in place"],
)
def test_feature_takes_whatever_separates_xor(function):
    assert is_right(perceptron.feature(function))


def test_feature_is_judged_by_its_values_alone():
    rng = np.random.default_rng(6)
    right = 0
    for values in rng.normal(size=(300, 4)):
        separates = min(values[1], values[2]) > max(values[0], values[3])
        right += separates
        table = dict(zip(product([0.0, 1.0], repeat=2), values, strict=True))
        verdict = perceptron.feature(lambda x, table=table: [table[tuple(point)] for point in x])
        assert verdict.right == separates
    assert 10 < right < 290


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: (x[:, 0] - 0.5) * (x[:, 1] - 0.5), "The other way round: it is larger where the inputs"),
        (lambda x: x[:, 0] + x[:, 1], "XOR needs both inputs in one term."),
        (lambda x: x[:, 0] ** 10 - 3 * x[:, 1], "XOR needs both inputs in one term."),
        (lambda x: np.zeros(len(x)), "XOR needs both inputs in one term."),
        (lambda x: x[:, 0] * x[:, 1], "At (0,0), (0,1), (1,0), (1,1) it is 0, 0, 0, 1."),
        (lambda x: x.max(1), "At (0,0), (0,1), (1,0), (1,1) it is 0, 1, 1, 1."),
        (lambda x: x, "Your feature has shape (4, 2); (4,) is wanted."),
        (lambda x: 1.0, "Your feature has shape (); (4,) is wanted."),
        (lambda x: np.full(4, np.nan), "Your feature holds nan; finite numbers are wanted."),
    ],
)
def test_feature_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(perceptron.feature(function), words)


# One step of logistic regression


def sigma(z):
    return 1 / (1 + np.exp(-z))


def step(w, b, x, y, rate):
    error = sigma(x @ w + b) - y
    return w - rate * x.T @ error / len(x), b - rate * error.mean()


def step_by_autograd(w, b, x, y, rate):
    w, b = (torch.tensor(part, requires_grad=True) for part in (w, b))
    loss = nn.functional.binary_cross_entropy_with_logits(torch.tensor(x) @ w + b, torch.tensor(y).double())
    loss.backward()
    return w - rate * w.grad, b - rate * b.grad


def step_in_place(w, b, x, y, rate):
    error = sigma(x @ w + b) - y
    y *= 0
    x *= error[:, None]
    w -= rate * x.mean(0)
    return w, b - rate * error.mean()


def step_point_by_point(w, b, x, y, rate):
    new_w, new_b = w.copy(), b
    for point, label in zip(x, y, strict=True):
        error = sigma(point @ w + b) - label
        new_w -= rate * error * point / len(x)
        new_b -= rate * error / len(x)
    return new_w.tolist(), new_b


@pytest.mark.parametrize(
    "function",
    [
        step,
        step_by_autograd,
        step_point_by_point,
        step_in_place,
        lambda *given: [np.float32(part) for part in step(*given)],
        lambda *given: (step(*given)[0][:, None], [step(*given)[1]]),
    ],
    ids=["arrays", "autograd", "loop", "in place", "float32", "column"],
)
def test_logistic_step_takes_any_way_to_compute_it(function):
    assert is_right(perceptron.logistic_step(function))


def step_with(y_hat=sigma, *, weights=1.0, bias=1.0):
    """A step with another ŷ, in which weights or bias move this many times as far."""

    def stepped(w, b, x, y, rate):
        error = y_hat(x @ w + b) - y
        return w - weights * rate * x.T @ error / len(x), b - bias * rate * error.mean()

    return stepped


def step_on_the_squared_error(w, b, x, y, rate, factor=1):
    y_hat = sigma(x @ w + b)
    error = factor * (y_hat - y) * y_hat * (1 - y_hat)
    return w - rate * x.T @ error / len(x), b - rate * error.mean()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (step_with(weights=-1, bias=-1), "Uphill: the loss grows."),
        (step_with(weights=40, bias=40), "That is the gradient of the sum over the points"),
        (step_with(weights=10, bias=10), "The learning rate is missing."),
        (step_with(lambda z: z), "your ŷ is z itself."),
        (step_with(lambda z: z >= 0), "That is Rosenblatt's threshold."),
        (step_with(bias=0), "The weights are right, and the bias does not move."),
        (step_with(bias=40), "The weights are right; the bias moves by the sum, not the mean."),
        (step_with(weights=40), "The bias is right; the weights move by the sum, not the mean."),
        (step_on_the_squared_error, "That is a step on the squared error."),
        (functools.partial(step_on_the_squared_error, factor=2), "That is a step on the squared error."),
        (step_with(weights=1.01), "w and b move by ["),
        (lambda w, b, *_: (w, b), "w and b move by [0.0, 0.0, 0.0, 0.0]; they should by ["),
        (
            lambda *given: step(*given)[0],
            "Return two things, the new w and b; your function returns ndarray.",
        ),
        (
            lambda *given: (*step(*given), 0),
            "Return two things, the new w and b; your function returns tuple.",
        ),
        (lambda w, b, *_: (w[:2], b), "w has shape (2,); (3,) is wanted."),
        (lambda w, b, *_: (w, w), "b has shape (3,); one number is wanted."),
        (lambda w, b, *_: (w, None), "b is None; numbers are wanted."),
        (lambda w, b, *_: (w * np.nan, b), "w holds nan; finite numbers are wanted."),
    ],
)
def test_logistic_step_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(perceptron.logistic_step(function), words)


# Parity

CORNERS = np.array(list(product([0, 1], repeat=3)))
ODD = CORNERS[CORNERS.sum(1) % 2 == 1]
ONE_UNIT_FOR_EACH_ODD_CORNER = (2 * ODD - 1, 0.5 - ODD.sum(1), np.ones(4), -0.5)


@pytest.mark.parametrize(
    ("answers", "units"),
    [
        ((np.ones((3, 3)), [-0.5, -1.5, -2.5], [1, -1, 1], -0.5), 3),
        ((np.ones((3, 3)).tolist(), (-1, -2, -3), (1, -1, 1), -1), 3),
        (ONE_UNIT_FOR_EACH_ODD_CORNER, 4),
        (
            (
                np.vstack([np.ones((3, 3)), np.zeros((6, 3))]),
                [-1, -2, -3] + [0] * 6,
                [1, -1, 1] + [0] * 6,
                -1,
            ),
            9,
        ),
        ((torch.ones(3, 3), torch.tensor([-1, -2, -3]), torch.tensor([1, -1, 1]), torch.tensor(-1)), 3),
        ([parameter(part) for part in ([[1.0] * 3] * 3, [-1.0, -2.0, -3.0], [[1.0, -1.0, 1.0]], [-1.0])], 3),
    ],
    ids=["thresholds", "lists", "one unit a corner", "idle units", "tensors", "parameters"],
)
def test_parity_takes_any_network_that_computes_it(answers, units):
    verdict = perceptron.parity(*answers)
    assert is_right(verdict)
    assert verdict.message == f"Right, with {units} hidden units."


def test_parity_takes_right_networks_in_any_order_and_scale():
    rng = np.random.default_rng(2)
    W, b, v, c = (np.array(part, dtype=float) for part in ONE_UNIT_FOR_EACH_ODD_CORNER)
    for _ in range(50):
        order, scale, flip = rng.permutation(4), 10 ** rng.uniform(-3, 3, size=4), 10 ** rng.uniform(-3, 3)
        assert is_right(
            perceptron.parity((W * scale[:, None])[order], (b * scale)[order], flip * v, flip * c)
        )


def test_parity_is_judged_by_what_the_network_says():
    rng = np.random.default_rng(3)
    right = 0
    for _ in range(1000):  # units that count the ones, so that some are right by chance
        b, v, c = rng.choice([-0.5, -1.5, -2.5], 3), rng.choice([-1, 1], 3), rng.choice([-0.5, 0.5])
        says = [np.sum(v * (ones + b >= 0)) + c >= 0 for ones in range(4)]  # for 0, 1, 2, 3 ones
        right += says == [False, True, False, True]
        assert perceptron.parity(np.ones((3, 3)), b, v, c).right == (says == [False, True, False, True])
    assert 5 < right < 995


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((np.ones((2, 3)), [-0.5, -1.5], [1, -1], -0.5), "Right everywhere but at (1, 1, 1)"),
        ((np.ones((3, 3)), [-0.5, -1.5, -2.5], [-1, 1, -1], 0.5), "Exactly the opposite of parity"),
        (
            (np.ones((1, 3)), [-0.5], [1], -0.5),
            "Wrong at (0, 1, 1), (1, 0, 1), (1, 1, 0). What do the hidden units say there?",
        ),
        ((np.zeros((0, 3)), [], [], -0.5), "Wrong at (0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1)."),
        (([1, 1, 1], [-0.5], [1], -0.5), "W has shape (3,); one row of three weights for each hidden unit"),
        ((np.ones((3, 4)), [0] * 4, [1] * 4, 0), "W has shape (3, 4); one row of three weights"),
        ((np.ones((4, 3)), [0] * 3, [1] * 4, 0), "b has shape (3,); (4,) is wanted."),
        ((np.ones((4, 3)), [0] * 4, [1] * 3, 0), "v has shape (3,); (4,) is wanted."),
        ((np.ones((4, 3)), [0] * 4, [1] * 4, [0, 0]), "c has shape (2,); one number is wanted."),
    ],
)
def test_parity_has_a_hint_for_each_misunderstanding(answers, words):
    assert_hint(perceptron.parity(*answers), words)


# Collapsing layers


def collapsed(layers):
    W, b = layers[0].weight, layers[0].bias
    for layer in layers[1:]:
        W, b = layer.weight @ W, layer.weight @ b + layer.bias
    return W, b


def collapsed_by_probing(layers):
    """Push zero and the unit vectors through the stack."""
    stack, inputs = nn.Sequential(*layers), layers[0].in_features
    b = stack(torch.zeros(inputs))
    return (stack(torch.eye(inputs)) - b).T, b


def collapsed_from_the_end(layers):
    if len(layers) == 1:
        return layers[0].weight, layers[0].bias
    W, b = collapsed_from_the_end(layers[1:])
    return W @ layers[0].weight, W @ layers[0].bias + b


def collapsed_in_place(layers):
    with torch.no_grad():
        for first, second in pairwise(layers):
            second.bias += second.weight @ first.bias
            second.weight = nn.Parameter(second.weight @ first.weight)
            first.weight.zero_()
    return layers[-1].weight, layers[-1].bias


def collapsed_in_numpy(layers):
    W, b = np.eye(layers[0].in_features), np.zeros(layers[0].in_features)
    for layer in layers:
        A, c = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        W, b = A @ W, A @ b + c
    return W, b


@pytest.mark.parametrize(
    "function",
    [
        collapsed,
        collapsed_by_probing,
        collapsed_from_the_end,
        collapsed_in_place,
        collapsed_in_numpy,
        lambda layers: [part.detach().tolist() for part in collapsed(layers)],
        lambda layers: tuple(part.double() for part in collapsed(layers)),
    ],
    ids=["loop", "probing", "recursion", "in place", "NumPy", "lists", "double precision"],
)
def test_collapse_takes_any_way_to_compute_it(function):
    assert is_right(perceptron.collapse(function))


def test_collapse_takes_right_answers_with_rounding_and_refuses_larger_errors():
    rng = np.random.default_rng(4)

    def shaken(layers, size):
        return tuple(part + torch.tensor(rng.uniform(-size, size, part.shape)) for part in collapsed(layers))

    for _ in range(20):
        assert is_right(perceptron.collapse(functools.partial(shaken, size=1e-5)))
        assert not perceptron.collapse(functools.partial(shaken, size=1e-1)).right


def product_in_the_other_order(layers):
    W, b = layers[0].weight, layers[0].bias
    for layer in layers[1:]:
        W, b = W @ layer.weight, layer.weight @ b + layer.bias
    return W, b


def the_sum_of_biases(layers):
    outputs = layers[-1].out_features
    return collapsed(layers)[0], sum(layer.bias[:1] for layer in layers).expand(outputs)


def right_for_two_layers(layers):
    return collapsed(layers) if len(layers) < 3 else (torch.zeros(3, 4), torch.zeros(3))


def only_w(layers):
    return collapsed(layers)[0]


def only_b(layers):
    return collapsed(layers)[1]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (the_sum_of_biases, "W is right and b is not: a bias passes through every layer that follows it."),
        (lambda layers: (only_w(layers), layers[-1].bias), "W is right and b is not"),
        (lambda layers: (only_w(layers), 0 * layers[-1].bias), "W is right and b is not"),
        (lambda layers: (-only_w(layers), only_b(layers)), "For sizes (3, 5, 2) your layer gives other"),
        (
            lambda layers: (only_w(layers).T, only_b(layers)),
            "For sizes (3, 5, 2) your W has shape (3, 2); it must map 3 inputs to 2 outputs. In which order",
        ),
        (lambda layers: (layers[0].weight, layers[0].bias), "your W has shape (5, 3)"),
        (lambda layers: collapsed(layers[-2:]), "For sizes (4, 6, 5, 3) your W has shape (3, 6)"),
        (right_for_two_layers, "For sizes (4, 6, 5, 3) your layer gives other outputs than the stack does."),
        (product_in_the_other_order, "in W x the matrix of a later layer stands further left."),
        (lambda layers: np.ones((2, 3)) @ np.ones(9), "Your answer raised ValueError: matmul"),
        (only_w, "Return two things, W and b; your function returns Tensor."),
        (lambda layers: nn.Linear(3, 2), "Return two things, W and b; your function returns Linear."),
        (lambda layers: (*collapsed(layers), 1), "Return two things, W and b; your function returns tuple."),
        (lambda layers: (None, None), "W is None; numbers are wanted."),
        (lambda layers: (only_w(layers), None), "b is None; numbers are wanted."),
        (lambda layers: (only_w(layers), layers[0].bias), "b has shape (5,); (2,) is wanted."),
        (lambda layers: (only_w(layers) * np.nan, only_b(layers)), "W holds nan; finite numbers are wanted."),
        (lambda layers: (only_w(layers), only_b(layers) * np.nan), "b holds nan; finite numbers are wanted."),
    ],
)
def test_collapse_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(perceptron.collapse(function), words)


def test_collapse_leaves_gradients_on():
    def look(layers):
        assert not torch.is_grad_enabled()
        return collapsed(layers)

    assert is_right(perceptron.collapse(look))
    assert torch.is_grad_enabled()


# The slope of SiLU


def slope(z):
    s = torch.sigmoid(z)
    return s + z * s * (1 - s)


def slope_by_autograd(z):
    z.requires_grad_()
    with torch.enable_grad():
        nn.functional.silu(z).sum().backward()
    return z.grad


def slope_in_place(z):
    s = torch.sigmoid(z)
    z *= s * (1 - s)
    z += s
    return z


@pytest.mark.parametrize(
    "function",
    [
        slope,
        lambda z: torch.sigmoid(z) * (1 + z * (1 - torch.sigmoid(z))),
        lambda z: z * torch.sigmoid(z) * (1 - torch.sigmoid(z)) + torch.sigmoid(z),
        slope_by_autograd,
        slope_in_place,
        lambda z: slope(z.float()),
        lambda z: slope(z).numpy(),
        lambda z: slope(z).tolist(),
        lambda z: [slope(value) for value in z],
        lambda z: slope(nn.Parameter(z)),
        lambda z: (z + 1) * torch.sigmoid(z) - z * torch.sigmoid(z) ** 2,
    ],
    ids=[
        *("sum", "factored", "turned", "autograd", "in place", "float32"),
        *("array", "list", "one by one", "tracked", "powers"),
    ],
)
def test_silu_slope_takes_any_way_to_compute_it(function):
    assert is_right(perceptron.silu_slope(function))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (torch.sigmoid, "One term of the product rule is missing: σ(z) changes with z too."),
        (lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z)), "That is the slope of σ(z) alone."),
        (lambda z: slope(z) - torch.sigmoid(z), "the factor z has the slope 1."),
        (lambda z: torch.sigmoid(z.float()).numpy(), "σ(z) changes with z too."),
        (lambda z: z.mul_(torch.sigmoid(z)), "That is SiLU itself, not its slope."),
        (lambda z: 2 * slope(z), "It differs from automatic differentiation by up to 1.1."),
        (lambda z: slope(z) + 1e-3, "It differs from automatic differentiation by up to 0.001."),
        (lambda z: torch.sigmoid(z) - z * torch.sigmoid(z) * (1 - torch.sigmoid(z)), "It differs from"),
        (lambda z: slope(z).sum(), "For z of shape (101,) you return shape ()."),
        (lambda z: slope(z)[:, None], "For z of shape (101,) you return shape (101, 1)."),
        (lambda z: slope(z).masked_fill(z == z[50], np.nan), "Your slope holds nan; finite"),
        (math.exp, "Your answer raised "),
    ],
)
def test_silu_slope_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(perceptron.silu_slope(function), words)


# Separable labellings


def count(n, d):
    return 2 * sum(math.comb(n - 1, k) for k in range(d + 1))


def count_by_recursion(n, d):
    if n == 1 or d == 0:
        return 2
    return count_by_recursion(n - 1, d) + count_by_recursion(n - 1, d - 1)


@pytest.mark.parametrize(
    "function",
    [
        count,
        count_by_recursion,
        lambda n, d: np.int64(count(n, d)),
        lambda n, d: float(count(n, d)),
        lambda n, d: torch.tensor(count(n, d)),
        lambda n, d: np.array([count(n, d)]),
    ],
    ids=["sum", "recursion", "NumPy's integer", "float", "tensor", "array"],
)
def test_separable_labellings_takes_any_way_to_count(function):
    assert is_right(perceptron.separable_labellings(function))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda n, d: count(n, d - 1), "That counts hyperplanes through the origin."),
        (lambda n, d: count(n, d) // 2, "Half of the right number"),
        (lambda n, d: 2**n, "That is the number of all labellings."),
        (lambda n, d: 14, "For n = 1, d = 1 you say 14; it is 2."),
        (lambda n, d: count(n, d) + (n == 11 and d == 4), "For n = 11, d = 4 you say 773; it is 772."),
        (lambda n, d: count(n, d) + 0.5, "For n = 1, d = 1 you say 2.5; it is 2."),
        (lambda n, d: [n, d], "Your count has shape (2,); one number is wanted."),
        (lambda n, d: math.inf, "Your count holds inf; finite numbers are wanted."),
    ],
)
def test_separable_labellings_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(perceptron.separable_labellings(function), words)


def test_the_count_that_is_taken_is_what_lines_can_do():
    """Many random lines separate four points of the plane in every way that lines can."""
    rng = np.random.default_rng(5)
    points = np.array([[0.0, 0.0], [1.0, 0.1], [0.2, 1.0], [1.1, 1.3]])
    sides = points @ rng.normal(size=(2, 20000)) + rng.normal(size=20000) > 0
    assert len(np.unique(sides, axis=1).T) == count(4, 2)
