"""What every contestant is: something that trains the networks it is given, and predicts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from benchmarks.cases import Task


class Training:
    """One training run, ready to start.

    Whatever is done here, in the constructor, is not timed: building the network, copying initial weights,
    bringing the data into the form that the contestant takes.

    Parameters
    ----------
    task
        What is to be trained.
    models
        The networks with their initial weights; trained in place, or copied.
    seed
        Chooses the order of the examples.
    """

    def __init__(self, task: Task, models: Sequence[nn.Module], seed: int) -> None:
        self.task, self.models, self.seed = task, models, seed

    def fit(self) -> None:
        """Train for the task's epochs. This is what is timed."""
        raise NotImplementedError

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Return the labels that each network gives to some inputs, shape (models, n)."""
        return torch.stack([model.eval()(x).argmax(1) for model in self.models])

    def accuracy(self) -> float:
        """Return the share of the test examples that are predicted rightly, averaged over the networks."""
        test = self.task.test
        return (self.predict(test.x) == test.y).double().mean().item()
