"""The progress bar of long downloads and training runs: for somebody who waits, never in builds and tests."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm.auto import tqdm

from ddl import environment


def progress(total: int, description: str, **options: Any) -> tqdm:
    """Return a bar that appears once a second has passed, if somebody is watching.

    Parameters
    ----------
    total
        Number of steps of the whole job.
    description
        Words to the left of the bar.
    **options
        Further arguments of :class:`tqdm.tqdm`, such as ``unit``.

    Returns
    -------
    tqdm
        A bar to call ``update`` on, and a context manager that clears it away. It draws nothing without an
        interactive terminal or notebook.

    Examples
    --------
    >>> with progress(3, "counting") as bar:
    ...     for _ in range(3):
    ...         _ = bar.update()
    """
    return tqdm(total=total, desc=description, delay=1.0, leave=False, disable=not watched(), **options)


def watched() -> bool:
    """Return whether somebody sees the output as it appears: a terminal, or a notebook that is not being built."""
    if environment.static() or environment.strict() or "PYTEST_CURRENT_TEST" in os.environ:
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules
