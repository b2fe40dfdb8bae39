"""The backpropagation chapter's checkers take every right answer, and know the usual misunderstandings."""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch import nn
from verdicts import assert_hint, is_right, parameter

from ddl.exercises import backprop, sweeps
from ddl.exercises.gradients import nudged

# One slope


@pytest.mark.parametrize(
    "slope",
    [
        15,
        15.0,
        -6 * -0.5 * 5,
        np.float32(15),
        np.array([15]),
        torch.tensor([[15.0]]),
        parameter(15.0),
        [15],
        15.004,
    ],
    ids=repr,
)
def test_first_slope_takes_fifteen_of_any_kind(slope):
    assert is_right(backprop.first_slope(slope))


def test_first_slope_is_that_of_autograd():
    w1, w2 = (torch.tensor(number, requires_grad=True) for number in (0.8, -0.5))
    (w2 * (w1 * 5) - 1).square().backward()
    assert is_right(backprop.first_slope(w1.grad))
    assert_hint(backprop.first_slope(w2.grad), "That is dL/dw₂. To reach w₁, go back through h")


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        (-15, "The size is right, the sign is not"),
        (7.5, "The square has the slope 2(o − y): look for the 2."),
        (3, "That is dL/dh. One more factor leads from h to w₁."),
        (-30, "The way from o to h is missing: ∂o/∂h is w₂."),
        (-24, "That is dL/dw₂."),
        (12, "In the last factor, ∂h/∂w₁ is x, not h."),
        (-6, "That is dL/do, the first of three factors."),
        (9, "That is the loss itself."),
        (14, "It is not 14. Compute h, o and L first, then a local derivative for each step back."),
        (15.1, "It is not 15.1."),
        ([15, 15], "slope has shape (2,); one number is wanted."),
    ],
)
def test_first_slope_has_a_hint_for_each_misunderstanding(slope, words):
    assert_hint(backprop.first_slope(slope), words)


# Who goes first?


def may_hand_on(order):
    """Whether each value comes after all that use it."""
    return all(
        order.index(child) < order.index(parent)
        for child, parents in backprop.GRAPH.items()
        for parent in parents
        if parent in order
    )


def test_order_back_takes_all_orders_that_work_and_no_others():
    right = 0
    for order in itertools.permutations("Labcde"):
        right += may_hand_on(order)
        assert backprop.order_back(list(order)).right == may_hand_on(order), order
    assert right == 7


@pytest.mark.parametrize(
    "order",
    [
        list("Lecdba"),
        tuple("Lcebad"),
        "L, e, d, c, b, a",
        "L e c b a d",
        ["L", "e", "d", "c", "b", "a", "y", "x"],
        ["L", "e", "d", "c", " b ", "a", "x"],
        "L → e → d → c → b → a → x → y",
    ],
    ids=str,
)
def test_order_back_takes_names_of_any_kind_with_or_without_inputs(order):
    assert is_right(backprop.order_back(order))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (list("abcdeL"), "That is an order for the way forward. The gradient starts at L."),
        (["x", "y", *"adbceL"], "That is an order for the way forward."),
        (list("Leabcd"), "a hands on, what c gives it is still missing."),  # c uses a
        (list("Lecdab"), "b uses a: when a hands on, what b gives it is still missing."),
        (list("Lcabed"), "e uses b: when b hands on"),
        (list("eLcbad"), "L uses e: when e hands on, what L gives it is still missing."),
        (["L", "e", "x", "d", "c", "b", "a"], "x: when x hands on"),
        (list("Lecba"), "d never hands on."),
        (list("Lea"), "d, c, b never hands on."),
        (list("Lecdbaa"), "a stands there 2 times; a value hands on once."),
        (list("Lecdbaz"), "There is no value z."),
        ([], "L, e, d, c, b, a never hands on."),
        (5, 'order is 5; a list of names is wanted, as in ["L", "e", …].'),
        ([1, 2], "order is [1, 2]; a list of names is wanted"),
        (None, "order is None; a list of names is wanted"),
    ],
    ids=str,
)
def test_order_back_has_a_hint_for_each_misunderstanding(order, words):
    assert_hint(backprop.order_back(order), words)


