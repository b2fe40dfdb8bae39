"""Checkers of the exercises in the backpropagation chapter."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ddl.exercises import sweeps
from ddl.exercises.answers import array, number, result_of, several
from ddl.exercises.gradients import check_gradient, check_shape, nudged
from ddl.exercises.verdict import Hint, checker


@checker
def first_slope(slope: float) -> str:
    """Check dL/dw1 for h = w1 x, o = w2 h, L = (o - y)² at x = 5, w1 = 0.8, w2 = -0.5, y = 1."""
    given = number("slope", slope)
    for slip, hint in (
        (-15, "The size is right, the sign is not: dL/do is 2(o − y), and o is −2."),
        (7.5, "The square has the slope 2(o − y): look for the 2."),
        (3, "That is dL/dh. One more factor leads from h to w₁."),
        (-30, "The way from o to h is missing: ∂o/∂h is w₂."),
        (-24, "That is dL/dw₂. To reach w₁, go back through h: ∂o/∂h is w₂, and ∂h/∂w₁ is x."),
        (12, "In the last factor, ∂h/∂w₁ is x, not h."),
        (-6, "That is dL/do, the first of three factors."),
        (9, "That is the loss itself."),
    ):
        if math.isclose(given, slip, rel_tol=1e-6):
            raise Hint(hint)
    if not math.isclose(given, 15, rel_tol=1e-3):
        raise Hint(
            f"It is not {given:.4g}. Compute h, o and L first, then a local derivative for each step back."
        )
    return "Right: −6 · −0.5 · 5."


GRAPH = {"L": "ce", "e": "db", "d": "y", "c": "ab", "b": "ax", "a": "xy"}
"""The values of the exercise on orders, each with those that it was computed from."""


@checker
def order_back(order: Sequence[str] | str) -> str:
    """Check an order in which the graph's values can hand their gradients on; x and y may be left out."""
    if not isinstance(order, str | list | tuple) or not all(isinstance(name, str) for name in order):
        raise Hint(f'order is {order!r}; a list of names is wanted, as in ["L", "e", …].')
    names = re.findall(r"\w+", order) if isinstance(order, str) else [name.strip() for name in order]
    known = {*GRAPH, "x", "y"}
    for name in names:
        if name not in known:
            raise Hint(f"There is no value {name}.")
        if names.count(name) > 1:
            raise Hint(f"{name} stands there {names.count(name)} times; a value hands on once.")
    missing = [name for name in GRAPH if name not in names]
    if missing:
        raise Hint(f"{', '.join(missing)} never hands on.")
    if names[0] in {"x", "y", "a", "d"} and names[-1] == "L":
        raise Hint("That is an order for the way forward. The gradient starts at L.")
    for child, arguments in GRAPH.items():
        for parent in arguments:
            if parent in names and names.index(parent) < names.index(child):
                raise Hint(
                    f"{child} uses {parent}: when {parent} hands on, what {child} gives it is still missing."
                )
    return "Right: each value comes after everything that uses it."


@checker
def sigmoid_backward(function: Callable[[np.ndarray, np.ndarray], npt.ArrayLike]) -> str:
    """Check the way back through a sigmoid: (G, H) -> gradient of Z, for H = σ(Z)."""
    rng = np.random.default_rng(1)
    Z, G = rng.normal(scale=2, size=(4, 3)), rng.normal(size=(4, 3))
    H = _sigmoid(Z)
    given = array("Your gradient", result_of(function, G.copy(), H.copy()))
    right = G * H * (1 - H)
    for slip, hint in (
        (H * (1 - H), "That is the local derivative. What arrives from the later layers is G: multiply."),
        (G * _sigmoid(H) * (1 - _sigmoid(H)), "You applied σ once more: H is already σ(Z)."),
        (G * (1 - H**2), "1 − H² is the slope of tanh. For the sigmoid the two factors are H and 1 − H."),
        (G * H, "The factor 1 − H is missing: where the unit is fully on, nothing gets through either."),
        (G * (1 - H), "The factor H is missing: where the unit is off, nothing gets through either."),
        (G * H * (H - 1), "The sign is wrong: σ rises everywhere."),
        (right.sum(0), "Do not sum: each entry of Z is used once, for the entry of H in its place."),
        (G, "That is G itself, as if the layer were not there."),
    ):
        if given.shape == slip.shape and np.allclose(given, slip, atol=1e-6):
            raise Hint(hint)
    check_shape("Your gradient", given, Z, "Z")
    if not np.allclose(given, right, atol=1e-5):
        raise Hint(f"It differs from nudging by up to {np.abs(given - right).max():.2g}.")
    return "Right. It needs H alone: Z itself need not be kept."


