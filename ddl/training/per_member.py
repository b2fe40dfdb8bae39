"""Data of which each member of an ensemble has a share."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ddl.datasets import Dataset
from ddl.training.checks import Pair, finite, first_gap, pair, same_kind


class Examples(NamedTuple):
    """What :func:`ddl.fit` trains or measures with, for one model or for the members of an ensemble."""

    x: torch.Tensor
    """Shape (n, …)."""
    y: torch.Tensor
    """Shape (n, …); or (members, n, …)."""
    rows: list[torch.Tensor] | None = None
    """The examples of each member; None for all."""
    own_labels: bool = False
    """Whether there are targets for each member."""

    def to(self, device: torch.device) -> Examples:
        """Return the same on a device."""
        rows = None if self.rows is None else [rows.to(device) for rows in self.rows]
        return Examples(self.x.to(device), self.y.to(device), rows, self.own_labels)

    @property
    def most_examples(self) -> int:
        """Number of examples; of the member that has the most."""
        return len(self.x) if self.rows is None else max(len(rows) for rows in self.rows)

    @property
    def kind(self) -> Pair:
        """Inputs and targets of one model, to compare shapes and dtypes with."""
        return self.x, self.y[0] if self.own_labels else self.y

    def describe(self) -> str:
        """Return shapes and checksums."""
        tensors = {"x": self.x, "y": self.y}
        if self.rows is not None:
            tensors["rows"] = torch.cat(self.rows)
        return ", ".join(
            f"{name} {tuple(values.shape)} with checksum "
            f"{zlib.crc32(values.detach().cpu().contiguous().numpy().tobytes()):08x}"
            for name, values in tensors.items()
        )

    def member(self, index: int) -> Pair:
        """Return the inputs and targets of one member."""
        x, y = self.x, self.y[index] if self.own_labels else self.y
        if self.rows is not None:
            x, y = x[self.rows[index]], y[self.rows[index]]
        return x, y


def examples(name: str, data: Dataset | Pair | PerMember, members: int | None) -> Examples:
    """Return data as examples, and refuse what a single model, or so many members, cannot be trained on."""
    if not isinstance(data, PerMember):
        return Examples(*pair(name, data))
    if members is None:
        raise TypeError(f"{name} is PerMember; a single model takes a Dataset or a pair of tensors (x, y)")
    if data.members not in (None, members):
        raise ValueError(f"{name} is for {data.members} members, the ensemble has {members}")
    return data.examples


class PerMember:
    """Data of which each member of an ensemble gets a share of its own, or labels of its own.

    Parameters
    ----------
    data
        Data set, or a pair of tensors (x, y) with n examples.
    rows
        For each member the examples that it gets: whole numbers, or n booleans, which stand for the same in
        increasing order. Default: all of them.
    labels
        Targets in place of y, different for each member: shape (members, n, …).

    Raises
    ------
    TypeError
        If ``data`` is no data set and no pair of tensors, or rows are neither booleans nor whole numbers.
    ValueError
        If a member has no examples or some that do not exist, or the shapes do not fit.

    Examples
    --------
    Five members, each without another fifth of the data:

    >>> import ddl
    >>> moons = ddl.datasets.moons(100, rng=ddl.rng(1))
    >>> fold = np.arange(100) % 5
    >>> folds = PerMember(moons, rows=[fold != k for k in range(5)])
    >>> ensemble = ddl.Ensemble([ddl.models.MLP((2, 16, 2), seed=0) for _ in range(5)])
    >>> history = ddl.fit(ensemble, folds, loss=torch.nn.CrossEntropyLoss(), epochs=3, lr=0.1)
    """

    def __init__(
        self,
        data: Dataset | tuple[torch.Tensor, torch.Tensor],
        *,
        rows: Sequence[np.ndarray | torch.Tensor | Sequence[int]] | None = None,
        labels: torch.Tensor | None = None,
    ) -> None:
        x, y = pair("data", data)
        shares = None if rows is None else [_rows(i, given, len(x)) for i, given in enumerate(rows)]
        if labels is not None:
            _check_labels(labels, y, shares)
        self.examples = Examples(x, y if labels is None else labels, shares, labels is not None)

    @classmethod
    def stack(cls, datasets: Sequence[Dataset | tuple[torch.Tensor, torch.Tensor]]) -> PerMember:
        """Return data in which member i gets the whole of data set i.

        Raises
        ------
        ValueError
            If there are none, or they differ in more than the number of examples.
        """
        pairs = [pair(f"data set {i}", data) for i, data in enumerate(datasets)]
        if not pairs:
            raise ValueError("datasets is empty; give one for each member")
        for other in pairs[1:]:
            same_kind(pairs[0], other)
        ends = np.cumsum([len(x) for x, _ in pairs])
        rows = [np.arange(end - len(x), end) for end, (x, _) in zip(ends, pairs, strict=True)]
        x, y = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return cls((x, y), rows=rows)

    @property
    def members(self) -> int | None:
        """Number of members that the data are for; None if they are the same for all."""
        if self.examples.own_labels:
            return len(self.examples.y)
        return None if self.examples.rows is None else len(self.examples.rows)


def _rows(member: int, given: np.ndarray | torch.Tensor | Sequence[int], n: int) -> torch.Tensor:
    """Return the examples of a member as whole numbers."""
    if not len(given):
        raise ValueError(f"rows of member {member} are empty; give each member at least one example")
    rows = torch.as_tensor(given)
    if rows.ndim != 1 or (rows.dtype == torch.bool and len(rows) != n):
        raise ValueError(
            f"rows of member {member} have shape {tuple(rows.shape)}; give whole numbers, or {n} booleans"
        )
    if rows.dtype == torch.bool:
        rows = rows.nonzero()[:, 0]
    if rows.is_floating_point() or rows.is_complex():
        raise TypeError(f"rows of member {member} are {rows.dtype}; give whole numbers or booleans")
    if not len(rows):
        raise ValueError(f"rows of member {member} are all False; give each member at least one example")
    if rows.min() < 0 or rows.max() >= n:
        wrong = int(rows[(rows < 0) | (rows >= n)][0])
        raise ValueError(f"rows of member {member} hold {wrong}; there are examples 0 to {n - 1}")
    return rows.long()


def _check_labels(labels: torch.Tensor, y: torch.Tensor, rows: list[torch.Tensor] | None) -> None:
    """Refuse labels that do not fit the data or the members."""
    if not isinstance(labels, torch.Tensor):
        raise TypeError(f"labels are {type(labels).__name__}; make them a tensor, as torch.stack(…)")
    if labels.shape[1:] != y.shape or labels.dtype != y.dtype or not len(labels):
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and {labels.dtype}, but y has shape {tuple(y.shape)} "
            f"and {y.dtype}; give (members, {', '.join(map(str, y.shape))}) of the same dtype"
        )
    if not finite(labels):
        place, value = first_gap(labels)
        raise ValueError(f"labels[{place}] are {value}; give numbers")
    if rows is not None and len(rows) != len(labels):
        raise ValueError(f"rows are for {len(rows)} members, labels for {len(labels)}; give both for all")