def test_dots_in_an_order_are_an_exercise_not_attempted():
    assert backprop.order_back(["L", ...]).attempted is False


# Back through a sigmoid


def through_a_sigmoid(G, H):
    return G * H * (1 - H)


def through_a_sigmoid_in_place(G, H):
    G *= H
    H -= 1
    G *= -H
    return G


def through_a_sigmoid_by_autograd(G, H):
    Z = torch.logit(torch.tensor(H)).requires_grad_()
    torch.sigmoid(Z).backward(torch.tensor(G))
    return Z.grad


@pytest.mark.parametrize(
    "function",
    [
        through_a_sigmoid,
        through_a_sigmoid_in_place,
        through_a_sigmoid_by_autograd,
        lambda G, H: G * (H - H**2),
        lambda G, H: through_a_sigmoid(G, H).tolist(),
        lambda G, H: np.float32(through_a_sigmoid(G, H)),
        lambda G, H: [
            [g * h * (1 - h) for g, h in zip(*rows, strict=True)] for rows in zip(G, H, strict=True)
        ],
    ],
    ids=["product", "in place", "autograd", "difference", "list", "float32", "loop"],
)
def test_sigmoid_backward_takes_any_way_to_compute_it(function):
    assert is_right(backprop.sigmoid_backward(function))


def sigma(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda G, H: H * (1 - H), "That is the local derivative. What arrives from the later layers is G"),
        (lambda G, H: G * sigma(H) * (1 - sigma(H)), "You applied σ once more: H is already σ(Z)."),
        (lambda G, H: G * (1 - H**2), "1 − H² is the slope of tanh."),
        (lambda G, H: G * H, "The factor 1 − H is missing"),
        (lambda G, H: G * (1 - H), "The factor H is missing"),
        (lambda G, H: G * H * (H - 1), "The sign is wrong: σ rises everywhere."),
        (lambda G, H: (G * H * (1 - H)).sum(0), "Do not sum: each entry of Z is used once"),
        (lambda G, H: G, "That is G itself, as if the layer were not there."),
        (
            lambda G, H: through_a_sigmoid(G, H).T,
            "Your gradient has shape (3, 4); Z has (4, 3), and so has its",
        ),
        (lambda G, H: through_a_sigmoid(G, H) + 0.01, "It differs from nudging by up to 0.01."),
        (
            lambda G, H: through_a_sigmoid(G, H) * np.nan,
            "Your gradient holds nan; finite numbers are wanted.",
        ),
    ],
)
def test_sigmoid_backward_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(backprop.sigmoid_backward(function), words)


# The way back, in general


def swept(operations, output):
    gradients = {output: 1.0}
    for result, arguments in reversed(operations):
        if result in gradients:
            for name, derivative in arguments:
                gradients[name] = gradients.get(name, 0.0) + derivative * gradients[result]
    return gradients


def swept_with_zeros(operations, output):
    """All names have a gradient, 0 where the output does not depend on them."""
    gradients = defaultdict(float, {output: 1.0})
    for result, arguments in operations[::-1]:
        for name, derivative in arguments:
            gradients[name] += derivative * gradients[result]
    return gradients


def swept_by_recursion(operations, output):
    made = dict(operations)
    uses = defaultdict(list)
    for result, arguments in operations:
        for name, derivative in arguments:
            uses[name].append((result, derivative))

    @functools.cache
    def gradient(name):
        return 1.0 if name == output else sum(d * gradient(user) for user, d in uses[name])

    return {name: torch.tensor(gradient(name)) for name in [*made, *uses]}


def swept_destructively(operations, output):
    gradients = {output: np.ones(())}
    while operations:
        result, arguments = operations.pop()
        while arguments:
            name, derivative = arguments.pop()
            gradients[name] = gradients.get(name, 0) + derivative * gradients.get(result, 0)
    return gradients


@pytest.mark.parametrize("function", [swept, swept_with_zeros, swept_by_recursion, swept_destructively])
def test_sweep_takes_any_way_to_compute_it(function):
    assert is_right(backprop.sweep(function))