@checker
def sweep(function: Callable[[list[sweeps.Operation], str], Mapping[str, float]]) -> str:
    """Check the way back through any graph: (operations, output) -> gradient of each value by name."""
    example = [
        ("x3", [("x1", 1.0)]),
        ("x4", [("x2", 1.0), ("x3", 4.0)]),
        ("x5", [("x1", 1.0), ("x4", 1.0)]),
        ("x6", [("x5", 0.25)]),
        ("x7", [("x4", 2.0), ("x6", 4.0)]),
    ]
    square = [("a", [("x", 3.0), ("x", 3.0)]), ("y", [("a", 1.0), ("x", 1.0)])]
    unused = [("a", [("x", 2.0)]), ("side", [("a", 5.0), ("x", 7.0)]), ("y", [("a", 3.0)])]
    cases = [(example, "x7"), (square, "y"), (unused, "y"), (example, "x5"), *sweeps.random_programs(20)]
    answers = [_gradients_by(function, operations, output) for operations, output in cases]
    rights = [sweeps.by_paths(operations, output) for operations, output in cases]
    for wrong, hint in (
        (sweeps.all_zero, "All gradients are 0. Where does it begin? The gradient of the output is 1."),
        (sweeps.overwriting, "A value that is used twice keeps only one of its contributions. They add: +=."),
        (
            sweeps.forwards,
            "You go through the operations from the first to the last. The way back begins at the end.",
        ),
        (
            sweeps.without_upstream,
            "You add the local derivatives. Each must be multiplied by the gradient of its result.",
        ),
        (sweeps.once_an_operation, "In x · x the argument x comes twice. A dictionary keeps one of the two."),
        (
            sweeps.last_operation_as_output,
            "The operations may end in one that is not the output: its gradient is 0.",
        ),
    ):
        if all(_same(answer, wrong(*case)) for answer, case in zip(answers, cases, strict=True)):
            raise Hint(hint)
    for (operations, output), answer, right in zip(cases, answers, rights, strict=True):
        missing = next((name for name in right if name not in answer), None)
        if missing:
            raise Hint(f"The gradient of {missing} is missing.")
        for name, true in (right | {name: 0.0 for name in answer if name not in right}).items():
            if not math.isclose(answer[name], true, rel_tol=1e-5, abs_tol=1e-5):
                graph = "; ".join(f"{name} from {', '.join(n for n, _ in args)}" for name, args in operations)
                raise Hint(
                    f"For {graph}: the slope of {output} along {name} is {true:.6g}, not {answer[name]:.6g}."
                )
    return "Right, for 24 graphs."


