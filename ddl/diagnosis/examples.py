"""The data that are diagnosed: examples from tensors, data sets and loaders, and what a loader does."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from ddl.datasets import Dataset

MOST_ROWS = 20_000
"""Rows of a loader that are read; all rows of tensors are looked at."""

SAMPLE = 1000
"""Rows that statistics of the inputs and the targets are computed of."""

BATCH = 64
"""Rows of the batch that training is tried on."""

Pair = tuple[torch.Tensor, torch.Tensor]
Data = Dataset | Pair | Iterable[Pair]


@dataclass
class Loading:
    """What a loader gave in two epochs."""

    sizes: list[int]
    """Number of examples in each batch of the first epoch."""
    fingerprints: np.ndarray
    """Of each example of the first epoch, inputs and target together, shape (n,)."""
    again: np.ndarray
    """Of the beginning of the second epoch."""
    complete: bool
    """Whether the whole epoch was read."""
    loader: object


@dataclass
class Examples:
    """Inputs and targets, with a sample of them and a batch."""

    x: torch.Tensor
    y: torch.Tensor
    sample: Pair
    """Up to 1000 rows, drawn at random, all finite."""
    batch: Pair
    """Up to 64 rows to train on: of a loader its first batch."""
    other: Pair
    """As many others, as far as there are any."""
    loading: Loading | None = None

    def __len__(self) -> int:
        return len(self.x)


def examples(name: str, data: Data, seed: int) -> Examples:
    """Return the examples of tensors, of a data set or of a loader.

    Raises
    ------
    TypeError
        If they are something else.
    ValueError
        If there are none, or as many inputs as targets are not there.
    """
    if isinstance(data, Dataset):
        data = data.x, data.y
    loading = None
    if (
        isinstance(data, tuple | list)
        and len(data) == 2
        and all(isinstance(part, torch.Tensor) for part in data)
    ):
        x, y = data
        _check(name, x, y)
    elif isinstance(data, tuple) or not isinstance(data, Iterable) or isinstance(data, str | torch.Tensor):
        raise TypeError(
            f"{name} is {_describe(data)}; give a pair of tensors (x, y), a Dataset, or a DataLoader of such "
            "pairs"
        )
    elif iter(data) is data:
        raise TypeError(
            f"{name} is {_describe(data)}, which can be read only once; give the DataLoader itself, or a "
            "list of batches"
        )
    else:
        x, y, loading = _load(name, data)
    x, y = x.detach(), y.detach()
    order = np.random.default_rng([seed, len(x)]).permutation(len(x))
    good = _finite_rows(x, y)
    order = torch.from_numpy(order).to(x.device)
    order = order[good[order]] if good.any() else order
    sample = order[:SAMPLE]
    if loading is None:
        batch = order[:BATCH]
    else:
        batch = torch.arange(min(loading.sizes[0], 4 * BATCH), device=x.device)
        batch = batch[good[batch]] if good[batch].any() else batch
    # Of few examples the last become the other batch; of one alone it is the same.
    other = order[BATCH : 2 * BATCH] if len(order) >= 2 * BATCH else order.flip(0)[: max(1, len(order) // 2)]
    pick = [(x[rows], y[rows]) for rows in (sample, batch, other)]
    return Examples(x, y, *pick, loading)


def fingerprints(*tensors: torch.Tensor) -> np.ndarray:
    """Return one number for each row, equal for equal rows and hardly ever for others, shape (n,)."""
    total = np.zeros(len(tensors[0]), dtype=np.uint64)
    for tensor in tensors:
        rows = tensor.detach().cpu().reshape(len(tensor), -1)
        values = rows.double().numpy() if rows.is_floating_point() else rows.long().numpy()
        bits = np.ascontiguousarray(values + 0).view(np.uint64)  # + 0 makes -0.0 the same as 0.0
        odd = np.random.default_rng(bits.shape[1]).integers(0, 2**63, bits.shape[1], dtype=np.uint64) * 2 + 1
        for start in range(0, len(bits), 4096):
            part = bits[start : start + 4096]
            mixed = (part ^ (part >> np.uint64(29))) * odd
            mixed ^= mixed >> np.uint64(32)
            rows_of_part = slice(start, start + 4096)
            total[rows_of_part] = total[rows_of_part] * np.uint64(31) + (mixed * odd).sum(1)
    return total


def _load(name: str, loader: Iterable) -> tuple[torch.Tensor, torch.Tensor, Loading]:
    """Read an epoch, and the beginning of another."""
    batches, complete, rows = [], True, 0
    for batch in loader:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise TypeError(f"{name} yields {_describe(batch)}; let it yield pairs (x, y) of tensors")
        _check(name, *batch)
        batches.append(batch)
        rows += len(batch[0])
        if rows >= MOST_ROWS:
            complete = False
            break
    if not batches:
        raise ValueError(f"{name} yields no batches; give at least one")
    again = list(itertools.islice(iter(loader), min(len(batches), 8)))
    xs, ys = zip(*batches, strict=True)
    loading = Loading(
        [len(x) for x in xs],
        np.concatenate([fingerprints(*batch) for batch in batches]),
        np.concatenate([fingerprints(*batch) for batch in again]) if again else np.zeros(0, np.uint64),
        complete,
        loader,
    )
    try:
        return torch.cat(xs), torch.cat(ys), loading
    except RuntimeError:  # sequences that are padded for each batch by itself: the first speaks for all
        return *batches[0], loading


def _check(name: str, x: object, y: object) -> None:
    for letter, values in (("x", x), ("y", y)):
        if not isinstance(values, torch.Tensor):
            raise TypeError(
                f"{letter} of {name} is {type(values).__name__}; make it a tensor with "
                f"torch.as_tensor({letter})"
            )
        if values.ndim == 0 or len(values) == 0:
            raise ValueError(f"{letter} of {name} has shape {tuple(values.shape)}; give at least one example")
    if len(x) != len(y):
        raise ValueError(
            f"x of {name} has shape {tuple(x.shape)} and y {tuple(y.shape)}: {len(x)} examples but {len(y)} "
            "targets; give one target per example"
        )


def _finite_rows(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.isfinite().reshape(len(x), -1).all(1) & y.isfinite().reshape(len(y), -1).all(1).to(x.device)


def _describe(thing: object) -> str:
    if isinstance(thing, torch.Tensor):
        return f"a tensor of shape {tuple(thing.shape)}"
    if isinstance(thing, tuple | list):
        return f"a {type(thing).__name__} of {len(thing)}"
    return f"of type {type(thing).__name__}"
