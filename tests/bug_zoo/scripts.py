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

from .catalogue import Bug, Healthy

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

    def diagnosis_arguments(self) -> tuple[tuple[Any, Any], dict[str, Any]]:
        """Return what to hand to ``ddl.diagnose``: all that the script defines."""
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
    """Return the text of a script."""
    folder = "planted" if isinstance(script, Bug) else "healthy"
    text = (FOLDER / folder / f"{script.name}.py").read_text(encoding="utf-8")
    return text.replace(script.old, script.new) if repaired else text


def run(script: Bug | Healthy, *, repaired: bool = False) -> Script:
    """Run a script in a namespace of its own, up to its training."""
    module = ModuleType(script.name)
    with undisturbed():
        exec(compile(source(script, repaired=repaired), f"{script.name}.py", "exec"), module.__dict__)
    return Script(module.__dict__)
