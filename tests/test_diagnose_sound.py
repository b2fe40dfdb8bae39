"""Sound training steps and models are left alone, those that look odd too."""

from __future__ import annotations

import math
import time

import pytest
import torch
from diagnosed import diagnose, mlp, of_lines, sequential, sgd, usual
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

import ddl


def frozen(everything=False):
    model = mlp()
    (model if everything else model.hidden1).requires_grad_(False)
    return model


def batch_norm():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(13, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3))


def made(options):
    """Return the options with their models made."""
    return {key: value() if key == "model" else value for key, value in options.items()}


class Block(nn.Module):
    """A residual block whose branch starts at zero."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.first, self.second = (
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.Linear(width, width),
        )
        nn.init.zeros_(self.second.weight)

    def forward(self, x):
        return x + self.second(F.gelu(self.first(self.norm(x))))


def residual():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(13, 32), *[Block(32) for _ in range(6)], nn.Linear(32, 3))
    nn.init.zeros_(model[-1].weight)
    return model


def accumulating(model, loss, optimizer):
    calls = []

    def step(x, y):
        (loss(model(x), y) / 4).backward()
        calls.append(1)
        if len(calls) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()

    return step


def warming_up(model, loss, optimizer):
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: min(1, epoch / 100))

    def step(x, y):
        usual(model, loss, optimizer)(x, y)
        schedule.step()

    return step


def by_hand(model, loss, optimizer):
    def step(x, y):
        model.zero_grad()
        loss(model(x), y).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad

    return step


def in_two_parts(model, loss, optimizer):
    """Return a step that cuts the batch up and clips."""

    def step(x, y):
        model.train()
        for part in torch.arange(len(x)).chunk(2):
            optimizer.zero_grad()
            loss(model(x[part]), y[part]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return step


SOUND = {
    "usual": {},
    "logging": {"step": of_lines("train", "zero", "loss", "backward", "step")},
    "cleared after": {"step": of_lines("backward", "step", "zero")},
    "adam": {"optimizer": lambda model: torch.optim.Adam(model.parameters(), lr=1e-3)},
    "momentum": {"optimizer": lambda model: sgd(model, momentum=0.9, nesterov=True, weight_decay=1e-4)},
    "adamw": {"optimizer": lambda model: torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)},
    "smoothing": {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)},
    "weights": {"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0, 1.0]))},
    "log softmax": {"model": lambda: sequential(nn.LogSoftmax(1)), "loss": F.nll_loss},
    "batch norm": {"model": batch_norm},
    "residual": {"model": residual, "optimizer": lambda m: torch.optim.AdamW(m.parameters(), lr=3e-3)},
    "accumulating": {"step": accumulating},
    "warming up": {"step": warming_up, "optimizer": lambda m: torch.optim.AdamW(m.parameters(), lr=1e-2)},
    "by hand": {"step": by_hand},
    "in parts": {"step": in_two_parts, "model": batch_norm},
    "linear": {"model": lambda: nn.Linear(13, 3)},
    "tanh": {"model": lambda: mlp((13, 16, 16, 3), nn.Tanh)},
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_script_has_no_findings(name):
    report = diagnose(**made(SOUND[name]))
    assert report.names == ()
    assert not [reason for reason in report.skipped.values() if "itself" in reason]


def test_a_backbone_frozen_on_purpose_is_a_note():
    report = diagnose(model=frozen())  # the optimiser of these tests leaves out what is frozen
    assert [(finding.name, finding.severity) for finding in report.findings] == [
        ("frozen-parameters", "note")
    ]


def report_data():
    return ddl.datasets.wine().standardized()


def test_a_model_that_is_trained_is_no_trouble():
    model = mlp()
    optimizer = sgd(model)
    data = report_data()
    for _ in range(200):
        usual(model, F.cross_entropy, optimizer)(data.x, data.y)
    report = ddl.diagnose(model, data, loss=F.cross_entropy, optimizer=optimizer)
    assert report.names == ()
    assert "learned the batch already" in report.skipped["learning-rate"]


# Sound scripts that look odd


def with_lbfgs(model, loss, optimizer):
    def step(x, y):
        def closure():
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
            return value

        return optimizer.step(closure)

    return step


def mixing_up(model, loss, optimizer):
    """Return a step on sums of examples, the other half of the targets first."""

    def step(x, y):
        order = torch.randperm(len(x))
        output = model(0.7 * x + 0.3 * x[order])
        optimizer.zero_grad()
        (0.3 * loss(output, y[order]) + 0.7 * loss(output, y)).backward()
        optimizer.step()

    return step


def shuffling_both(model, loss, optimizer):
    def step(x, y):
        order = torch.randperm(len(x))
        usual(model, loss, optimizer)(x[order], y[order])

    return step


def refusing_nan(model, loss, optimizer):
    def step(x, y):
        value = usual(model, loss, optimizer)(x, y)
        if not math.isfinite(value):
            raise FloatingPointError("the loss is not finite")

    return step


def with_noise_of_its_own(model, loss, optimizer):
    noise = (0.3 * torch.randn(124, 13) for _ in iter(int, 1))

    def step(x, y):
        usual(model, loss, optimizer)(x + next(noise)[: len(x)], y)

    return step


ODD = {
    "lbfgs": {"step": with_lbfgs, "optimizer": lambda m: torch.optim.LBFGS(m.parameters(), 0.1, max_iter=4)},
    "mixing up": {"step": mixing_up},
    "shuffling": {"step": shuffling_both},
    "refusing": {"step": refusing_nan},
    "own noise": {"step": with_noise_of_its_own},
    "zero softmax regression": {"model": lambda: zeroed(nn.Linear(13, 3))},
    "weight norm": {"model": lambda: weight_normalised()},
    "rmsprop": {"optimizer": lambda model: torch.optim.RMSprop(model.parameters(), lr=1e-3)},
    "adagrad": {"optimizer": lambda model: torch.optim.Adagrad(model.parameters(), lr=0.05)},
}  # fmt: skip


def weight_normalised():
    torch.manual_seed(0)
    return nn.Sequential(weight_norm(nn.Linear(13, 32)), nn.ReLU(), nn.Linear(32, 3))


def zeroed(module):
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


@pytest.mark.parametrize("name", ODD)
def test_an_odd_but_sound_script_has_no_errors(name):
    report = diagnose(**made(ODD[name]))
    assert [finding.name for finding in report.errors] == []
    assert not [reason for reason in report.skipped.values() if "itself" in reason]


def test_a_slow_model_gets_a_smaller_batch():
    rows = []

    class Slow(nn.Linear):
        def forward(self, x):
            rows.append(len(x))
            time.sleep(0.004 * len(x))
            return super().forward(x)

    optimizer = lambda model: sgd(model, lr=0.0)  # noqa: E731 - with which little is tried
    assert diagnose(model=Slow(13, 3), optimizer=optimizer).names == ("parameters-not-changing",)
    assert rows[0] == 64
    assert sorted(rows)[len(rows) // 2] <= 32
