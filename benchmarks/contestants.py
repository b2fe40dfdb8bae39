"""Who takes part in which comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from benchmarks import loops, machine, peers
from benchmarks.cases import Task
from benchmarks.training import Training

FLOOR = "floor"
"""The contestant that all others are compared with: the hand-written loop on one thread."""

DDL = "ddl"
"""The book's package, as it is called in the chapters."""

SAMPLE = 16
"""So many of the networks are trained by the variants of the floor that are only there for comparison."""


@dataclass(frozen=True)
class Contestant:
    """A way to train.

    Parameters
    ----------
    name
        What the tables call it.
    make
        Prepares a training of some networks, with a seed.
    distribution
        The package that it needs.
    threads
        On how many threads it runs. Default: on as many as all others.
    members
        How many networks of a task it trains at most, where time does not allow for all.
    """

    name: str
    make: Callable[[Task, Sequence[nn.Module], int], Training]
    distribution: str = "torch"
    threads: int | None = None
    members: int | None = None

    @property
    def version(self) -> str | None:
        """The version of its package; None if that is not installed."""
        return machine.version(self.distribution)


OURS = "dissecting-deep-learning"


def for_one(task: Task) -> list[Contestant]:
    """Return the contestants for one network."""
    contestants = [
        Contestant(FLOOR, loops.Floor),
        Contestant("floor fused", partial(loops.Floor, fused=True)),
        Contestant(DDL, loops.Fit, OURS),
        Contestant("ddl fused", partial(loops.Fit, fused=True), OURS),
        Contestant("DataLoader", loops.Loader),
        Contestant("scikit-learn", peers.ScikitLearn, "scikit-learn"),
        Contestant("Keras", peers.Keras, "keras"),
        Contestant("skorch", peers.Skorch, "skorch"),
        Contestant("Lightning", peers.Lightning, "lightning"),
    ]
    takes_part = {"scikit-learn": all(not isinstance(m, nn.Conv2d) for m in task.network(0).modules())}
    return [one for one in contestants if takes_part.get(one.name, True)]


def for_many(task: Task) -> list[Contestant]:
    """Return the contestants for many small networks; the floor trains them one after the other."""
    contestants = [
        Contestant(FLOOR, loops.Floor, threads=1),
        Contestant("floor on 2 threads", loops.Floor, threads=2, members=SAMPLE),
        Contestant("floor fused", partial(loops.Floor, fused=True), threads=1, members=SAMPLE),
        Contestant(DDL, loops.Fit, OURS, threads=1),
        Contestant("ddl on 2 threads", loops.Fit, OURS, threads=2),
        Contestant("ddl fused", partial(loops.Fit, fused=True), OURS, threads=1),
    ]
    if task.steps_per_epoch > 1:
        own = Contestant("ddl own batches", partial(loops.Fit, own_batches=True), OURS, threads=1)
        contestants.append(own)
    return contestants
