"""Execute notebooks: several at once, each in a kernel of its own, with errors that name the cell.

The build, the normaliser and the tests all execute notebooks here. What the build executed is kept in a
jupyter-cache, whose own key sees only the notebook; :func:`cache_folder` adds what else decides its outputs.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

CELL_TIMEOUT = 120
"""Seconds that one cell may take."""

CACHES_KEPT = 3
"""Cache folders that stay, the most recently used: going back to an earlier state costs nothing."""


class NotebookError(Exception):
    """A notebook that cannot be executed; the message names the notebook, the cell and the error."""


def kernel_environment(*, static: bool, strict: bool = True, seed: int | None = None) -> dict[str, str]:
    """Return the environment variables of a kernel that executes a chapter.

    Parameters
    ----------
    static
        Whether explorables are drawn in advance, as pages need them.
    strict
        Whether a claim that does not hold is an error.
    seed
        Base seed of all randomness; by default what ``DDL_SEED`` says now.

    Returns
    -------
    dict
        This process's variables with those of the chapters set or removed. Each kernel has one thread:
        notebooks run in parallel, and small models are slower on more.
    """
    # MPLBACKEND would keep the kernel from choosing the backend that shows figures inline.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    environment |= {"DDL_STATIC": str(int(static)), "DDL_STRICT": str(int(strict)), "OMP_NUM_THREADS": "1"}
    if seed is not None:
        environment["DDL_SEED"] = str(seed)
    return environment


def cell_name(notebook: NotebookNode, index: int) -> str:
    """Return what a person calls a cell: its place in the notebook, and its kind or prompt.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> notebook = new_notebook(cells=[new_markdown_cell("# Title"), new_code_cell("1 + 1")])
    >>> cell_name(notebook, 0), cell_name(notebook, 1)
    ('cell 1 (Markdown)', 'cell 2 (In [1])')
    """
    if not _is_code(notebook.cells[index]):
        return f"cell {index + 1} ({notebook.cells[index].cell_type.capitalize()})"
    prompt = sum(map(_is_code, notebook.cells[: index + 1]))
    return f"cell {index + 1} (In [{prompt}])"


def execute(
    notebook: NotebookNode, path: Path, environment: Mapping[str, str], *, timeout: int = CELL_TIMEOUT
) -> float:
    """Execute a notebook in place, in its own folder and this Python.

    Parameters
    ----------
    notebook
        The notebook; its outputs are replaced.
    path
        Its file: the kernel works in that folder, and errors name it.
    environment
        The kernel's environment variables.
    timeout
        Seconds that one cell may take.

    Returns
    -------
    float
        Seconds that it took, with the start of the kernel.

    Raises
    ------
    NotebookError
        If a cell fails, takes too long, or takes the kernel down.
    """
    current = 0

    def remember(cell: NotebookNode, cell_index: int) -> None:
        nonlocal current
        current = cell_index

    start = time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        # Times in the cells' metadata would change the notebook's key in the cache.
        record_timing=False,
        # The kernel would otherwise warn, on each start, that it talks to us through TCP.
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=remember,
    )
    try:
        asyncio.run(client.async_execute(env=dict(environment)))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise NotebookError(_failure(notebook, path, current, error, timeout)) from error
    return time.perf_counter() - start


def execute_all(
    paths: Iterable[Path],
    environment: Mapping[str, str],
    done: Callable[[Path, NotebookNode, float], None],
) -> None:
    """Execute notebook files at once, as many as there are cores; no file is changed.

    Parameters
    ----------
    paths
        The files.
    environment
        The kernels' environment variables.
    done
        Called in this thread as each notebook finishes, with its path, the executed notebook and the seconds.

    Raises
    ------
    NotebookError
        If notebooks fail; after all the others are done, and with the messages of all that failed.
    """

    def run(path: Path) -> tuple[NotebookNode, float]:
        notebook = nbformat.read(path, as_version=4)
        return notebook, execute(notebook, path, environment)

    failures = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {pool.submit(run, path): path for path in paths}
        for future in as_completed(futures):
            try:
                done(futures[future], *future.result())
            except NotebookError as error:
                failures.append(str(error))
    if failures:
        raise NotebookError("\n\n".join(sorted(failures)))


def cache_folder(root: Path) -> Path:
    """Return the folder of the jupyter-cache for the book as it is now.

    Parameters
    ----------
    root
        The repository.

    Returns
    -------
    pathlib.Path
        Named by a hash of the package `ddl`, the pinned versions and the base seed: a change in any of them
        may change outputs, so it leads to another folder.
    """
    state = hashlib.sha256(os.environ.get("DDL_SEED", "0").encode())
    sources = [
        path for path in (root / "ddl").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    for path in sorted([*sources, root / "requirements.txt"]):
        state.update(path.relative_to(root).as_posix().encode())
        state.update(path.read_bytes())
    return root / "_build" / ".jupyter_cache" / state.hexdigest()[:16]


def forget_old_caches(current: Path) -> None:
    """Remove the cache folders beside `current` that have not been used lately."""
    current.mkdir(parents=True, exist_ok=True)
    os.utime(current)
    folders = [folder for folder in current.parent.iterdir() if re.fullmatch("[0-9a-f]{16}", folder.name)]
    folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders[CACHES_KEPT:]:
        shutil.rmtree(folder)


def stale(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Return the notebook files that the cache in `folder` does not hold as they are now.

    A change in Markdown or in cells' metadata makes no notebook stale: outputs depend on the code.
    """
    with _opened(folder) as cache:
        return [path for path in paths if not _find(cache, path, nbformat.read(path, as_version=4))]