@checker
def centre_and_weigh_backward(
    function: Callable[..., tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]],
) -> str:
    """Check the way back through Y = s[:, None] * (X - c): (G, X, s, c) -> dX, ds, dc."""
    rng = np.random.default_rng(2)
    X, G, s, c = (rng.normal(size=shape) for shape in ((5, 3), (5, 3), 5, 3))
    given = several(("dX", "ds", "dc"), result_of(function, G.copy(), X.copy(), s.copy(), c.copy()))
    dX, ds, dc = (array(name, part) for name, part in zip(("dX", "ds", "dc"), given, strict=True))

    def loss(X: np.ndarray, s: np.ndarray, c: np.ndarray) -> float:
        return (G * (s[:, None] * (X - c))).sum()

    nudged_X, nudged_s, nudged_c = (nudged(loss, (X, s, c), place) for place in range(3))
    upstream = s[:, None] * G
    check_gradient("dX", dX, nudged_X, "X", (
        (G, "dX lacks a factor: an entry of X reaches Y multiplied by the s of its row."),
        (np.broadcast_to(s[:, None], X.shape), "dX is the local derivative s. Multiply by what arrives, G."),
        (s, "dX is the local derivative s. Multiply by what arrives, G."),
        (G * (X - c), "dX has the wrong factor: the local derivative with respect to X is s."),
        (upstream.sum(0), "dX needs no sum: each entry of X is used once."),
        (upstream.sum(1), "dX needs no sum: each entry of X is used once."),
    ))  # fmt: skip
    parts = G * (X - c)
    check_gradient("ds", ds, nudged_s, "s", (
        (parts, "ds lacks a sum: s[i] is used in every column of row i, and its gradients add up."),
        (parts.sum(0), "ds sums over the wrong axis: s[i] is used along row i."),
        (parts.sum(), "ds sums over everything: each row has an s of its own."),
        (parts.mean(1), "ds is a mean. Gradients add up: take the sum."),
        (G.sum(1), "ds lacks a factor: the local derivative with respect to s is X − c."),
        ((G * X).sum(1), "ds has the factor X; what s multiplies is X − c."),
        (G @ (X - c).T, "ds holds the products of all rows with all rows. Only each row with itself counts."),
        ((X - c).sum(1), "ds lacks G, the gradient that arrives."),
    ))  # fmt: skip
    check_gradient("dc", dc, nudged_c, "c", (
        (-upstream, "dc lacks a sum: c[j] is used in every row, and its gradients add up."),
        (upstream, "dc lacks a sum over the rows that use c[j]; and c enters with a minus sign."),
        (-upstream.sum(1), "dc sums over the wrong axis: c[j] is used in column j."),
        (-upstream.sum(), "dc sums over everything: each column has a c of its own."),
        (-upstream.mean(0), "dc is a mean. Gradients add up: take the sum."),
        (-G.sum(0), "dc lacks a factor: c reaches Y multiplied by −s."),
        (G.sum(0), "dc lacks a factor and its sign: c reaches Y multiplied by −s."),
        (-G, "dc lacks a factor, s, and a sum over the rows that use c[j]."),
        (-G.sum(0) * s.sum(), "dc sums G and s apart. They belong together row by row: multiply, then sum."),
        (np.full(3, -s.sum()), "dc lacks G, the gradient that arrives."),
    ))  # fmt: skip
    return "Right: all three agree with nudging, sums, signs and factors."


@checker
def multiplications(function: Callable[[list[int]], tuple[int, int]]) -> str:
    """Check the cost of a Jacobian: widths of linear layers -> multiplications forward, backward."""
    cases = [[1000, 100, 1], [1, 100, 1000], [64, 32, 10], [5, 5], [2, 7, 4, 3], [3, 9, 9, 9, 3]]
    given = [array("Your counts", result_of(function, list(widths)), (2,)) for widths in cases]
    one_sweep = [sum(a * b for a, b in pairwise(widths)) for widths in cases]

    def says(counts: Callable[[list[int], int], tuple[float, float]]) -> bool:
        return np.array_equal(given, [counts(*case) for case in zip(cases, one_sweep, strict=True)])

    for counts, hint in (
        (lambda w, s: (w[-1] * s, w[0] * s), "The other way round: forward takes a sweep for each input."),
        (lambda w, s: (s, s), "That is one sweep. How many does the whole Jacobian take?"),
        (lambda w, s: (w[0], w[-1]), "That is the number of sweeps. What does one cost?"),
        (
            lambda w, s: (w[0] * sum(w[1:]), w[-1] * sum(w[:-1])),
            "A vector times a matrix of a rows and b columns takes a · b multiplications, not a or b.",
        ),
        (
            lambda w, s: (w[0] * (s - w[0] * w[1]), w[-1] * (s - w[-1] * w[-2])),
            "A matrix is missing: each sweep begins with a vector, times the first of its matrices.",
        ),
        (lambda w, s: (w[0] * s, w[0] * s), "Backward takes a sweep for each output, not for each input."),
    ):
        if says(counts):
            raise Hint(hint)
    for widths, said, one in zip(cases, given, one_sweep, strict=True):
        right = widths[0] * one, widths[-1] * one
        if not np.array_equal(said, right):
            raise Hint(
                f"For widths {widths} you say {said[0]:g} and {said[1]:g}; it is {right[0]} and {right[1]}."
            )
    return "Right: at 1000, 100, 1 backward is a thousand times cheaper, at 1, 100, 1000 forward is."