def with_(operation=lambda old, derivative, of_result: old + derivative * of_result, *, order=-1, start=1.0):
    """A sweep with one thing changed."""

    def function(operations, output):
        gradients = {output: start}
        for result, arguments in operations[::order]:
            for name, derivative in arguments:
                old, of_result = gradients.get(name, 0.0), gradients.get(result, 0.0)
                gradients[name] = operation(old, derivative, of_result)
        return gradients

    return function


def depth_first(operations, output):
    """Hands on as soon as a value is met."""
    made, gradients, met = dict(operations), defaultdict(float, {output: 1.0}), set()

    def visit(name):
        if name not in met:
            met.add(name)
            for argument, derivative in made.get(name, []):
                gradients[argument] += derivative * gradients[name]
            for argument, _ in made.get(name, []):
                visit(argument)

    visit(output)
    return gradients


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (with_(lambda old, d, g: d * g), "A value that is used twice keeps only one of its contributions."),
        (with_(lambda old, d, g: old + d), "You add the local derivatives. Each must be multiplied"),
        (with_(order=1), "You go through the operations from the first to the last."),
        (with_(start=0.0), "All gradients are 0. Where does it begin?"),
        (lambda operations, output: {}, "All gradients are 0."),
        (sweeps.once_an_operation, "In x · x the argument x comes twice. A dictionary keeps one of the two."),
        (
            lambda operations, output: swept(operations, operations[-1][0]),
            "The operations may end in one that is not the output",
        ),
        (
            depth_first,
            "For x3 from x1; x4 from x2, x3; x5 from x1, x4; x6 from x5; x7 from x4, x6: "
            "the slope of x7 along x",
        ),
        (with_(start=2.0), "the slope of x7 along x1 is 13, not 26."),
        (with_(lambda old, d, g: old - d * g), "the slope of x7 along x1 is 13, not "),
        (
            lambda operations, output: {k: v for k, v in swept(operations, output).items() if k != output},
            "The gradient of x7 is missing.",
        ),
        (
            lambda operations, output: {k: v for k, v in swept(operations, output).items() if k[0] == "x"},
            "The gradient of a is missing.",
        ),
        (
            lambda operations, output: defaultdict(float, {"side": 3.0}) | swept(operations, output),
            "the slope of x7 along side is 0, not 3.",
        ),
        (
            lambda operations, output: [13, 3],
            "Return a dictionary from names to gradients; your function returns list.",
        ),
        (lambda operations, output: {"x1": None}, "The gradient of x1 is None; numbers are wanted."),
        (
            lambda operations, output: {"x1": [1, 2]},
            "The gradient of x1 has shape (2,); one number is wanted.",
        ),
        (
            lambda operations, output: {"x1": np.inf},
            "The gradient of x1 holds inf; finite numbers are wanted.",
        ),
    ],
)
def test_sweep_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(backprop.sweep(function), words)


def test_the_gradients_that_are_wanted_are_those_of_autograd():
    """Each random program of the checker, rebuilt with tensors from its local derivatives."""
    for operations, output in sweeps.random_programs(20):
        tensors = {
            name: torch.tensor(0.0, dtype=torch.float64, requires_grad=True) for name in ("v0", "v1", "v2")
        }
        for result, arguments in operations:
            tensors[result] = sum(derivative * tensors[name] for name, derivative in arguments)
        right = sweeps.by_paths(operations, output)
        found = torch.autograd.grad(tensors[output], [tensors[name] for name in right])
        assert [g.item() for g in found] == pytest.approx(list(right.values()))


def test_the_random_programs_add_and_multiply_use_values_twice_and_leave_some_out():
    programs = list(sweeps.random_programs(20))
    arguments = [arguments for operations, _ in programs for _, arguments in operations]
    assert any(first[0] == second[0] for first, second in arguments)
    sums = sum(first[1] == second[1] == 1 for first, second in arguments)
    assert 30 < sums < 70 < len(arguments) == 100
    assert any(len(sweeps.by_paths(operations, output)) < 8 for operations, output in programs)


# A backward of one's own


