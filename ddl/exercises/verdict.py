"""What a checker says of an answer."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Whether an exercise was attempted, whether the answer is right, and what to tell the reader."""

    right: bool
    attempted: bool
    message: str

    @property
    def mark(self) -> str:
        """✓ for right, ✗ for not right yet, … for not attempted."""
        return "…" if not self.attempted else "✓" if self.right else "✗"

    def __str__(self) -> str:
        return f"{self.mark} {self.message}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        state = "open" if not self.attempted else "right" if self.right else "wrong"
        return f'<div class="ddl-verdict ddl-verdict-{state}">{html.escape(str(self))}</div>'


class Hint(Exception):
    """Raised inside a checker when an answer is not right yet; its text is the hint."""


def checker(check: Callable[..., str]) -> Callable[..., Verdict]:
    """Turn a function that raises :class:`Hint` or returns praise into a checker.

    Parameters
    ----------
    check
        Takes the answers; returns what to say of a right one and raises ``Hint`` for any other.

    Returns
    -------
    callable
        Takes the same answers and returns a :class:`Verdict`. Answers that still hold ``...`` are not
        attempted; an error inside the reader's own function is part of the hint and is not raised.
    """

    @functools.wraps(check)
    def checked(*answers: object) -> Verdict:
        if _open(answers):
            return Verdict(right=False, attempted=False, message="Not attempted yet: replace the dots.")
        try:
            return Verdict(right=True, attempted=True, message=check(*answers))
        except Hint as hint:
            return Verdict(right=False, attempted=True, message=str(hint))
        except NotImplementedError:
            return Verdict(right=False, attempted=False, message="Not attempted yet: write the function.")
        except Exception as error:  # whatever the reader's own code raises is shown, never thrown at them
            return Verdict(
                right=False, attempted=True, message=f"Your answer raised {type(error).__name__}: {error}"
            )

    return checked


def _open(answer: object) -> bool:
    """Return whether dots are left in an answer, or in a list that is one."""
    return answer is ... or (isinstance(answer, list | tuple) and any(map(_open, answer)))
