"""What is trained: networks, data, and how many steps of which size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

import ddl
from ddl.datasets import Dataset

TILED_ROWS = 60_000
"""As many rows as MNIST's training set has."""


@dataclass(frozen=True)
class Task:
    """A training run that every contestant does in its own way.

    Parameters
    ----------
    name
        What it is called on the command line.
    title
        What stands above its table.
    network
        Makes the network with the initial weights of a seed.
    train, test
        Data sets with class labels.
    batch_size
        Examples per step; no fewer than there are means all at once, in order.
    epochs
        Passes over the training data.
    lr
        Adam's learning rate.
    members
        How many networks are trained, each with initial weights of its own.
    notes
        What a reader of the numbers must know.
    """

    name: str
    title: str
    network: Callable[[int], nn.Module]
    train: Dataset
    test: Dataset
    batch_size: int
    epochs: int
    lr: float = 1e-3
    members: int = 1
    notes: tuple[str, ...] = ()

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one network in one epoch."""
        return math.ceil(len(self.train) / self.batch_size)

    def networks(self, seed: int, count: int) -> list[nn.Module]:
        """Return the first of the members that start from a seed; no two seeds share a member."""
        return [self.network(seed * self.members + member) for member in range(count)]


def perceptron(sizes: Sequence[int], activation: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
    """Return what makes a multilayer perceptron of these sizes from a seed."""
    return lambda seed: ddl.models.MLP(sizes, activation, seed=seed)


def convolutional(seed: int) -> nn.Module:
    """Return a small convolutional network for images of 28 × 28 pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3),  # (n, 1, 28, 28) → (n, 8, 26, 26)
            nn.ReLU(),
            nn.MaxPool2d(2),  # (n, 8, 13, 13)
            nn.Conv2d(8, 16, 3),  # (n, 16, 11, 11)
            nn.ReLU(),
            nn.MaxPool2d(2),  # (n, 16, 5, 5)
            nn.Flatten(),
            nn.Linear(400, 10),
        )


def single(*, quick: bool) -> list[Task]:
    """Return the tasks in which one network is trained.

    Parameters
    ----------
    quick
        Whether to train for one epoch only, to see that everything works.
    """
    images, test_images = ddl.datasets.mnist().split(0.8, 0.2, rng=ddl.rng(1))
    train, test = (replace(data, x=data.x.flatten(1)) for data in (images, test_images))
    rows = torch.arange(8000 if quick else TILED_ROWS) % len(train)
    network = perceptron((784, 100, 10), nn.ReLU)
    tasks = [
        Task("mnist", "784–100–10 (ReLU) on MNIST's bundled images", network, train, test, 32, epochs=10),
        Task(
            "tiled",
            f"The same on {len(rows):,} rows".replace(",", " "),
            network,
            train[rows],
            test,
            32,
            epochs=2,
            notes=(
                f"These are the {len(train)} training images again and again, for the time that so many "
                "take. The accuracy only shows that all do the same job; on as many different images it is "
                "another.",
            ),
        ),
        Task(
            "cnn",
            "Convolutions 1→8→16 (3 × 3, ReLU, max pooling), linear layer",
            convolutional,
            images,
            test_images,
            32,
            epochs=3,
        ),
    ]
    return [replace(task, epochs=1) for task in tasks] if quick else tasks


def many(*, quick: bool) -> list[Task]:
    """Return the tasks in which many small networks are trained; the parameter is that of :func:`single`."""
    train, test = (ddl.datasets.spirals(n, rng=ddl.rng(n)) for n in (256, 1024))
    return [
        Task(
            f"spirals-{members}-{batch_size}",
            f"{members} networks 2–16–16–2 (tanh) on spirals, {batch_size} of {len(train)} rows a step",
            perceptron((2, 16, 16, 2), nn.Tanh),
            train,
            test,
            batch_size,
            epochs=1 if quick else epochs,
            lr=0.01,
            members=members,
        )
        for batch_size, epochs in ((32, 50), (len(train), 200))
        for members in (64, 256)
    ]
