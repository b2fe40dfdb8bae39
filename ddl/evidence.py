"""Claims: what the text says an experiment shows, checked in the moment the experiment runs."""

from __future__ import annotations

import html
import math
import numbers
from dataclasses import dataclass

import numpy as np
import torch

from ddl.environment import strict


class ClaimError(AssertionError):
    """A claim did not hold where every claim must: in the build and in the tests (``DDL_STRICT=1``)."""


@dataclass(frozen=True)
class Claim:
    """One statement about an experiment, whether it held, and the numbers it was judged by."""

    statement: str
    holds: bool
    measured: dict[str, str]

    @property
    def numbers(self) -> str:
        """The measured values in square brackets, which the comparison of notebook outputs ignores."""
        return "[" + ", ".join(f"{name} {value}" for name, value in self.measured.items()) + "]"

    def __str__(self) -> str:
        return f"{'✓' if self.holds else '✗'} {self.statement} {self.numbers}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        state, mark, word = ("holds", "✓", "Holds") if self.holds else ("fails", "✗", "Does not hold")
        return (
            f'<div class="ddl-claim ddl-claim-{state}">'
            f'<span class="ddl-claim-mark" role="img" aria-label="{word}:">{mark}</span> '
            f'<span class="ddl-claim-statement">{html.escape(self.statement)}</span> '
            f'<span class="ddl-claim-measured">{html.escape(self.numbers)}</span></div>'
        )


class ClaimList(tuple[Claim, ...]):
    """The claims of a chapter in the order in which they were first made."""

    def __str__(self) -> str:
        failing = sum(not claim.holds for claim in self)
        head = f"{len(self)} claim{'s' * (len(self) != 1)}, "
        head += f"{failing} do{'es' * (failing == 1)} not hold" if failing else "all hold"
        return "\n".join([head, *map(str, self)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = html.escape(str(self).splitlines()[0])
        return f'<p class="ddl-claims-head">{head}</p>' + "".join(claim._repr_html_() for claim in self)


_SERIES = (list, tuple, np.ndarray, torch.Tensor)

_recorded: dict[str, Claim] = {}


def claim(statement: str, holds: bool, /, **measured: object) -> None:
    """State what an experiment shows, check it, and show the numbers that it was judged by.

    Parameters
    ----------
    statement
        The sentence that the text stands for. Running a cell again replaces its claim.
    holds
        Whether the sentence is true of this run: one truth value, usually a comparison with a margin.
    **measured
        At least one number, or array of numbers, that the check used. Underscores in a name become
        spaces. A value that is not a number (NaN) makes the claim fail, since nothing was measured.

    Raises
    ------
    ClaimError
        If the claim does not hold and ``DDL_STRICT=1``, with the statement and the numbers. Elsewhere
        the claim is shown with ✗ and the chapter goes on.
    TypeError
        If ``holds`` is not one truth value.
    ValueError
        If the statement is empty or nothing was measured.

    Examples
    --------
    >>> import ddl
    >>> ddl.claim("Two and two make four", 2 + 2 == 4, sum=2 + 2)
    ✓ Two and two make four [sum 4]
    """
    if not isinstance(statement, str) or not statement.strip():
        raise ValueError(f"a claim needs a sentence, not {statement!r}")
    if not measured:
        raise ValueError(f"the claim {statement!r} shows no measured number; pass some, as in accuracy=0.97")
    entry = Claim(
        statement.strip(),
        _truth(holds) and not any(map(_has_nan, measured.values())),
        {name.replace("_", " "): _format(value) for name, value in measured.items()},
    )
    _recorded[entry.statement] = entry
    _show(entry)
    if not entry.holds and strict():
        raise ClaimError(f"{entry.statement} {entry.numbers}")


def claims() -> ClaimList:
    """Return all claims that this chapter has made so far; a notebook shows them as a list."""
    return ClaimList(_recorded.values())


def forget() -> None:
    """Empty the list of claims; :func:`ddl.setup` does this at the start of a chapter."""
    _recorded.clear()


def _truth(holds: object) -> bool:
    holds = _plain(holds)
    if not isinstance(holds, bool):
        raise TypeError(
            f"a claim holds or not; got {holds!r}: pass one truth value, as in accuracy > 0.9, "
            "and reduce an array of them with all() or any()"
        )
    return holds


def _plain(value: object) -> object:
    """Return the Python scalar in a NumPy or torch scalar, and anything else as it is."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic) and math.prod(value.shape) == 1:
        return value.item()
    return value


def _has_nan(value: object) -> bool:
    value = _plain(value)
    if isinstance(value, _SERIES):
        return any(map(_has_nan, value))
    return isinstance(value, numbers.Real) and math.isnan(value)


def _format(value: object) -> str:
    value = _plain(value)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return f"{value:.3g}"
    if isinstance(value, _SERIES):
        return f"({', '.join(map(_format, value))})"
    # A bracket among the numbers would end the part that the comparison of outputs ignores.
    return str(value).replace("[", "(").replace("]", ")")


def _show(entry: Claim) -> None:
    try:
        from IPython import get_ipython
    except ImportError:  # outside notebooks IPython may be missing
        shell = None
    else:
        shell = get_ipython()
    if shell is None:
        print(entry)
    else:
        from IPython.display import display

        display(entry)