def backward(G, X, s, c):
    upstream = s[:, None] * G
    return upstream, (G * (X - c)).sum(axis=1), -upstream.sum(axis=0)


def backward_by_products_of_matrices(G, X, s, c):
    return np.diag(s) @ G, np.einsum("ij,ij->i", G, X - c), -(s @ G)


def backward_in_loops(G, X, s, c):
    dX, ds, dc = np.zeros_like(X), [0.0] * len(s), [0.0] * len(c)
    for i, j in np.ndindex(G.shape):
        dX[i, j] = G[i, j] * s[i]
        ds[i] += G[i, j] * (X[i, j] - c[j])
        dc[j] -= G[i, j] * s[i]
    return [dX.tolist(), ds, dc]


def backward_by_autograd(G, X, s, c):
    leaves = [torch.tensor(part, requires_grad=True) for part in (X, s, c)]
    X, s, c = leaves
    return torch.autograd.grad(s[:, None] * (X - c), leaves, torch.tensor(G))


def backward_in_place(G, X, s, c):
    X -= c
    X *= G
    G *= s[:, None]
    return G, X.sum(1, keepdims=True), -G.sum(0, keepdims=True)


def backward_in_float32(G, X, s, c):
    return tuple(torch.tensor(part).float() for part in backward(G, X, s, c))


@pytest.mark.parametrize(
    "function",
    [
        backward,
        backward_by_products_of_matrices,
        backward_in_loops,
        backward_by_autograd,
        backward_in_place,
        backward_in_float32,
        lambda *given: [parameter(part.tolist()) for part in backward(*given)],
    ],
    ids=["sums", "products", "loops", "autograd", "in place", "float32", "tracked"],
)
def test_centre_and_weigh_takes_any_way_to_compute_it(function):
    assert is_right(backprop.centre_and_weigh_backward(function))


def own(part, change):
    """The right answer, with one of its parts replaced by what ``change`` makes of G, X, s and c."""

    def function(G, X, s, c):
        answer = list(backward(G, X, s, c))
        answer[part] = change(G, X, s, c)
        return answer

    return function


