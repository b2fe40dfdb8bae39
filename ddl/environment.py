"""Where a chapter runs: device, versions, and the one seed that all its randomness comes from."""

from __future__ import annotations

import gc
import os
import platform
import random
from importlib import metadata

import numpy as np
import torch

from ddl.checks import whole_number

SEED_VARIABLE = "DDL_SEED"
STATIC_VARIABLE = "DDL_STATIC"
STRICT_VARIABLE = "DDL_STRICT"

GARBAGE_THRESHOLD = 20_000
"""After how many new objects Python's garbage collector starts. With its own 700, drawing and training start
it so often that it takes a tenth of a chapter's time."""


def setup() -> None:
    """Prepare a chapter: plot style, seeds, garbage collection, and one line that says what it runs on.

    The first call of every chapter. The versions stand in square brackets, which the comparison of
    notebook outputs ignores, so that the line is the same on every machine.

    Raises
    ------
    ValueError
        If the environment variable ``DDL_SEED`` is not a non-negative integer.
    """
    from ddl import evidence, plots

    plots.use_style()
    evidence.forget()
    random.seed(seed(0))
    np.random.seed(seed(0))  # noqa: NPY002 - for readers' own cells; the book itself passes generators
    torch.manual_seed(seed(0))
    gc.set_threshold(GARBAGE_THRESHOLD)
    parts = {
        "ddl": metadata.version("dissecting-deep-learning"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device().type,
        "seed": base_seed(),
    }
    print(" · ".join(f"{name} [{value}]" for name, value in parts.items()))


def base_seed() -> int:
    """Return the base seed of this run: the environment variable ``DDL_SEED``, or 0.

    Raises
    ------
    ValueError
        If the variable is set to something that is not a non-negative integer.
    """
    text = os.environ.get(SEED_VARIABLE, "0")
    if not text.isdecimal():
        raise ValueError(f"{SEED_VARIABLE}={text!r} is not a seed; set it to 0, 1, 2, … or unset it")
    return int(text)


def rng(stream: int) -> np.random.Generator:
    """Return a fresh NumPy generator for one purpose of a chapter.

    Parameters
    ----------
    stream
        Number of the purpose. The same number gives the same draws again, another independent ones.

    Returns
    -------
    numpy.random.Generator
        Seeded with the base seed and ``stream``; its draws are the same on every machine.

    Raises
    ------
    TypeError
        If ``stream`` is not a whole number.
    ValueError
        If it is negative, or ``DDL_SEED`` is not a seed.

    Examples
    --------
    >>> import ddl
    >>> bool(ddl.rng(1).normal() == ddl.rng(1).normal())
    True
    """
    return np.random.default_rng(_entropy(stream))


def seed(stream: int) -> int:
    """Return the integer seed of one purpose of a chapter, for :func:`torch.manual_seed`.

    Parameters
    ----------
    stream
        Number of the purpose, as in :func:`rng`.

    Returns
    -------
    int
        Between 0 and 2³² − 1.

    Raises
    ------
    TypeError
        If ``stream`` is not a whole number.
    ValueError
        If it is negative, or ``DDL_SEED`` is not a seed.
    """
    return int(np.random.SeedSequence(_entropy(stream)).generate_state(1)[0])


def _entropy(stream: int) -> list[int]:
    return [base_seed(), whole_number("stream", stream, at_least=0)]


def device() -> torch.device:
    """Return the fastest device here: a CUDA GPU, Apple's MPS, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def static() -> bool:
    """Return whether explorables are drawn in advance, for pages without a kernel (``DDL_STATIC=1``)."""
    return os.environ.get(STATIC_VARIABLE) == "1"


def strict() -> bool:
    """Return whether a claim that does not hold is an error (``DDL_STRICT=1``)."""
    return os.environ.get(STRICT_VARIABLE) == "1"
