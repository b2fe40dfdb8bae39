"""Places for the cards of a layered graph, and routes for its edges."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import fast_sugiyama
import numpy as np

TRIES = 20
"""The layout depends on the order of nodes and edges; of so many orders, the best is taken."""

BETWEEN = 0.13
"""Least distance of two cards, or of a card and an edge that passes it, in inches."""

PASSING = 0.1
"""Height that an edge takes where it passes through a column of cards, in inches."""

APART = 0.2
"""Distance of edges that arrive at one card, in inches."""

LEAD = 0.06
"""Length of the straight parts at the ends of an edge, for its arrow, in inches."""

Point = tuple[float, float]


class Layout(NamedTuple):
    """Where cards stand and edges run; all lengths in inches."""

    centres: dict[int, Point]
    """The centre of each card."""
    routes: list[list[Point]]
    """For each edge, from the right side of its source to the left side of its target: points between
    which it is in turn straight, inside a column, and curved, between two columns."""
    width: float
    height: float

    def turned(self) -> Layout:
        """Return the same layout with its columns as rows, from top to bottom."""

        def turn(point: Point) -> Point:
            return point[1], self.width - point[0]

        centres = {v: turn(centre) for v, centre in self.centres.items()}
        return Layout(centres, [list(map(turn, route)) for route in self.routes], self.height, self.width)


def layered(sizes: Mapping[int, Point], edges: Sequence[tuple[int, int]], gaps: Sequence[float]) -> Layout:
    """Lay a directed acyclic graph out in columns from left to right.

    The layers, the order within them and the places of long edges come from Sugiyama's method as
    fast-sugiyama implements it. Columns are made as wide and rows as high as their cards need.

    Parameters
    ----------
    sizes
        Width and height of each card in inches.
    edges
        Pairs of source and target; a pair may come more than once.
    gaps
        For each edge, the least distance in inches between the columns that its last part joins.

    Returns
    -------
    Layout
        Places and routes, in which edges cross as rarely as was found.
    """
    if not edges:
        ((node, (width, height)),) = sizes.items()
        return Layout({node: (width / 2, height / 2)}, [], width, height)
    sketch = _best(tuple(sorted(set(edges))))
    rows = _fitted(sketch, edges, sizes)
    column_of = {v: i for i, column in enumerate(sketch.columns) for v in column}
    spans = _spans(sketch.columns, sizes, edges, gaps)
    ends = _ends(edges, sketch, rows, sizes)
    routes = []
    for (source, target), (arrival, apart) in zip(edges, ends, strict=True):
        left, right = spans[column_of[source]]
        y = rows[source] + apart
        route = [((left + right + sizes[source][0]) / 2, y), (right + LEAD, y)]
        for place in sketch.chains[source, target]:
            route += [(x, rows[place] + apart) for x in spans[column_of[place]]]
        left, right = spans[column_of[target]]
        y = rows[target] + arrival
        routes.append([*route, (left - LEAD, y), ((left + right - sizes[target][0]) / 2, y)])
    centres = {v: (sum(spans[column_of[v]]) / 2, rows[v]) for v in sizes}
    return Layout(centres, routes, spans[-1][1], max(rows[v] + sizes[v][1] / 2 for v in sizes))


class _Sketch(NamedTuple):
    """What fast-sugiyama finds, whatever the sizes of the cards."""

    columns: list[list[int]]
    """From left to right, and each from bottom to top; numbers that are no card are places of long edges."""
    rows: dict[int, float]
    chains: dict[tuple[int, int], list[int]]
    """The places that each edge passes."""


@functools.lru_cache  # the frames of an explorable draw one graph many times
def _best(edges: tuple[tuple[int, int], ...]) -> _Sketch:
    """Return the sketch in which edges cross least; among equals, the one with the flattest edges."""
    shuffle = random.Random(0).shuffle  # always the same orders
    nodes = sorted({v for edge in edges for v in edge})
    numbers, order = list(range(len(nodes))), list(edges)
    sketches = []
    for _ in range(TRIES):
        sketches.append(_sketch(order, dict(zip(nodes, numbers, strict=True))))
        shuffle(numbers)
        shuffle(order)
    return min(sketches, key=_faults)


def _sketch(edges: list[tuple[int, int]], alias: dict[int, int]) -> _Sketch:
    ((places, _, _, parts),) = fast_sugiyama.from_edges(
        [(alias[a], alias[b]) for a, b in edges],
        vertex_spacing=100, dummy_vertices=True, dummy_size=30, ranking_type="minimize",
        crossing_minimization="barycenter", transpose=True,
    )  # fmt: skip
    real = {number: v for v, number in alias.items()}
    # Other numbers are those of dummies; they shall not be mistaken for cards.
    name = {number: real.get(number, -1 - number) for number, _ in places}
    rows = {name[number]: x for number, (x, _) in places}
    layers = sorted({y for _, (_, y) in places}, reverse=True)
    columns = [sorted((name[n] for n, (_, y) in places if y == layer), key=rows.get) for layer in layers]
    following: dict[int, list[int]] = {}
    for a, b in parts:
        following.setdefault(name[a], []).append(name[b])
    chains = {}
    for source in alias:
        for v in following.get(source, []):
            chain = []
            while v not in alias:
                chain.append(v)
                (v,) = following[v]
            chains[source, v] = chain
    return _Sketch(columns, rows, chains)


def _spans(
    columns: list[list[int]],
    sizes: Mapping[int, Point],
    edges: Sequence[tuple[int, int]],
    gaps: Sequence[float],
) -> list[Point]:
    """Return where each column begins and ends."""
    gap_before = {}
    for (_, target), gap in zip(edges, gaps, strict=True):
        gap_before[target] = max(gap, gap_before.get(target, 0.0))
    spans = []
    for column in columns:
        left = spans[-1][1] + max(gap_before.get(v, 0.0) for v in column) if spans else 0.0
        spans.append((left, left + max(sizes[v][0] for v in column if v in sizes)))
    return spans


def _ends(
    edges: Sequence[tuple[int, int]], sketch: _Sketch, rows: dict[int, float], sizes: Mapping[int, Point]
) -> list[Point]:
    """Return how far from the middle of its target each edge arrives, and how far it keeps from its twins.

    An edge that can be straight arrives in the middle, the others above and below it.
    """
    came_from = [rows[[source, *sketch.chains[source, target]][-1]] for source, target in edges]
    ends = {}
    for target in {target for _, target in edges}:
        arriving = [k for k, edge in enumerate(edges) if edge[1] == target]
        arriving.sort(key=lambda k: (came_from[k], -k))
        straight = [i for i, k in enumerate(arriving) if abs(came_from[k] - rows[target]) < 0.01]
        ranks = straight or range(len(arriving))
        middle = sum(ranks) / len(ranks)
        furthest = max(middle, len(arriving) - 1 - middle)
        step = min(APART, (sizes[target][1] / 2 - 0.05) / furthest) if furthest else 0.0
        for rank, k in enumerate(arriving):
            twins = [other for other in arriving if edges[other] == edges[k]][::-1]
            apart = APART * ((len(twins) - 1) / 2 - twins.index(k))
            ends[k] = (step * (rank - middle), apart)
    return [ends[k] for k in range(len(edges))]


def _faults(sketch: _Sketch) -> tuple[int, float]:
    pieces = [
        (a, b)
        for (source, target), chain in sketch.chains.items()
        for a, b in pairwise([source, *chain, target])
    ]
    column = {v: i for i, members in enumerate(sketch.columns) for v in members}
    rows = sketch.rows
    crossings = sum(
        column[a] == column[c] and (rows[a] - rows[c]) * (rows[b] - rows[d]) < 0
        for (a, b), (c, d) in combinations(pieces, 2)
    )
    return crossings, sum(abs(rows[a] - rows[b]) for a, b in pieces)


def _fitted(
    sketch: _Sketch, edges: Sequence[tuple[int, int]], sizes: Mapping[int, Point]
) -> dict[int, float]:
    """Return the heights of cards and passing edges at which edges are as straight as they can be.

    This is the linear program of Gansner et al. (1993), section 4.2, for cards of different heights in the
    order that the sketch has: the sum of the edges' rises is least, and long edges count most.
    """
    from scipy.optimize import linprog  # slow to import, and few chapters draw graphs

    places = [v for column in sketch.columns for v in column]
    index = {v: i for i, v in enumerate(places)}
    heights = {v: sizes[v][1] if v in sizes else PASSING for v in places}
    for (source, target), chain in sketch.chains.items():
        for v in chain:
            heights[v] += APART * (edges.count((source, target)) - 1)
    inner = {target for _, target in sketch.chains}
    pieces = [
        (a, b)
        for (source, target), chain in sketch.chains.items()
        for a, b in pairwise([source, *chain, target])
    ]
    neighbours = [pair for column in sketch.columns for pair in pairwise(column)]
    count = len(places)
    # Unknown are the height of each place and, after them, the rise of each piece of an edge.
    cost = np.zeros(count + len(pieces))
    rows = np.zeros((len(neighbours) + 2 * len(pieces), len(cost)))
    bound = np.zeros(len(rows))
    for i, (low, high) in enumerate(neighbours):
        rows[i, [index[low], index[high]]] = 1, -1
        bound[i] = -(heights[low] + heights[high]) / 2 - BETWEEN
    for i, (a, b) in enumerate(pieces):
        cost[count + i] = 1 + 3 * (a in inner and b in inner) + 8 * (a not in sizes or b not in sizes)
        for sign, row in ((1, len(neighbours) + 2 * i), (-1, len(neighbours) + 2 * i + 1)):
            rows[row, [index[a], index[b], count + i]] = sign, -sign, -1
    solved = linprog(cost, rows, bound, bounds=(None, None)).x[:count]
    lowest = min(solved[i] - heights[v] / 2 for v, i in index.items())
    return {v: float(solved[i] - lowest) for v, i in index.items()}
