"""How the examples are dealt out: slices of one permutation per epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

Pair = tuple[torch.Tensor, torch.Tensor]

Generators = Sequence[np.random.Generator]

Batches = Callable[[], Iterator[tuple[Any, Any]]]
"""Returns the batches of one epoch, each with the number of its examples."""


def of_one(data: Pair, batch_size: int | None, generator: np.random.Generator) -> Batches:
    """Return the batches (x, y) of a single model."""
    x, y = data
    n = len(x)

    def deal() -> Iterator[tuple[int, Pair]]:
        if batch_size is None or batch_size >= n:
            yield n, (x, y)
            return
        order = torch.from_numpy(generator.permutation(n)).to(x.device)
        for rows in order.split(batch_size):
            yield len(rows), (x[rows], y[rows])

    return deal


class Batch(NamedTuple):
    """Examples for the members of an ensemble."""

    x: torch.Tensor
    """Shape (batch, …), or (members, batch, …) if each has its own."""
    y: torch.Tensor
    """The same."""
    own_x: bool
    own_y: bool


class Shares:
    """What the members of an ensemble get of the data, with the same number of examples for each.

    Parameters
    ----------
    data
        Inputs (n, …) and targets, (n, …) or (members, n, …).
    rows
        The examples of the members, shape (members, share); None for all of them, in order.
    own_labels
        Whether there are targets for each member.
    """

    def __init__(self, data: Pair, rows: torch.Tensor | None, *, own_labels: bool) -> None:
        self.x, self.y = data
        self.rows = rows
        self.own_labels = own_labels
        self.n = len(self.x) if rows is None else rows.shape[1]

    def __getitem__(self, order: torch.Tensor) -> Batch:
        """Return the examples at these places of each member's share.

        The order has the shape (batch,), the same for all members, or (members, batch).
        """
        if self.rows is None:
            rows = order
        else:
            rows = self.rows[:, order] if order.ndim == 1 else self.rows.gather(1, order)
        own = rows.ndim == 2
        if not self.own_labels:
            return Batch(self.x[rows], self.y[rows], own, own)
        if not own:
            return Batch(self.x[rows], self.y[:, rows], False, True)
        members = torch.arange(len(rows), device=rows.device)[:, None]
        return Batch(self.x[rows], self.y[members, rows], True, True)

    def pieces(self, size: int) -> Iterator[Batch]:
        """Return all examples, in order, at most ``size`` for each member at a time."""
        if self.rows is None and size >= self.n:
            yield Batch(self.x, self.y, False, self.own_labels)
            return
        places = torch.arange(self.n, device=self.x.device)
        yield from (self[part] for part in places.split(size))

    def batches(self, batch_size: int | None, generators: Generators) -> Batches:
        """Return the batches of an ensemble; a single generator makes one order for all members."""
        everything = next(self.pieces(self.n)) if batch_size is None or batch_size >= self.n else None

        def deal() -> Iterator[tuple[int, Batch]]:
            if everything is not None:
                yield self.n, everything
                return
            orders = [torch.from_numpy(generator.permutation(self.n)) for generator in generators]
            order = (orders[0] if len(orders) == 1 else torch.stack(orders)).to(self.x.device)
            for part in order.split(batch_size, dim=-1):
                yield part.shape[-1], self[part]

        return deal


def of_each(shares: Sequence[Pair], batch_size: int | None, generators: Generators) -> Batches:
    """Return the batches of members that are trained one by one, each with a generator of its own.

    Each batch is a list with one pair (x, y) per member, or None for one whose epoch is over, as that of a
    member with fewer examples is before the others'; the numbers of examples are an array.
    """
    own = [of_one(share, batch_size, generator) for share, generator in zip(shares, generators, strict=True)]

    def deal() -> Iterator[tuple[np.ndarray, list[Pair | None]]]:
        for batch in itertools.zip_longest(*(batches() for batches in own), fillvalue=(0, None)):
            sizes, pairs = zip(*batch, strict=True)
            yield np.array(sizes), list(pairs)

    return deal