@checker
def pieces_of_pieces(pieces: int, smaller: int) -> str:
    """Check into how many pieces to cut 1000 layers, and each of these again, to hold the fewest signals."""
    pieces, smaller = number("pieces", pieces), number("smaller", smaller)
    for name, count in (("pieces", pieces), ("smaller", smaller)):
        if count != int(count) or not 1 <= count <= 1000:
            raise Hint(f"{name} is {count:g}; a whole number from 1 to 1000 is wanted.")
    held = pieces + smaller + math.ceil(1000 / (pieces * smaller))
    says = f"you hold {pieces:g} + {smaller:g} + {math.ceil(1000 / (pieces * smaller))} = {held:g} signals"
    if held == 30:
        return f"Right: {says}. With one level of cuts it is 64 at least."
    if min(pieces, smaller) == 1:
        raise Hint(f"Here {says}: that is one level of cuts. The second one helps too.")
    if pieces == smaller or pieces * smaller >= 1000:
        raise Hint(f"Here {says}. There are three terms to balance, not two.")
    raise Hint(
        f"Here {says}; fewer are possible. Make one term larger and the others smaller, as long as it pays."
    )


@checker
def spread(function: Callable[[int, float], float]) -> str:
    """Check the standard deviation of weights before a leaky ReLU: (inputs, slope) -> number."""
    cases = [(64, 0.0), (100, 0.1), (9, 0.5), (30, 1.0)]
    given = [number("Your spread", result_of(function, inputs, slope)) for inputs, slope in cases]
    for slip, hint in (
        (
            lambda n, a: 2 / ((1 + a**2) * n),
            "That is the variance of the weights. The standard deviation is its root.",
        ),
        (
            lambda n, a: (2 / n) ** 0.5,
            "That is He's, for ReLU: right for slope 0. The other side lets something through too.",
        ),
        (
            lambda n, a: (1 / n) ** 0.5,
            "That is right without an activation. On average, how much does it let through?",
        ),
        (lambda n, a: (1 / ((1 + a**2) * n)) ** 0.5, "Look for a 2: each side occurs half of the time."),
        (
            lambda n, a: (2 / ((1 + a) * n)) ** 0.5,
            "The mean *square* is kept: on the other side it is multiplied by the slope squared.",
        ),
        (
            lambda n, a: (2 / ((1 + a) ** 2 * n)) ** 0.5,
            "Square the two sides one by one, then add: 1 and slope².",
        ),
        (
            lambda n, a: (2 / ((1 - a**2) * n)) ** 0.5 if a < 1 else math.inf,
            "Both sides let something through: add.",
        ),
        (
            lambda n, a: ((1 + a**2) * n / 2) ** 0.5,
            "Upside down: the more a unit sums up and lets through, the smaller its weights.",
        ),
        (
            lambda n, a: ((1 + a**2) / (2 * n)) ** 0.5,
            "The more the activation lets through, the smaller the weights.",
        ),
    ):
        if np.allclose(given, [slip(*case) for case in cases], rtol=1e-6):
            raise Hint(hint)
    for (inputs, slope), said in zip(cases, given, strict=True):
        right = (2 / ((1 + slope**2) * inputs)) ** 0.5
        if not math.isclose(said, right, rel_tol=1e-4):
            raise Hint(f"For {inputs} inputs and slope {slope:g} you say {said:.4g}; it is {right:.4g}.")
    return "Right: He's for slope 0, and 1/√n for slope 1, where nothing is bent."