def execute_into(folder: Path, paths: Iterable[Path], report: Callable[[Path, float], None]) -> None:
    """Execute notebooks as pages need them, and keep them in the cache in `folder`.

    Parameters
    ----------
    folder
        The cache, as :func:`cache_folder` gives it.
    paths
        The notebook files.
    report
        Called as each notebook finishes, with its path and the seconds.

    Raises
    ------
    NotebookError
        If notebooks fail; those that did not fail are in the cache.
    """

    def keep(path: Path, notebook: NotebookNode, seconds: float) -> None:
        with _opened(folder) as cache:
            _put(cache, path, notebook, seconds)
        report(path, seconds)

    execute_all(paths, kernel_environment(static=True), keep)


def executed(path: Path, root: Path) -> NotebookNode:
    """Return a notebook of the book with the outputs that the last build gave it.

    Parameters
    ----------
    path
        The notebook's file.
    root
        The repository.

    Returns
    -------
    nbformat.NotebookNode
        The file's cells and metadata as they are now, with outputs from the cache.

    Raises
    ------
    NotebookError
        If the build has not executed the notebook as it is now.
    """
    notebook = nbformat.read(path, as_version=4)
    with _opened(cache_folder(root)) as cache:
        try:
            return cache.merge_match_into_notebook(notebook)[1]
        except KeyError:
            message = f"{path} has not been executed as it is now; run `jupyter-book build .` first"
            raise NotebookError(message) from None


@contextmanager
def _opened(folder: Path) -> Iterator[JupyterCacheAbstract]:
    """Open a cache, and close its database afterwards, which jupyter-cache leaves open."""
    cache = get_cache(folder)
    try:
        yield cache
    finally:
        cache.db.dispose()


def _find(cache: JupyterCacheAbstract, path: Path, notebook: NotebookNode) -> bool:
    """Whether the cache holds a notebook; where it does but for cells' metadata, put it there anew."""
    try:
        cache.match_cache_notebook(notebook)
        return True
    except KeyError:
        pass
    for record in cache.list_cache_records():
        known = cache.get_cache_bundle(record.pk).nb if record.uri == str(path) else None
        if known and _what_runs(known) == _what_runs(notebook):
            for cell, same in zip(filter(_is_code, notebook.cells), known.cells, strict=True):
                cell.outputs, cell.execution_count = same.outputs, same.execution_count
            _put(cache, path, notebook, record.data["execution_seconds"])
            return True
    return False


def _put(cache: JupyterCacheAbstract, path: Path, notebook: NotebookNode, seconds: float) -> None:
    """Put an executed notebook into the cache in place of what it held of that file."""
    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
    new = cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    for record in cache.list_cache_records():
        if record.uri == new.uri and record.pk != new.pk:
            cache.remove_cache(record.pk)


def _is_code(cell: NotebookNode) -> bool:
    return cell.cell_type == "code"


def _what_runs(notebook: NotebookNode) -> list[tuple[str, bool]]:
    """Return what decides a notebook's outputs: each cell's code and whether it may fail."""
    return [
        (cell.source, "raises-exception" in cell.metadata.get("tags", []))
        for cell in filter(_is_code, notebook.cells)
    ]


def _failure(notebook: NotebookNode, path: Path, index: int, error: Exception, timeout: int) -> str:
    """Say where a notebook failed and why: the cell, its lines around the error, the calls below it."""
    line, calls = None, []
    if isinstance(error, CellTimeoutError):
        what = f"took longer than {timeout} s"
    elif isinstance(error, DeadKernelError):
        what = "the kernel died; it may have run out of memory"
    else:
        what = f"{error.ename}: {error.evalue}"
        # As IPython prints it, in colours: "Cell In[3], line 2", then "File a.py:12, in name(...)" each call.
        traceback = re.sub(r"\x1b\[[0-9;]*m", "", error.traceback)
        if found := re.search(r"Cell In ?\[\d+\], line (\d+)", traceback):
            line = int(found[1])
        calls = re.findall(r"^File (\S+?:\d+, in [\w.<>]+)", traceback, re.MULTILINE)[-5:]
    place = f"{os.path.relpath(path)}, {cell_name(notebook, index)}" + (f", line {line}" if line else "")
    return "\n".join([f"{place}: {what}", *_excerpt(notebook.cells[index].source, line), *calls])


def _excerpt(source: str, line: int | None) -> list[str]:
    """Return the first lines of a cell and, marked, the one that failed."""
    lines = source.splitlines()
    shown = {1, 2, 3} | ({line - 1, line} if line else set())
    result = []
    for number, text in enumerate(lines, start=1):
        if number in shown:
            result.append(f"{'>' if number == line else ' '} {number:3} | {text}")
        elif result[-1] != "      …":
            result.append("      …")
    return result