DX, DS, DC = range(3)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (own(DX, lambda G, X, s, c: G), "dX lacks a factor: an entry of X reaches Y multiplied by the s"),
        (own(DX, lambda G, X, s, c: s[:, None] + 0 * G), "dX is the local derivative s. Multiply by what"),
        (own(DX, lambda G, X, s, c: s), "dX is the local derivative s. Multiply by what arrives, G."),
        (own(DX, lambda G, X, s, c: G * (X - c)), "dX has the wrong factor: the local derivative"),
        (own(DX, lambda G, X, s, c: s @ G), "dX needs no sum: each entry of X is used once."),
        (own(DX, lambda G, X, s, c: s * G.sum(1)), "dX needs no sum: each entry of X is used once."),
        (own(DX, lambda G, X, s, c: -s[:, None] * G), "dX has the wrong sign."),
        (own(DX, lambda G, X, s, c: G.T * s), "dX is transposed."),
        (own(DX, lambda G, X, s, c: G[:2]), "dX has shape (2, 3); X has (5, 3), and so has its gradient."),
        (own(DX, lambda G, X, s, c: s[:, None] * G + 0.1), "dX differs from nudging by up to 0.1."),
        (own(DS, lambda G, X, s, c: G * (X - c)), "ds lacks a sum: s[i] is used in every column of row i"),
        (
            own(DS, lambda G, X, s, c: (G * (X - c)).sum(0)),
            "ds sums over the wrong axis: s[i] is used along row",
        ),
        (
            own(DS, lambda G, X, s, c: (G * (X - c)).sum()),
            "ds sums over everything: each row has an s of its",
        ),
        (own(DS, lambda G, X, s, c: (G * (X - c)).mean(1)), "ds is a mean. Gradients add up: take the sum."),
        (
            own(DS, lambda G, X, s, c: G.sum(1)),
            "ds lacks a factor: the local derivative with respect to s is",
        ),
        (own(DS, lambda G, X, s, c: (G * X).sum(1)), "ds has the factor X; what s multiplies is X − c."),
        (own(DS, lambda G, X, s, c: G @ (X - c).T), "ds holds the products of all rows with all rows."),
        (own(DS, lambda G, X, s, c: (X - c).sum(1)), "ds lacks G, the gradient that arrives."),
        (own(DS, lambda G, X, s, c: -(G * (X - c)).sum(1)), "ds has the wrong sign."),
        (own(DS, lambda G, X, s, c: (G * (X - c)).sum(1) * 1.5), "ds differs from nudging by up to "),
        (own(DC, lambda G, X, s, c: -s[:, None] * G), "dc lacks a sum: c[j] is used in every row"),
        (own(DC, lambda G, X, s, c: s @ G), "dc has the wrong sign."),
        (
            own(DC, lambda G, X, s, c: s[:, None] * G),
            "dc lacks a sum over the rows that use c[j]; and c enters",
        ),
        (own(DC, lambda G, X, s, c: -s * G.sum(1)), "dc sums over the wrong axis: c[j] is used in column j."),
        (
            own(DC, lambda G, X, s, c: -(s @ G).sum()),
            "dc sums over everything: each column has a c of its own.",
        ),
        (own(DC, lambda G, X, s, c: -(s @ G) / 5), "dc is a mean. Gradients add up: take the sum."),
        (own(DC, lambda G, X, s, c: -G.sum(0)), "dc lacks a factor: c reaches Y multiplied by −s."),
        (
            own(DC, lambda G, X, s, c: G.sum(0)),
            "dc lacks a factor and its sign: c reaches Y multiplied by −s.",
        ),
        (own(DC, lambda G, X, s, c: -G), "dc lacks a factor, s, and a sum over the rows"),
        (own(DC, lambda G, X, s, c: -G.sum(0) * s.sum()), "dc sums G and s apart."),
        (own(DC, lambda G, X, s, c: 0 * c - s.sum()), "dc lacks G, the gradient that arrives."),
        (own(DC, lambda G, X, s, c: c), "dc differs from nudging by up to "),
        (own(DC, lambda G, X, s, c: G[0, :2]), "dc has shape (2,); c has (3,), and so has its gradient."),
        (own(DC, lambda G, X, s, c: None), "dc is None; numbers are wanted."),
        (own(DS, lambda G, X, s, c: s * np.nan), "ds holds nan; finite numbers are wanted."),
        (
            lambda *given: backward(*given)[:2],
            "Return three things, dX, ds and dc; your function returns tuple.",
        ),
        (
            lambda *given: backward(*given)[0],
            "Return three things, dX, ds and dc; your function returns ndarray.",
        ),
        (
            lambda *given: dict(enumerate(backward(*given))),
            "Return three things, dX, ds and dc; your function ret",
        ),
        (lambda G, X, s, c: (s * G, 0, 0), "Your answer raised ValueError: operands could not be broadcast"),
    ],
)
def test_centre_and_weigh_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(backprop.centre_and_weigh_backward(function), words)


def test_nudging_finds_the_gradient_with_respect_to_one_argument():
    a, b = np.array([[1.0, 2.0]]), np.array([3.0])
    assert nudged(lambda a, b: (a**2).sum() * b[0], (a, b), 0) == pytest.approx(np.array([[6.0, 12.0]]))
    assert nudged(lambda a, b: (a**2).sum() * b[0], (a, b), 1) == pytest.approx(np.array([5.0]))
    assert (a.tolist(), b.tolist()) == ([[1, 2]], [3])


# Forward or backward?


def costs(widths):
    one_sweep = sum(a * b for a, b in itertools.pairwise(widths))
    return widths[0] * one_sweep, widths[-1] * one_sweep


def costs_by_doing_it(widths):
    count = [0, 0]
    jacobians = [np.ones((b, a)) for a, b in itertools.pairwise(widths)]
    for _ in range(min(widths[0], 20)):
        for J in jacobians:
            count[0] += J.size
    for _ in range(min(widths[-1], 20)):
        for J in reversed(jacobians):
            count[1] += J.size
    return [c * w // min(w, 20) for c, w in zip(count, (widths[0], widths[-1]), strict=True)]


def costs_of_modules(widths):
    layers = [nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths)]
    return torch.tensor([widths[0], widths[-1]]) * sum(layer.weight.numel() for layer in layers)


