"""Paired timing: in each repeat all contestants run once, so that what slows the machine slows all alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from benchmarks.cases import Task
from benchmarks.contestants import DDL, FLOOR, Contestant

WARM = 0.5
"""Each contestant runs untimed for at least so many seconds before the first repeat."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Result:
    """What one timed run gave."""

    seconds: float
    """Of all epochs."""
    accuracy: float
    """Share of the test examples predicted rightly; the mean over the networks."""


def rotated(items: Sequence[Item], by: int) -> list[Item]:
    """Return the items in turn, beginning with another one for each number.

    Examples
    --------
    >>> rotated("abc", 1)
    ['b', 'c', 'a']
    """
    start = by % len(items)
    return [*items[start:], *items[:start]]


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run(task: Task, contestant: Contestant, seed: int, threads: int) -> Result:
    """Train once.

    Parameters
    ----------
    task, contestant
        What is trained, and how.
    seed
        Of the initial weights and of the order of the examples.
    threads
        How many, where the contestant does not say.

    Returns
    -------
    Result
        Only the training itself is timed.
    """
    with on_threads(contestant.threads or threads):
        training = contestant.make(task, task.networks(seed, timed_members(task, contestant)), seed)
        gc.collect()
        start = time.perf_counter()
        training.fit()
        seconds = time.perf_counter() - start
        return Result(seconds, training.accuracy())


def timed_members(task: Task, contestant: Contestant) -> int:
    """Return how many networks of a task a contestant trains."""
    return min(task.members, contestant.members or task.members)


def race(
    task: Task,
    contestants: Sequence[Contestant],
    *,
    repeats: int,
    threads: int,
    warm: float = WARM,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, list[Result]]:
    """Let contestants train the same networks, in turn.

    Parameters
    ----------
    task
        What is trained; in repeat i from the initial weights of seed i.
    contestants
        Those whose packages are there.
    repeats
        How often each is timed.
    threads
        On how many threads, where the contestant does not say.
    warm
        For how many seconds at least each of them runs before, untimed, epoch by epoch.
    tell
        Is given a line on how far it has got.

    Returns
    -------
    dict
        For each name the results, one per repeat.
    """
    epoch = replace(task, epochs=1)
    tell(f"{task.name}: warming up")
    for contestant in contestants:
        end = time.perf_counter() + warm
        run(epoch, contestant, 0, threads)
        while time.perf_counter() < end:
            run(epoch, contestant, 0, threads)
    results: dict[str, list[Result]] = {contestant.name: [] for contestant in contestants}
    for repeat in range(repeats):
        tell(f"{task.name}: repeat {repeat + 1} of {repeats}")
        for contestant in rotated(contestants, repeat):
            results[contestant.name].append(run(task, contestant, repeat, threads))
    return results


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return the values of all repeats with their median and range."""
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": values}


def compare(
    task: Task,
    contestants: Sequence[Contestant],
    *,
    threads: int,
    **options: Any,  # noqa: ANN401 - passed on
) -> dict[str, Any]:
    """Race contestants and return all that was measured, ready for JSON.

    The parameters are those of :func:`race`, but contestants may be missing; the floor may not.
    """
    present = [contestant for contestant in contestants if contestant.version is not None]
    results = race(task, present, threads=threads, **options)
    # Per epoch of all networks, also where only some of them were trained.
    seconds = {
        one.name: [
            result.seconds / task.epochs * task.members / timed_members(task, one)
            for result in results[one.name]
        ]
        for one in present
    }

    def entry(one: Contestant) -> dict[str, Any]:
        known = {"name": one.name, "distribution": one.distribution, "version": one.version}
        if one.version is None:
            return known
        own = seconds[one.name]
        steps = task.steps_per_epoch * task.members
        return known | {
            "threads": one.threads or threads,
            "members_timed": timed_members(task, one),
            "seconds_per_epoch": spread(own),
            "microseconds_per_step": spread([1e6 * value / steps for value in own]),
            "test_accuracy": spread([result.accuracy for result in results[one.name]]),
            "ratios": {
                base: spread([value / other for value, other in zip(own, seconds[base], strict=True)])
                for base in (FLOOR, DDL)
                if base in seconds
            },
        }

    return {
        "name": task.name,
        "title": task.title,
        "notes": list(task.notes),
        "train_rows": len(task.train),
        "test_rows": len(task.test),
        "batch_size": task.batch_size,
        "epochs": task.epochs,
        "steps_per_epoch": task.steps_per_epoch,
        "members": task.members,
        "contestants": [entry(one) for one in contestants],
    }
