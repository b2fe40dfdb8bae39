"""The progress bar of long downloads and training runs: for somebody who waits, never in builds and tests."""

from __future__ import annotations

import os
import sys

from tqdm.auto import tqdm

from ddl import environment


def progress(total: int | None, description: str, *, unit: str, scale: bool = False) -> tqdm:
    """Return a bar that appears once a second has passed, if somebody is watching.

    Parameters
    ----------
    total
        Number of steps of the whole job, if known.
    description
        Words to the left of the bar.
    unit
        What a step is called.
    scale
        Whether large numbers of steps are shown as 1.2k, 3.4M.

    Returns
    -------
    tqdm
        A bar to call ``update`` on, and a context manager that clears it away. It draws nothing without an
        interactive terminal or notebook.

    Examples
    --------
    >>> with progress(3, "counting", unit="number") as bar:
    ...     for _ in range(3):
    ...         _ = bar.update()
    """
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        unit_scale=scale,
        delay=1.0,
        leave=False,
        disable=not watched(),
    )


def watched() -> bool:
    """Return whether somebody sees output as it appears: in a terminal, or in a notebook not being built."""
    if environment.static() or environment.strict() or "PYTEST_CURRENT_TEST" in os.environ:
        return False
    ipython = sys.modules.get("IPython")
    return sys.stderr.isatty() or (ipython is not None and hasattr(ipython.get_ipython(), "kernel"))