@pytest.mark.parametrize(
    "function",
    [costs, costs_by_doing_it, costs_of_modules, lambda widths: np.array(costs(widths), dtype=float)],
)
def test_multiplications_takes_any_way_to_count(function):
    assert is_right(backprop.multiplications(function))


def sweep_of(widths):
    return sum(a * b for a, b in itertools.pairwise(widths))


def of_the_matrices_alone(widths):
    """As many as the product of the Jacobians takes from either end, without a vector to begin with."""
    forward = sum(widths[0] * a * b for a, b in itertools.pairwise(widths[1:]))
    backward = sum(widths[-1] * a * b for a, b in itertools.pairwise(widths[:-1]))
    return forward, backward


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda widths: costs(widths)[::-1], "The other way round: forward takes a sweep for each input."),
        (lambda widths: (sweep_of(widths),) * 2, "That is one sweep. How many does the whole Jacobian take?"),
        (lambda widths: (widths[0], widths[-1]), "That is the number of sweeps. What does one cost?"),
        (
            lambda widths: (widths[0] * sum(widths[1:]), widths[-1] * sum(widths[:-1])),
            "A vector times a matrix of a rows and b columns takes a · b multiplications",
        ),
        (of_the_matrices_alone, "A matrix is missing: each sweep begins with a vector"),
        (
            lambda widths: (costs(widths)[0],) * 2,
            "Backward takes a sweep for each output, not for each input.",
        ),
        (
            lambda widths: (costs(widths)[0] + 1, costs(widths)[1]),
            "For widths [1000, 100, 1] you say 1.001e+08 and 100100; it is 100100000 and 100100.",
        ),
        (lambda widths: (1, 2), "For widths [1000, 100, 1] you say 1 and 2; it is 100100000 and 100100."),
        (lambda widths: sum(costs(widths)), "Your counts has shape (); (2,) is wanted."),
    ],
)
def test_multiplications_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(backprop.multiplications(function), words)


# Pieces of pieces


def signals(pieces, smaller):
    return pieces + smaller + -(-1000 // (pieces * smaller))


def test_no_other_pieces_hold_fewer_signals():
    held = {(k, m): signals(k, m) for k in range(1, 201) for m in range(1, 201)}
    least = min(held.values())
    assert [cut for cut, count in held.items() if count == least] == [(10, 10)]
    assert least == 30
    assert min(k + math.ceil(1000 / k) for k in range(1, 1001)) == 64  # one level of cuts


@pytest.mark.parametrize(
    "answer", [(10, 10), (10.0, 10.0), (np.int64(10), torch.tensor(10)), ([10], np.array([[10]]))]
)
def test_pieces_of_pieces_takes_ten_and_ten(answer):
    assert is_right(backprop.pieces_of_pieces(*answer))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((32, 1), "Here you hold 32 + 1 + 32 = 65 signals: that is one level of cuts."),
        ((1, 31), "Here you hold 1 + 31 + 33 = 65 signals: that is one level of cuts."),
        ((31, 31), "Here you hold 31 + 31 + 2 = 64 signals. There are three terms to balance, not two."),
        ((40, 50), "Here you hold 40 + 50 + 1 = 91 signals. There are three terms to balance"),
        ((8, 12), "Here you hold 8 + 12 + 11 = 31 signals; fewer are possible. Make one term larger"),
        ((0, 10), "pieces is 0; a whole number from 1 to 1000 is wanted."),
        ((10, 2.5), "smaller is 2.5; a whole number from 1 to 1000 is wanted."),
        ((10, 2000), "smaller is 2000; a whole number from 1 to 1000 is wanted."),
    ],
)
def test_pieces_of_pieces_has_a_hint_for_each_misunderstanding(answer, words):
    assert_hint(backprop.pieces_of_pieces(*answer), words)


# Weights for a leaky ReLU


def spread(inputs, slope):
    return (2 / ((1 + slope**2) * inputs)) ** 0.5


