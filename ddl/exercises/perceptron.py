"""Checkers of the exercises in the perceptron chapter."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise, product
from math import comb

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ddl.exercises.answers import array, number, result_of, several
from ddl.exercises.verdict import Hint, checker


def _step(z: np.ndarray) -> np.ndarray:
    return (z >= 0).astype(int)


@checker
def and_gate(w: npt.ArrayLike, b: float) -> str:
    """Check weights (2,) and bias of a neuron that computes AND."""
    w, b = array("w", w, (2,)), number("b", b)
    corners = np.array(list(product([0, 1], repeat=2)))
    z = corners @ w + b
    said = _step(z).tolist()
    if said == [0, 0, 0, 1]:
        return "Right: only (1, 1) reaches the threshold."
    if said == [0, 1, 1, 1]:
        raise Hint(
            "This is OR: one input alone gets past the threshold. Which sum may reach it, and which not?"
        )
    if said == [1, 1, 1, 0]:
        raise Hint(
            "This is NAND, the opposite of AND: change the sign of everything, and mind the threshold."
        )
    if all(said):
        raise Hint("The neuron always says 1. The bias is minus the threshold: what is its sign?")
    wrong = [
        f"{tuple(c)}, where w·x + b is {at:.3g}"
        for c, at, s in zip(corners.tolist(), z, said, strict=True)
        if s != (sum(c) == 2)
    ]
    raise Hint(f"Wrong at {'; at '.join(wrong)}. It must reach zero at (1, 1), and nowhere else.")


@checker
def mistake_bound(function: Callable[[np.ndarray, np.ndarray, np.ndarray], float]) -> str:
    """Check a function (x, s, u) -> (R/γ)² for a separating vector u of any length."""
    # No two of the usual slips give the same bound here: R = 3, and the distances from the line are
    # 1 and 2.75 on the side +1, 1.5 and 2.5 on the side −1.
    x = np.array([[1.0, np.sqrt(8)], [2.75, 0.5], [-1.5, 0.5], [-2.5, -1.0]])
    s, u = np.array([1, 1, -1, -1]), np.array([2.0, 0.0])

    def bound(side: int, scale: float) -> float:
        return number("Your bound", result_of(function, x.copy(), side * s, side * scale * u))

    given = bound(1, 1.0)
    if np.isclose(given, 9):
        if not np.isclose([bound(1, 0.1), bound(1, 7.0)], 9).all():
            raise Hint("Another length of u changes your bound, though the line is the same.")
        if not np.isclose(bound(-1, 1.0), 9):
            raise Hint("With −s and −u your bound is another, though line and points are the same.")
        return "Right: the longest point over the smallest distance, squared."
    for slip, hint in (
        (9 / 4, "Your margin grows with the length of u. A distance from the line does not: divide by ‖u‖."),
        (36, "Divide by the length ‖u‖, not by its square."),
        (3, "That is R/γ. What happens to it at the end of the proof?"),
        (81, "R is a length, not its square: look for one square too many."),
        (1 / 9, "That is (γ/R)²: upside down."),
        ((3 / 2.5) ** 2, "Points of the side −1 have a negative u·x. Where does s come in?"),
        ((3 / 2.75) ** 2, "γ is the smallest distance from the line, not the largest."),
    ):
        if np.isclose(given, slip):
            raise Hint(hint)
    raise Hint(f"For points with R = 3 and γ = 1 your function gives {given:.4g}; (R/γ)² is 9.")


@checker
def feature(function: Callable[[np.ndarray], npt.ArrayLike]) -> str:
    """Check a function of points (n, 2) that is larger where exactly one input is 1."""
    corners = np.array(list(product([0.0, 1.0], repeat=2)))
    values = array("Your feature", result_of(function, corners.copy()), (4,))
    equal, different = values[[0, 3]], values[[1, 2]]
    if different.min() > equal.max():
        return "Right: one threshold on this number computes XOR."
    if different.max() < equal.min():
        raise Hint("The other way round: it is larger where the inputs are equal. Change its sign.")
    if np.isclose(values[0] + values[3], values[1] + values[2]):
        raise Hint("It is a sum of something of x1 and something of x2. XOR needs both inputs in one term.")
    raise Hint(f"At (0,0), (0,1), (1,0), (1,1) it is {', '.join(f'{value:.3g}' for value in values)}.")


@checker
def logistic_step(
    function: Callable[[np.ndarray, float, np.ndarray, np.ndarray, float], tuple[npt.ArrayLike, float]],
) -> str:
    """Check one step of gradient descent on the mean binary cross-entropy: (w, b, x, y, rate) -> w, b."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 2, size=40)
    w, b, rate = np.array([0.5, -1.0, 2.0]), 0.3, 0.1
    given = several(("the new w", "b"), result_of(function, w.copy(), b, x.copy(), y.copy(), rate))
    moved = np.append(array("w", given[0], (3,)) - w, number("b", given[1]) - b)

    def move(y_hat: np.ndarray) -> np.ndarray:
        return -rate * np.append(x.T @ (y_hat - y), (y_hat - y).sum()) / len(x)

    z = x @ w + b
    y_hat = 1 / (1 + np.exp(-z))
    right, squared = move(y_hat), move(y + (y_hat - y) * y_hat * (1 - y_hat))
    for slip, hint in (
        (-right, "Uphill: the loss grows. The step goes against the gradient."),
        (right * len(x), "That is the gradient of the sum over the points; the loss is their mean."),
        (right / rate, "The learning rate is missing."),
        (move(z), "The error is ŷ − y with ŷ = σ(z): your ŷ is z itself."),
        (move(z >= 0), "That is Rosenblatt's threshold. Here ŷ is a probability: σ(z)."),
        (
            np.append(right[:3], 0),
            "The weights are right, and the bias does not move. Its input is always 1.",
        ),
        (
            np.append(right[:3], right[3] * len(x)),
            "The weights are right; the bias moves by the sum, not the mean.",
        ),
        (
            np.append(right[:3] * len(x), right[3]),
            "The bias is right; the weights move by the sum, not the mean.",
        ),
        (squared, "That is a step on the squared error. In the cross-entropy's, σ′(z) has cancelled."),
        (2 * squared, "That is a step on the squared error. In the cross-entropy's, σ′(z) has cancelled."),
    ):
        if np.allclose(moved, slip, atol=1e-9):
            raise Hint(hint)
    if not np.allclose(moved, right, atol=1e-6):
        raise Hint(
            f"w and b move by {np.round(moved, 4).tolist()}; they should by {np.round(right, 4).tolist()}."
        )
    return "Right: it is the step that automatic differentiation would take."


