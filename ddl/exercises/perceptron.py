"""Checkers of the exercises in the perceptron chapter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, product
from math import comb

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ddl.exercises.verdict import Hint, checker


def _step(z: np.ndarray) -> np.ndarray:
    return (z >= 0).astype(int)


def _array(name: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(value, dtype=float)
    if array.shape != shape:
        raise Hint(f"{name} has shape {array.shape}; {shape} is wanted.")
    return array


@checker
def and_gate(w: npt.ArrayLike, b: float) -> str:
    """Check weights (2,) and bias of a neuron that computes AND."""
    w, b = _array("w", w, (2,)), float(_array("b", np.squeeze(b), ()))
    corners = np.array(list(product([0, 1], repeat=2)))
    said = _step(corners @ w + b).tolist()
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
    wrong = [tuple(c) for c, s in zip(corners.tolist(), said, strict=True) if s != (sum(c) == 2)]
    raise Hint(f"Wrong at {', '.join(map(str, wrong))}. Compare w·x + b with zero there.")


@checker
def mistake_bound(function: Callable[[np.ndarray, np.ndarray, np.ndarray], float]) -> str:
    """Check a function (x, s, u) -> (R/γ)² for a separating vector u of any length."""
    x, s = np.array([[1.0, 1.0], [2.0, 0.0], [-1.0, -2.0], [-1.0, 0.5]]), np.array([1, 1, -1, -1])
    u = np.array([2.0, 0.0])  # margin 1, radius √5
    given = float(function(x, s, u))
    if np.isclose(given, 5):
        for scale in (0.1, 7.0):
            if not np.isclose(float(function(x, s, scale * u)), 5):
                raise Hint("Another length of u changes your bound, though the line is the same.")
        return "Right: the longest point over the smallest distance, squared."
    if np.isclose(given, 5 / 4):
        raise Hint(
            "Your margin grows with the length of u. A distance from the line does not: divide by ‖u‖."
        )
    if np.isclose(given, np.sqrt(5)):
        raise Hint("That is R/γ. What happens to it at the end of the proof?")
    if np.isclose(given, 25):
        raise Hint("R is a length, not its square: look for one square too many.")
    raise Hint(f"For points with R = √5 and γ = 1 your function gives {given:.4g}; (R/γ)² is 5.")


@checker
def parity(hidden_w: npt.ArrayLike, hidden_b: npt.ArrayLike, v: npt.ArrayLike, c: float) -> str:
    """Check a network of threshold units, W (k, 3), b (k,), v (k,), c, for the parity of three bits."""
    hidden_w = np.asarray(hidden_w, dtype=float)
    if hidden_w.ndim != 2 or hidden_w.shape[1] != 3:
        raise Hint(f"W has shape {hidden_w.shape}; one row of three weights for each hidden unit is wanted.")
    units = len(hidden_w)
    hidden_b, v = _array("b", hidden_b, (units,)), _array("v", v, (units,))
    c = float(_array("c", np.squeeze(c), ()))
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
            weight, bias = function(layers)
            if tuple(weight.shape) != (sizes[-1], sizes[0]):
                raise Hint(
                    f"For sizes {sizes} your W has shape {tuple(weight.shape)}; it must map "
                    f"{sizes[0]} inputs to {sizes[-1]} outputs. In which order do the matrices stand?"
                )
            error = nn.Sequential(*layers)(x) - x @ weight.T - bias
            if error.abs().max() > 1e-4:
                if (error - error[0]).abs().max() < 1e-4:
                    raise Hint("W is right and b is not: a bias passes through every layer that follows it.")
                raise Hint(f"For sizes {sizes} your layer gives other outputs than the stack does.")
    return "Right, for stacks of one, two and three layers."


@checker
def silu_slope(function: Callable[[torch.Tensor], torch.Tensor]) -> str:
    """Check the derivative of z·σ(z)."""
    z = torch.linspace(-6, 6, 101, dtype=torch.float64, requires_grad=True)
    nn.functional.silu(z).sum().backward()
    s, plain = torch.sigmoid(z.detach()), z.detach()
    given = torch.as_tensor(function(plain))
    if given.shape != z.shape:
        raise Hint(f"For z of shape {tuple(z.shape)} you return shape {tuple(given.shape)}.")
    for wrong, hint in (
        (s, "One term of the product rule is missing: σ(z) changes with z too."),
        (s * (1 - s), "That is the slope of σ(z) alone."),
        (plain * s * (1 - s), "One term of the product rule is missing: the factor z has the slope 1."),
    ):
        if torch.allclose(given, wrong):
            raise Hint(hint)
    difference = (given - z.grad).abs().max().item()
    if difference > 1e-5:
        raise Hint(f"It differs from automatic differentiation by up to {difference:.2g}.")
    return "Right: it agrees with automatic differentiation."


@checker
def separable_labellings(function: Callable[[int, int], int]) -> str:
    """Check Cover's count of the labellings of n points that a hyperplane of d dimensions separates."""
    cases = [(n, d) for n in range(1, 12) for d in range(1, 5)]
    given = [function(n, d) for n, d in cases]
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
    raise Hint(f"For n = {n}, d = {d} you say {said}; it is {true}.")