@pytest.mark.parametrize(
    "function",
    [
        spread,
        lambda inputs, slope: torch.tensor(2 / (inputs * (1 + slope**2))).sqrt(),
        lambda inputs, slope: nn.init.calculate_gain("leaky_relu", slope) / inputs**0.5,
        lambda inputs, slope: np.array([spread(inputs, slope)], dtype=np.float32),
    ],
    ids=["formula", "tensor", "PyTorch's gain", "array"],
)
def test_spread_takes_any_way_to_compute_it(function):
    assert is_right(backprop.spread(function))


def test_the_spread_that_is_taken_keeps_the_mean_square():
    rng = np.random.default_rng(0)
    for slope in (0.0, 0.3, 1.0):
        x = rng.normal(size=(200, 400))
        z = x @ rng.normal(scale=spread(400, slope), size=(400, 2000))
        assert np.where(z > 0, z, slope * z).var() + np.where(
            z > 0, z, slope * z
        ).mean() ** 2 == pytest.approx((x**2).mean(), rel=0.05)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda n, a: 2 / ((1 + a**2) * n), "That is the variance of the weights."),
        (lambda n, a: (2 / n) ** 0.5, "That is He's, for ReLU: right for slope 0."),
        (
            lambda n, a: n**-0.5,
            "That is right without an activation. On average, how much does it let through?",
        ),
        (lambda n, a: (1 / ((1 + a**2) * n)) ** 0.5, "Look for a 2: each side occurs half of the time."),
        (lambda n, a: (2 / ((1 + a) * n)) ** 0.5, "The mean *square* is kept"),
        (lambda n, a: (2 / n) ** 0.5 / (1 + a), "Square the two sides one by one, then add"),
        (lambda n, a: (2 / ((1 - a**2) * n)) ** 0.5 if a < 1 else 99, "For 100 inputs and slope 0.1 you say"),
        (lambda n, a: 1 / spread(n, a), "Upside down: the more a unit sums up and lets through"),
        (lambda n, a: ((1 + a**2) / (2 * n)) ** 0.5, "The more the activation lets through, the smaller"),
        (lambda n, a: 0.1, "For 64 inputs and slope 0 you say 0.1; it is 0.1768."),
        (
            lambda n, a: spread(n, a) + 0.01 * (a == 1),
            "For 30 inputs and slope 1 you say 0.1926; it is 0.1826.",
        ),
        (lambda n, a: [n, a], "Your spread has shape (2,); one number is wanted."),
        (lambda n, a: np.inf, "Your spread holds inf; finite numbers are wanted."),
    ],
)
def test_spread_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(backprop.spread(function), words)


# Batch normalisation for nothing


def fold(W, b, gamma, beta, mean, var, eps):
    scale = gamma / np.sqrt(var + eps)
    return scale[:, None] * W, beta + scale * (b - mean)


def fold_by_probing(W, b, gamma, beta, mean, var, eps):
    """Push zero and the unit vectors through both layers."""

    def both(x):
        return gamma * (x @ W.T + b - mean) / np.sqrt(var + eps) + beta

    at_zero = both(np.zeros(W.shape[1]))
    return (both(np.eye(W.shape[1])) - at_zero).T, at_zero


def fold_by_pytorch(W, b, gamma, beta, mean, var, eps):
    parts = [torch.tensor(part) for part in (W, b, mean, var)]
    folded = nn.utils.fusion.fuse_linear_bn_weights(*parts, eps, torch.tensor(gamma), torch.tensor(beta))
    return list(folded)


def fold_in_place(W, b, gamma, beta, mean, var, eps):
    var += eps
    gamma /= var**0.5
    W *= gamma[:, None]
    b -= mean
    b *= gamma
    b += beta
    return W, b[:, None]


@pytest.mark.parametrize(
    "function",
    [
        fold,
        fold_by_probing,
        fold_by_pytorch,
        fold_in_place,
        lambda *given: [part.tolist() for part in fold(*given)],
        lambda *given: [np.float32(part) for part in fold(*given)],
        lambda W, *rest: (np.diag(fold(np.eye(len(W)), *rest)[0].diagonal()) @ W, fold(W, *rest)[1]),
    ],
    ids=["scale", "probing", "PyTorch", "in place", "lists", "float32", "diagonal"],
)
def test_fold_takes_any_way_to_compute_it(function):
    assert is_right(backprop.fold(function))


