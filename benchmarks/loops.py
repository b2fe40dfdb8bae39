"""Training with the book's package, and with loops of plain PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import ddl
from benchmarks.cases import Task
from benchmarks.training import Training


class Fit(Training):
    """:func:`ddl.fit`.

    Parameters
    ----------
    task, models, seed
        As for every training.
    fused
        Whether Adam changes all parameters in one pass.
    own_batches
        Whether each of several networks gets the examples in an order of its own.
    """

    def __init__(
        self,
        task: Task,
        models: Sequence[nn.Module],
        seed: int,
        *,
        fused: bool = False,
        own_batches: bool = False,
    ) -> None:
        super().__init__(task, models, seed)
        self.fused = fused
        self.seeds = range(seed, seed + len(models)) if own_batches else seed

    def fit(self) -> None:
        """Train; of several networks, making the ensemble is a part of it, since a loop needs none."""
        self.assemble()
        self.train()

    def assemble(self) -> None:
        """Make what is trained of the networks."""
        self.model = self.models[0] if self.task.members == 1 else ddl.Ensemble(self.models)

    def train(self) -> None:
        """Train what has been made."""
        ddl.fit(
            self.model,
            self.task.train,
            loss=nn.CrossEntropyLoss(),
            epochs=self.task.epochs,
            lr=self.task.lr,
            optimizer="adam",
            fused=self.fused,
            batch_size=self.task.batch_size,
            seed=self.seeds,
        )

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Return the labels, shape (models, n)."""
        return self.model(x).argmax(-1).reshape(len(self.models), -1)


class Floor(Training):
    """The shortest loop by hand: slices of a permutation, and no more than a step needs.

    Several networks are trained one after the other.

    Parameters
    ----------
    task, models, seed
        As for every training.
    fused
        Whether Adam changes all parameters in one pass.
    """

    def __init__(self, task: Task, models: Sequence[nn.Module], seed: int, *, fused: bool = False) -> None:
        super().__init__(task, models, seed)
        self.optimizers = [adam(task, model, fused=fused) for model in models]
        torch.manual_seed(seed)

    def fit(self) -> None:
        """Train."""
        for model, optimizer in zip(self.models, self.optimizers, strict=True):
            for _ in range(self.task.epochs):
                for x, y in self.batches():
                    optimizer.zero_grad(set_to_none=True)
                    F.cross_entropy(model(x), y).backward()
                    optimizer.step()

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Return the batches of one epoch."""
        x, y = self.task.train.x, self.task.train.y
        if self.task.steps_per_epoch == 1:
            return iter([(x, y)])
        orders = torch.randperm(len(x)).split(self.task.batch_size)
        return ((x[rows], y[rows]) for rows in orders)


class Loader(Training):
    """The customary loop: a ``DataLoader`` that shuffles, in the same process."""

    def __init__(self, task: Task, models: Sequence[nn.Module], seed: int) -> None:
        super().__init__(task, models, seed)
        (self.model,) = models
        self.optimizer = adam(task, self.model)
        self.batches = loader(task)
        torch.manual_seed(seed)

    def fit(self) -> None:
        """Train."""
        for _ in range(self.task.epochs):
            for x, y in self.batches:
                self.optimizer.zero_grad()
                F.cross_entropy(self.model(x), y).backward()
                self.optimizer.step()


def adam(task: Task, model: nn.Module, *, fused: bool = False) -> torch.optim.Adam:
    """Return the optimiser of a task."""
    return torch.optim.Adam(model.parameters(), lr=task.lr, fused=fused or None)


def loader(task: Task) -> DataLoader:
    """Return the training data of a task as batches in a new random order for each epoch."""
    data = TensorDataset(task.train.x, task.train.y)
    return DataLoader(data, batch_size=task.batch_size, shuffle=True, num_workers=0)