@checker
def parity(hidden_w: npt.ArrayLike, hidden_b: npt.ArrayLike, v: npt.ArrayLike, c: float) -> str:
    """Check a network of threshold units, W (k, 3), b (k,), v (k,), c, for the parity of three bits."""
    hidden_w = array("W", hidden_w)
    if hidden_w.ndim != 2 or hidden_w.shape[1] != 3:
        raise Hint(f"W has shape {hidden_w.shape}; one row of three weights for each hidden unit is wanted.")
    units = len(hidden_w)
    hidden_b, v, c = array("b", hidden_b, (units,)), array("v", v, (units,)), number("c", c)
    corners = np.array(list(product([0, 1], repeat=3)))
    said = _step(_step(corners @ hidden_w.T + hidden_b) @ v + c)
    wanted = corners.sum(1) % 2
    if (said == wanted).all():
        return f"Right, with {units} hidden units."
    wrong = [tuple(row) for row in corners[said != wanted].tolist()]
    if wrong == [(1, 1, 1)]:
        raise Hint("Right everywhere but at (1, 1, 1): your network says 'exactly one'. Three is odd too.")
    if (said == 1 - wanted).all():
        raise Hint("Exactly the opposite of parity. Look at the output unit alone.")
    raise Hint(
        f"Wrong at {', '.join(map(str, wrong))}. What do the hidden units say there? Count the ones first."
    )


