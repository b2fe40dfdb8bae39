"""The one container that every data set of the book comes in."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ddl.checks import generator

Index = slice | Sequence[int] | Sequence[bool] | np.ndarray | torch.Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Examples with their labels or targets, and the names that a figure or a table needs.

    Parameters
    ----------
    x
        Inputs, float32, shape (n, …): one example per row.
    y
        Class labels, int64, shape (n,), numbers of ``class_names``; or regression targets, float32,
        shape (n, k).
    name
        Short name, such as ``"wine"``.
    feature_names
        One name per column of ``x``; empty for images.
    class_names
        One name per class, in the order of the labels; empty for regression.
    source
        Where the data come from, as a citation.

    Raises
    ------
    TypeError
        If ``x`` or ``y`` is not a tensor of the dtype above.
    ValueError
        If lengths, shapes, names and labels do not fit together.

    Examples
    --------
    >>> from ddl import datasets
    >>> wine = datasets.wine()
    >>> wine
    Dataset(wine: 178 examples × 13 features, 3 classes)
    >>> wine.select(features=["alcohol", "hue"], classes=["class_0", "class_2"])
    Dataset(wine: 107 examples × 2 features, 2 classes)
    """

    x: torch.Tensor
    y: torch.Tensor
    name: str
    feature_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "feature_names", tuple(map(str, self.feature_names)))
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        wanted = torch.int64 if self.class_names else torch.float32
        for letter, values, dtype in (("x", self.x, torch.float32), ("y", self.y, wanted)):
            if not isinstance(values, torch.Tensor) or values.dtype != dtype:
                found = values.dtype if isinstance(values, torch.Tensor) else type(values).__name__
                kind = "labels of named classes" if letter == "y" and self.class_names else "real values"
                raise TypeError(
                    f"{self.name}: {letter} is {found}, but {kind} must be a tensor of {dtype}; "
                    f"convert it with torch.as_tensor({letter}, dtype={dtype})"
                )
        if self.x.ndim < 2:
            raise ValueError(
                f"{self.name}: x has shape {tuple(self.x.shape)}; give it one row per example, "
                "as x.reshape(-1, 1) does"
            )
        if len(self.x) != len(self.y):
            raise ValueError(
                f"{self.name}: {len(self.x)} examples in x but {len(self.y)} in y; they must be as many"
            )
        if self.feature_names and self.x.shape[1:] != (len(self.feature_names),):
            raise ValueError(
                f"{self.name}: {len(self.feature_names)} feature names for x of shape {tuple(self.x.shape)}; "
                "name every column of an (n, features) x, or none"
            )
        if self.y.ndim != (1 if self.class_names else 2):
            raise ValueError(
                f"{self.name}: y has shape {tuple(self.y.shape)}; class labels are (n,), "
                "regression targets (n, 1)"
            )
        if self.class_names and len(self.y) and not 0 <= self.y.min() <= self.y.max() < len(self.class_names):
            raise ValueError(
                f"{self.name}: labels from {self.y.min()} to {self.y.max()} for {len(self.class_names)} "
                f"class names; labels must be 0 to {len(self.class_names) - 1}"
            )

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.x.shape[1:])) + (" features" if self.x.ndim == 2 else "")
        kind = f"{len(self.class_names)} classes" if self.class_names else "regression"
        return f"Dataset({self.name}: {len(self)} examples × {shape}, {kind})"

    def __getitem__(self, index: Index) -> Dataset:
        """Return the examples of a slice, a boolean mask, or a list of positions, as a data set.

        Raises
        ------
        TypeError
            If ``index`` is a single number or a tuple: an example alone is ``data.x[i]`` and ``data.y[i]``.
        IndexError
            If a mask is not as long as the data, or a position is out of range.
        """
        if not isinstance(index, slice):
            if isinstance(index, tuple) or np.ndim(index) != 1:
                raise TypeError(
                    f"{index!r} does not choose from {self!r}; give a slice, a mask or a list of positions. "
                    "One example is data.x[i] and data.y[i], or as a data set data[i : i + 1]"
                )
            index = torch.as_tensor(index, dtype=None if len(index) else torch.int64)
        return replace(self, x=self.x[index], y=self.y[index])

    def split(self, *fractions: float, rng: np.random.Generator) -> tuple[Dataset, ...]:
        """Deal the examples out at random into parts.

        Of each class every part gets its fraction, as nearly as whole numbers allow (a stratified split).
        Within a part the order is such that every beginning of it is stratified too: ``part[:50]`` is a
        smaller sample.

        Parameters
        ----------
        *fractions
            Size of each part, as a share of the whole; they sum to 1.
        rng
            Source of the randomness.

        Returns
        -------
        tuple of Dataset
            One per fraction.

        Raises
        ------
        ValueError
            If a fraction is not positive, they do not sum to 1, or a part would be empty.

        Examples
        --------
        >>> import ddl
        >>> train, test = ddl.datasets.iris().split(0.8, 0.2, rng=ddl.rng(1))
        >>> len(train), len(test), test.y.bincount().tolist()
        (120, 30, [10, 10, 10])
        """
        generator(rng)
        if (
            not fractions
            or not all(fraction > 0 for fraction in fractions)
            or not math.isclose(sum(fractions), 1)
        ):
            raise ValueError(
                f"fractions {fractions} must be positive and sum to 1, as in split(0.8, 0.2, rng=rng)"
            )
        n = len(self)
        cuts = np.round(np.cumsum((0, *fractions)) * n).astype(int)
        if (np.diff(cuts) == 0).any():
            raise ValueError(
                f"fractions {fractions} of {n} examples leave a part empty; use fewer or larger parts"
            )
        order = rng.permutation(n)
        if self.class_names:
            labels = self.y.numpy(force=True)[order]
            quantile = np.empty(n)  # how far into its class an example stands, from 0 to 1
            for label in np.unique(labels):
                members = np.flatnonzero(labels == label)
                quantile[members] = (np.arange(len(members)) + 0.5) / len(members)
            order = order[np.argsort(quantile, kind="stable")]
        return tuple(self[order[start:stop]] for start, stop in itertools.pairwise(cuts))

    def select(
        self, *, features: str | Sequence[str] | None = None, classes: str | Sequence[str] | None = None
    ) -> Dataset:
        """Keep some features, some classes, or both, by name.

        Parameters
        ----------
        features
            Names of the columns to keep, in the order wanted.
        classes
            Names of the classes to keep; they are numbered 0, 1, … in the order given.

        Returns
        -------
        Dataset
            The examples of those classes with those columns.

        Raises
        ------
        ValueError
            If a name is unknown or given twice.
        """
        chosen = self
        if features is not None:
            columns = self._positions("feature", features, self.feature_names)
            names = tuple(self.feature_names[column] for column in columns)
            chosen = replace(chosen, x=chosen.x[:, columns], feature_names=names)
        if classes is not None:
            labels = self._positions("class", classes, self.class_names)
            new_label = torch.full((len(self.class_names),), -1)
            new_label[labels] = torch.arange(len(labels))
            relabelled = new_label.to(self.y.device)[self.y]
            kept = relabelled >= 0
            names = tuple(self.class_names[label] for label in labels)
            chosen = replace(chosen, x=chosen.x[kept], y=relabelled[kept], class_names=names)
        return chosen

    def _positions(self, kind: str, wanted: str | Sequence[str], known: tuple[str, ...]) -> list[int]:
        """Return where the wanted names stand among the known ones."""
        wanted = [wanted] if isinstance(wanted, str) else [str(name) for name in wanted]
        if not wanted or len(set(wanted)) < len(wanted):
            raise ValueError(f"{self.name}: {kind} names {wanted}; give one or more, each once")
        for name in wanted:
            if name not in known:
                meant = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {meant[0]!r}? " if meant else ""
                raise ValueError(
                    f"{self.name} has no {kind} {name!r}; {hint}there are {', '.join(known) or 'none'}"
                )
        return [known.index(name) for name in wanted]

    def standardized(self, by: Dataset | None = None) -> Dataset:
        """Shift and scale each feature to zero mean and unit variance; of images, each channel.

        Parameters
        ----------
        by
            The data set whose means and standard deviations are used, so that test data are treated as the
            training data were: ``test.standardized(by=train)``. Default: this one.

        Returns
        -------
        Dataset
            With x − mean over standard deviation (of the population). A constant feature is only shifted.
            Regression targets stay as they are.

        Raises
        ------
        ValueError
            If ``by`` has other features.

        Examples
        --------
        >>> import ddl
        >>> train, test = ddl.datasets.wine().split(0.7, 0.3, rng=ddl.rng(1))
        >>> test, train = test.standardized(by=train), train.standardized()
        """
        by = self if by is None else by
        if by.x.shape[1:] != self.x.shape[1:] or by.feature_names != self.feature_names:
            raise ValueError(f"{self!r} cannot be standardized by {by!r}; both must have the same features")
        axes = [axis for axis in range(by.x.ndim) if axis != 1]
        values = by.x.double()
        mean = values.mean(axes, keepdim=True)
        deviation = values.std(axes, correction=0, keepdim=True)
        # The mean of equal numbers is inexact, so that their deviation is tiny and not zero.
        constant = values.amax(axes, keepdim=True) == values.amin(axes, keepdim=True)
        scaled = (self.x.double() - mean) / torch.where(constant, 1.0, deviation)
        return replace(self, x=scaled.float())
