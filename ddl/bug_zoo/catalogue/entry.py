"""What is known of each script of the zoo; the scripts themselves give nothing away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["trains worse", "flatters", "underrates", "fails", "not reproducible"]


@dataclass(frozen=True)
class Bug:
    """A script with one mistake.

    Parameters
    ----------
    name
        The script: ``planted/<name>.py``.
    task
        Data, model and way of training.
    mistake
        What is wrong, in a sentence.
    old, new
        The repair: ``old`` stands once in the script, and is replaced by ``new``.
    accepted
        What ``ddl.diagnose`` may call it: more than one name only where they say the same of this script.
    kind
        What the mistake does. ``trains worse``: the model ends up worse. ``flatters``, ``underrates``: the
        number that ``evaluate`` returns is better, or worse, than the model deserves. ``fails``: training
        stops with an error. ``not reproducible``: two runs differ.
    change
        For the first three kinds: how much the repair adds to the number at least, or takes away if negative;
        none where the script with the mistake returns no finite number.
    error
        For scripts that fail: what the error says.
    """

    name: str
    task: str
    mistake: str
    old: str
    new: str
    accepted: frozenset[str]
    kind: Kind
    change: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Healthy:
    """A script with no mistake, and the number that ``evaluate`` returns after training at the worst."""

    name: str
    task: str
    at_least: float | None = None
    at_most: float | None = None
