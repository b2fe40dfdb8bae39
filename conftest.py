"""What holds for all tests, those that are notebooks among them."""

from __future__ import annotations

import os

import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbFile

from tools import execution


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that asks for more runs of the chapters."""
    parser.addoption(
        "--book-seeds",
        default="",
        metavar="N,N,…",
        help="also execute every chapter with these base seeds; no claim may fail (example: 1,2,3)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let nbval's kernels run cells as all others do, and find its settings from any folder."""
    RunningKernel.execute_cell_input = execute_with_history
    os.environ.pop("MPLBACKEND", None)
    os.environ.update(execution.kernel_environment(static=False, seed=0))
    config.option.nbval_sanitize_with = str(config.rootpath / "tests" / "nbval_sanitize.cfg")


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Let nbval compare text alone: HTML and images are not committed."""
    if isinstance(collector, IPyNbFile):
        collector.skip_compare += ("text/html", "text/markdown", "image/svg+xml", "text/latex")


def execute_with_history(kernel: RunningKernel, source: str, allow_stdin: bool | None = None) -> str:
    """Execute a cell for nbval; return the identifier of the request.

    nbval itself keeps no history, but IPython looks there for the semicolon that keeps a cell from showing
    its last value.
    """
    return kernel.kc.execute(source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)
