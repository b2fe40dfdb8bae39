"""The epochs in which a callback does something."""

from __future__ import annotations

from collections.abc import Iterable

from ddl.checks import whole_number


class Due:
    """Every so many epochs from a first one, or the epochs of a list.

    Parameters
    ----------
    what
        What is done in them, for messages, as ``"snapshots"``.
    first
        The first epoch.
    every
        One in so many epochs, from the first one.
    at
        These epochs instead.

    Raises
    ------
    TypeError
        If both or neither are given, or are no whole numbers.
    ValueError
        If ``every`` is below 1.

    Examples
    --------
    >>> due = Due("snapshots", 0, every=10, at=None)
    >>> [epoch for epoch in range(31) if epoch in due]
    [0, 10, 20, 30]
    """

    def __init__(self, what: str, first: int, *, every: int | None, at: Iterable[int] | None) -> None:
        if (every is None) == (at is None):
            raise TypeError(f"every={every} and at={at}; give one of them, as every=10")
        self.what, self.first = what, first
        self.every = None if every is None else whole_number("every", every, at_least=1)
        self.at = (
            None if at is None else sorted({whole_number("an epoch", one, at_least=first) for one in at})
        )

    def check(self, epochs: int) -> None:
        """Refuse epochs that a run does not have."""
        if self.at and self.at[-1] > epochs:
            raise ValueError(
                f"{self.what} at epochs {self.at} of a run from epoch {self.first} to {epochs}; leave the "
                "others out"
            )

    def __contains__(self, epoch: int) -> bool:
        if self.at is not None:
            return epoch in self.at
        return epoch >= self.first and (epoch - self.first) % self.every == 0