def folded(scale=lambda gamma, var, eps: gamma / np.sqrt(var + eps), shift=None):
    """The layer with another scale of the rows, or another bias: a function of scale, b, beta and mean."""

    def function(W, b, gamma, beta, mean, var, eps):
        k = scale(gamma, var, eps)
        return k[:, None] * W, beta + k * (b - mean) if shift is None else shift(k, b, beta, mean)

    return function


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (folded(lambda gamma, var, eps: gamma / var**0.5), "eps is missing: it stands under the root"),
        (folded(lambda gamma, var, eps: gamma / (var**0.5 + eps)), "eps is added to the variance, under the"),
        (
            folded(lambda gamma, var, eps: gamma / (var + eps)),
            "Divide by the standard deviation, the root of",
        ),
        (folded(lambda gamma, var, eps: gamma), "Where is the division by the standard deviation?"),
        (folded(lambda gamma, var, eps: (var + eps) ** -0.5), "gamma is missing."),
        (
            folded(lambda gamma, var, eps: gamma * 0 + 1),
            "W is still the old one: batch normalisation stretches",
        ),
        (
            folded(lambda gamma, var, eps: 1.01 * gamma / (var + eps) ** 0.5),
            "W does not give the outputs of the",
        ),
        (
            lambda W, b, gamma, beta, mean, var, eps: (W * gamma / np.sqrt(var + eps), b),
            "You scale the columns of W. A unit is a row",
        ),
        (folded(shift=lambda k, b, beta, mean: beta - k * mean), "W is right; the old b has gone."),
        (folded(shift=lambda k, b, beta, mean: k * (b - mean)), "W is right; beta is missing in b."),
        (folded(shift=lambda k, b, beta, mean: beta + b - mean), "W is right; b − mean is stretched too"),
        (
            folded(shift=lambda k, b, beta, mean: beta + b - k * mean),
            "W is right; the old b is stretched too.",
        ),
        (folded(shift=lambda k, b, beta, mean: beta + k * b), "W is right; the mean is missing in b."),
        (
            folded(shift=lambda k, b, beta, mean: beta + k * b - mean),
            "W is right; the mean is subtracted before",
        ),
        (
            folded(shift=lambda k, b, beta, mean: beta + k * (b + mean)),
            "W is right; the mean is subtracted, not",
        ),
        (
            folded(shift=lambda k, b, beta, mean: k * (beta + b - mean)),
            "W is right; beta comes last and is not",
        ),
        (folded(shift=lambda k, b, beta, mean: b), "W is right; b is still the old one."),
        (folded(shift=lambda k, b, beta, mean: 0 * b), "W is right, b is not. Where does a unit with Wx = 0"),
        (lambda *given: fold(*given)[0], "Return two things, W and b; your function returns ndarray."),
        (lambda *given: (fold(*given)[0].T, given[1]), "W does not give the outputs of the two layers."),
        (lambda *given: (fold(*given)[0][:2], given[1]), "W has shape (2, 4); (4, 4) is wanted."),
        (lambda *given: (fold(*given)[0], [1, 2]), "b has shape (2,); (4,) is wanted."),
    ],
)
def test_fold_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(backprop.fold(function), words)


def test_the_layer_that_is_taken_gives_the_outputs_of_both():
    linear, norm = nn.Linear(5, 3), nn.BatchNorm1d(3).eval()
    with torch.no_grad():
        for part in (norm.weight, norm.bias, norm.running_mean):
            part.normal_()
        norm.running_var.uniform_(0.5, 2)
        x = torch.randn(7, 5)
        parts = (linear.weight, linear.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var)
        W, b = fold(*(part.numpy() for part in parts), norm.eps)
        assert torch.allclose(norm(linear(x)), x @ torch.tensor(W).T + torch.tensor(b), atol=1e-5)