@checker
def collapse(function: Callable[[list[nn.Linear]], tuple[torch.Tensor, torch.Tensor]]) -> str:
    """Check a function from linear layers to the weight and bias of the one layer they amount to."""
    generator = torch.Generator().manual_seed(1)
    for sizes in ((3, 5, 2), (4, 6, 5, 3), (2, 3)):
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        with torch.no_grad():
            for part in (p for layer in layers for p in layer.parameters()):
                part.copy_(torch.randn(part.shape, generator=generator))
            x = torch.randn(50, sizes[0], generator=generator)
            try:
                given = result_of(function, copy.deepcopy(layers))
            except NotImplementedError:
                raise
            except (RuntimeError, ValueError) as error:  # what torch and NumPy raise if shapes do not fit
                raise Hint(
                    f"Your answer raised {type(error).__name__}: {error}. If shapes do not fit: in W x the "
                    "matrix of a later layer stands further left."
                ) from error
            wanted = nn.Sequential(*layers)(x).double().numpy()
        given = several(("W", "b"), given)
        weight = array("W", given[0])
        if weight.shape != (sizes[-1], sizes[0]):
            raise Hint(
                f"For sizes {sizes} your W has shape {weight.shape}; it must map {sizes[0]} inputs to "
                f"{sizes[-1]} outputs. In which order do the matrices stand?"
            )
        error = wanted - x.double().numpy() @ weight.T - array("b", given[1], (sizes[-1],))
        if np.abs(error).max() > 1e-3:
            if np.abs(error - error[0]).max() < 1e-3:
                raise Hint("W is right and b is not: a bias passes through every layer that follows it.")
            raise Hint(f"For sizes {sizes} your layer gives other outputs than the stack does.")
    return "Right, for stacks of one, two and three layers."


@checker
def silu_slope(function: Callable[[torch.Tensor], torch.Tensor]) -> str:
    """Check the derivative of z·σ(z)."""
    z = torch.linspace(-6, 6, 101, dtype=torch.float64, requires_grad=True)
    nn.functional.silu(z).sum().backward()
    plain, slope = z.detach().numpy(), z.grad.numpy()
    given = array("Your slope", result_of(function, z.detach().clone()))
    if given.shape != plain.shape:
        raise Hint(f"For z of shape {plain.shape} you return shape {given.shape}.")
    s = 1 / (1 + np.exp(-plain))
    for wrong, hint in (
        (s, "One term of the product rule is missing: σ(z) changes with z too."),
        (s * (1 - s), "That is the slope of σ(z) alone."),
        (plain * s * (1 - s), "One term of the product rule is missing: the factor z has the slope 1."),
        (plain * s, "That is SiLU itself, not its slope."),
    ):
        if np.allclose(given, wrong, atol=1e-6):
            raise Hint(hint)
    difference = np.abs(given - slope).max()
    if difference > 1e-5:
        raise Hint(f"It differs from automatic differentiation by up to {difference:.2g}.")
    return "Right: it agrees with automatic differentiation."


@checker
def separable_labellings(function: Callable[[int, int], int]) -> str:
    """Check Cover's count of the labellings of n points that a hyperplane of d dimensions separates."""
    cases = [(n, d) for n in range(1, 12) for d in range(1, 5)]
    given = [number("Your count", result_of(function, n, d)) for n, d in cases]
    right = [2 * sum(comb(n - 1, k) for k in range(d + 1)) for n, d in cases]
    if given == right:
        return "Right: 14 of 16 for four points of the plane, and exactly half at n = 2(d + 1)."
    if given == [2 * sum(comb(n - 1, k) for k in range(d)) for n, d in cases]:
        raise Hint("That counts hyperplanes through the origin. With a bias there is one dimension more.")
    if given == [count // 2 for count in right]:
        raise Hint(
            "Half of the right number: each hyperplane gives two labellings; either side can be class 1."
        )
    if given == [2**n for n, _ in cases]:
        raise Hint(
            "That is the number of all labellings. Four points of the plane have 16; a line can separate 14."
        )
    (n, d), said, true = next(case for case in zip(cases, given, right, strict=True) if case[1] != case[2])
    raise Hint(f"For n = {n}, d = {d} you say {said:g}; it is {true}.")