@checker
def fold(function: Callable[..., tuple[npt.ArrayLike, npt.ArrayLike]]) -> str:
    """Check the one linear layer that a linear layer and batch normalisation amount to in use.

    The function is (W, b, gamma, beta, mean, var, eps) -> W, b.
    """
    rng = np.random.default_rng(3)
    for outputs, inputs in ((4, 4), (3, 5)):
        W = rng.normal(size=(outputs, inputs))
        b, gamma, beta, mean = rng.normal(size=(4, outputs))
        var, eps = rng.uniform(0.2, 3, size=outputs), 0.5
        given = result_of(function, *(part.copy() for part in (W, b, gamma, beta, mean, var)), eps)
        given = several(("W", "b"), given)
        folded_W, folded_b = array("W", given[0], (outputs, inputs)), array("b", given[1], (outputs,))
        scale = gamma / np.sqrt(var + eps)
        right = scale[:, None] * W, beta + scale * (b - mean)
        for slip, hint in (
            (gamma / np.sqrt(var), "eps is missing: it stands under the root, beside the variance."),
            (gamma / (np.sqrt(var) + eps), "eps is added to the variance, under the root."),
            (gamma / (var + eps), "Divide by the standard deviation, the root of var + eps."),
            (gamma, "Where is the division by the standard deviation?"),
            (1 / np.sqrt(var + eps), "gamma is missing."),
        ):
            if np.allclose(folded_W, slip[:, None] * W):
                raise Hint(hint)
        if outputs == inputs and np.allclose(folded_W, W * scale):
            raise Hint("You scale the columns of W. A unit is a row: its weights are scaled together.")
        if np.allclose(folded_W, W):
            raise Hint("W is still the old one: batch normalisation stretches it too.")
        if not np.allclose(folded_W, right[0], atol=1e-5):
            raise Hint(
                "W does not give the outputs of the two layers. By what is each unit's sum multiplied?"
            )
        for slip, hint in (
            (
                beta - scale * mean,
                "W is right; the old b has gone. It passes through batch normalisation as well.",
            ),
            (scale * (b - mean), "W is right; beta is missing in b."),
            (beta + b - mean, "W is right; b − mean is stretched too, like everything but beta."),
            (beta + b - scale * mean, "W is right; the old b is stretched too."),
            (beta + scale * b, "W is right; the mean is missing in b."),
            (beta + scale * b - mean, "W is right; the mean is subtracted before everything is stretched."),
            (beta + scale * (b + mean), "W is right; the mean is subtracted, not added."),
            (scale * (beta + b - mean), "W is right; beta comes last and is not stretched."),
            (b, "W is right; b is still the old one."),
        ):
            if np.allclose(folded_b, slip):
                raise Hint(hint)
        if not np.allclose(folded_b, right[1], atol=1e-5):
            raise Hint("W is right, b is not. Where does a unit with Wx = 0 end up?")
    return "Right: in use, batch normalisation costs nothing at all."


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def _gradients_by(function: Callable, operations: list[sweeps.Operation], output: str) -> dict[str, float]:
    """Return what the reader's function finds, as numbers."""
    given = result_of(function, [(name, list(arguments)) for name, arguments in operations], output)
    if not isinstance(given, Mapping):
        raise Hint(
            f"Return a dictionary from names to gradients; your function returns {type(given).__name__}."
        )
    return {name: number(f"The gradient of {name}", value) for name, value in given.items()}


def _same(one: dict[str, float], other: dict[str, float]) -> bool:
    """Return whether two answers agree; what is missing counts as 0."""
    return all(
        math.isclose(one.get(k, 0.0), other.get(k, 0.0), abs_tol=1e-9) for k in one.keys() | other.keys()
    )
