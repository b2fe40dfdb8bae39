"""Small models for the exercises on debugging, some of them with a known illness."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Patient:
    """A model with its data, the parameters that get no gradient, and what to say to who gets them wrong."""

    model: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    silent: tuple[str, ...]
    missed: str = ""
    accused: str = ""


class _Cut(nn.Module):
    """Two layers, the second of which sees a detached copy of what the first says."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.encoder(x)).detach())


class _Forgetful(nn.Module):
    """Three layers, one of which is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(6, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.first(x)))


class _BodyAndHead(nn.Module):
    """A classifier of ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def regressor() -> nn.Module:
    """Return a linear model of three inputs, the same in every call."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = nn.Linear(3, 1)
        model.weight.copy_(torch.tensor([[0.5, -1.0, 2.0]]))
        model.bias.fill_(0.3)
    return model


def fine_tuned() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a classifier of ten classes, and examples of four others."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return _BodyAndHead(), torch.randn(40, 4), torch.arange(40) % 4


def with_state() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """Return a network with batch norm and dropout, and 19 examples of three classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
        x = 2 * torch.randn(19, 4) + 1
        model(x)  # so that the running statistics are not those of a fresh layer
        return model, x, torch.arange(19) % 3


def patients() -> list[Patient]:
    """Return models in which some parameters get no gradient, and models in which one might think so."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        x, y = torch.randn(12, 4), torch.arange(12) % 2

        dead = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
        nn.init.constant_(dead[0].bias, -100)
        frozen = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
        frozen[0].requires_grad_(False)
        even = nn.Sequential(nn.Linear(4, 2))
        nn.init.zeros_(even[0].weight)
        nn.init.zeros_(even[0].bias)
        weak = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
        nn.init.constant_(weak[2].weight, 1e-9)
        with torch.no_grad():
            weak[2].weight[1] = -1e-9
        half = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
        with torch.no_grad():
            half[0].bias[:3] = -100
        stale = _Cut()
        for parameter in stale.parameters():
            parameter.grad = torch.ones_like(parameter)
        sound = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))

        return [
            Patient(
                _Cut(), x, y, ("encoder.weight", "encoder.bias"),
                missed="A layer whose output is detached is missing from your list.",
                accused="The layer behind a detach does get gradients.",
            ),
            Patient(
                even, x, (torch.arange(12) < 4).long(), (),
                accused="You accuse a bias whose gradients sum to 0. They are not 0, each by itself.",
            ),
            Patient(sound, x, y, (), accused="You accuse a sound model."),
            Patient(
                _Forgetful(), x, y, ("second.weight", "second.bias"),
                missed="A layer that forward never calls is missing from your list: its gradient is None.",
                accused="In a model with an unused layer you accuse the others as well.",
            ),
            Patient(
                dead, x, y, ("0.weight", "0.bias", "2.weight"),
                missed="Units that are off for every example are missing: their gradient is there, and 0.",
                accused="The bias behind units that are off does get a gradient.",
            ),
            Patient(
                frozen, x, y, (),
                accused="A layer that is frozen on purpose (requires_grad is False) is no mistake.",
            ),
            Patient(
                stale, x, y, ("encoder.weight", "encoder.bias"),
                missed="A model that came with gradients from before has fooled you. Zero them first.",
                accused="A model that came with gradients from before has fooled you. Zero them first.",
            ),
            Patient(
                weak, x, y, (),
                accused="You accuse parameters whose gradients are tiny. That is another illness.",
            ),
            Patient(
                half, x, y, (),
                accused="You accuse a layer in which some units are off. The others get gradients.",
            ),
        ]  # fmt: skip
