"""Small training runs, for several test files."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ddl import datasets
from ddl.models import MLP
from ddl.training import fit


def moons(n=70, seed=0):
    return datasets.moons(n, rng=np.random.default_rng(seed))


def network(seed=0, outputs=2):
    return MLP((2, 5, outputs), seed=seed)


def train(model=None, data=None, **options):
    """Call fit with small defaults."""
    defaults = {"loss": nn.CrossEntropyLoss(), "epochs": 3, "lr": 0.1}
    options = {key: value for key, value in {**defaults, **options}.items() if value is not ...}
    return fit(network() if model is None else model, moons() if data is None else data, **options)


def values(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class CountingSGD(torch.optim.SGD):
    """Counts what is asked of it."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.1)
        self.calls = []

    def zero_grad(self, *arguments, **options):
        self.calls.append("zero_grad")
        super().zero_grad(*arguments, **options)

    def step(self, *arguments, **options):
        self.calls.append("step")
        return super().step(*arguments, **options)
