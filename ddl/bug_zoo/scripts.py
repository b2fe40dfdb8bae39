"""Running scripts of the zoo, as they are and repaired."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ddl.bug_zoo.catalogue import Bug, Healthy

FOLDER = Path(__file__).parent


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Start from the same random state, put it back afterwards, and let warnings pass, as a reader might."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(20)
        yield


@dataclass(frozen=True)
class Script:
    """A script that was run up to its training."""

    names: dict[str, Any]
    """What it defines: ``model``, ``loss``, ``optimizer``, ``step``, ``train``, ``evaluate``, its data."""

    def diagnosis_arguments(self) -> tuple[tuple[Any, Any], dict[str, Any]]:
        """Return what to hand to ``ddl.diagnose``, by position and by name: all that the script defines."""
        names = self.names
        data = names["loader"] if "loader" in names else (names["x_train"], names["y_train"])
        options = {
            name: names[name] for name in ("loss", "optimizer", "step", "evaluate", "build") if name in names
        }
        if "x_test" in names:
            options["validation"] = (names["x_test"], names["y_test"])
        return (names["model"], data), options

    def score(self) -> float:
        """Train, and return what the script itself measures; NaN and infinity come as they are."""
        with undisturbed():
            self.names["train"]()
            return self.names["evaluate"]()


def source(script: Bug | Healthy, *, repaired: bool = False) -> str:
    """Return the text of a script.

    Parameters
    ----------
    script
        An entry of the catalogue.
    repaired
        Whether its mistake is repaired.

    Returns
    -------
    str
        Python, as it stands in the file; or with the repair.

    Examples
    --------
    >>> from ddl.bug_zoo import BUGS
    >>> print(source(BUGS[0]).splitlines()[0])
    import torch
    """
    folder = "planted" if isinstance(script, Bug) else "healthy"
    text = (FOLDER / folder / f"{script.name}.py").read_text(encoding="utf-8")
    return text.replace(script.old, script.new) if repaired else text


def run(script: Bug | Healthy, *, repaired: bool = False) -> Script:
    """Run a script in a namespace of its own, up to its training.

    PyTorch's random state is the same before each script, and what it was afterwards. Warnings pass.

    Parameters
    ----------
    script
        An entry of the catalogue.
    repaired
        Whether its mistake is repaired first.

    Returns
    -------
    Script
        What the script defines.

    Raises
    ------
    Exception
        What the script raises, for those of the kind ``fails``.
    """
    module = ModuleType(script.name)
    with undisturbed():
        exec(compile(source(script, repaired=repaired), f"{script.name}.py", "exec"), module.__dict__)
    return Script(module.__dict__)
