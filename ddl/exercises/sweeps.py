"""The way back through a graph of named values, and the usual ways to get it wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

Operation = tuple[str, list[tuple[str, float]]]
"""The name of a value, and for each argument that it was computed from, its name and the local derivative."""


def by_paths(operations: list[Operation], output: str) -> dict[str, float]:
    """Return the gradient of every value that leads to the output as its sum over paths."""
    uses: dict[str, list[tuple[str, float]]] = {}
    for result, arguments in operations:
        for name, derivative in arguments:
            uses.setdefault(name, []).append((result, derivative))

    def leads(name: str) -> bool:
        return name == output or any(leads(user) for user, _ in uses.get(name, []))

    def along(name: str) -> float:
        if name == output:
            return 1.0
        return sum(along(user) * derivative for user, derivative in uses.get(name, []) if leads(user))

    names = {name for result, arguments in operations for name in (result, *(n for n, _ in arguments))}
    return {name: along(name) for name in sorted(names) if leads(name)}


def random_programs(count: int) -> Iterator[tuple[list[Operation], str]]:
    """Yield sums and products of earlier values, with their local derivatives, and the last value."""
    rng = np.random.default_rng(4)
    for _ in range(count):
        values, operations = {"v0": 1.5, "v1": -0.5, "v2": 2.0}, []
        for k in range(3, 8):
            a, b = (f"v{i}" for i in rng.integers(0, k, size=2))
            if rng.integers(2):
                values[f"v{k}"] = values[a] + values[b]
                operations.append((f"v{k}", [(a, 1.0), (b, 1.0)]))
            else:
                values[f"v{k}"] = values[a] * values[b]
                operations.append((f"v{k}", [(a, values[b]), (b, values[a])]))
        yield operations, "v7"


def _swept(
    operations: list[Operation], start: dict[str, float], take: Callable[[float, float, float], float]
) -> dict[str, float]:
    """Go through operations; ``take`` makes a gradient of the old one, the derivative and the result's."""
    gradients = dict(start)
    for result, arguments in operations:
        for name, derivative in arguments:
            gradients[name] = take(gradients.get(name, 0.0), derivative, gradients.get(result, 0.0))
    return gradients


def _adding(old: float, derivative: float, of_result: float) -> float:
    return old + derivative * of_result


def all_zero(operations: list[Operation], output: str) -> dict[str, float]:
    """Return no gradient at all, as who forgets that the output's own is 1."""
    return {}


def overwriting(operations: list[Operation], output: str) -> dict[str, float]:
    """Go back, but let the last contribution to a gradient replace those before."""
    return _swept(operations[::-1], {output: 1.0}, lambda old, derivative, of_result: derivative * of_result)


def forwards(operations: list[Operation], output: str) -> dict[str, float]:
    """Go through the operations in the order in which they were made."""
    return _swept(operations, {output: 1.0}, _adding)


def without_upstream(operations: list[Operation], output: str) -> dict[str, float]:
    """Add up the local derivatives alone."""
    return _swept(operations[::-1], {output: 1.0}, lambda old, derivative, of_result: old + derivative)


def once_an_operation(operations: list[Operation], output: str) -> dict[str, float]:
    """Go back, but take each argument of an operation once."""
    return _swept([(name, [*dict(a).items()]) for name, a in operations[::-1]], {output: 1.0}, _adding)


def last_operation_as_output(operations: list[Operation], output: str) -> dict[str, float]:
    """Begin at the last operation, whatever the output is."""
    return _swept(operations[::-1], {operations[-1][0]: 1.0}, _adding)
