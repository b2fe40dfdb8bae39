"""Broken training steps, losses and models are named; sound ones are left alone."""

from __future__ import annotations

import copy

import matplotlib.pyplot as plt
import pytest
import torch
from diagnosed import diagnose, mlp, sgd, usual
from torch import nn
from torch.nn import functional as F

import ddl


def sequential(*end, sizes=(13, 32, 3), between=nn.ReLU):
    """Return a network with more at its end."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(*sizes[:2]), between(), nn.Linear(*sizes[1:]), *end)


def of_lines(*lines):
    """Return what makes a step that does the things named, in this order."""

    def make(model, loss, optimizer):
        def step(x, y):
            value = None
            for line in lines:
                if line == "zero":
                    optimizer.zero_grad()
                elif line == "loss":
                    value = loss(model(x), y)
                elif line == "backward":
                    if value is None:
                        value = loss(model(x), y)
                    value.backward()
                elif line == "clip":
                    nn.utils.clip_grad_norm_(model.parameters(), 1e-5)
                elif line == "clip values":
                    nn.utils.clip_grad_value_(model.parameters(), 1e-7)
                else:
                    getattr(model if line in ("train", "eval") else optimizer, line)()
            return value

        return step

    return make


def with_loss(change):
    """Return what makes the usual step of a loss that is changed: a function of model, x and y."""

    def make(model, loss, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            change(model, x, y).backward()
            optimizer.step()

        return step

    return make


class Hidden(nn.Module):
    """Two layers, with something done between them."""

    def __init__(self, between):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.between = nn.Linear(13, 32), nn.Linear(32, 3), between

    def forward(self, x):
        return self.second(self.between(F.relu(self.first(x))))


class Unrecorded(nn.Module):
    """A first layer under torch.no_grad()."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(13, 32), nn.Linear(32, 3)

    def forward(self, x):
        with torch.no_grad():
            hidden = F.relu(self.first(x))
        return self.second(hidden)


class Listed(nn.Module):
    """Layers in a Python list."""

    def __init__(self):
        super().__init__()
        self.layers, self.last = [nn.Linear(13, 32)], nn.Linear(32, 3)

    def forward(self, x):
        return self.last(F.relu(self.layers[0](x)))


def unused():
    model = Hidden(nn.Identity())
    model.spare = nn.Linear(4, 4)
    return model


def frozen(everything=False):
    model = mlp()
    (model if everything else model.hidden1).requires_grad_(False)
    return model


def normal(layer, spread):
    return lambda model: nn.init.normal_(getattr(model, layer).weight, 0, spread)


def all_parameters(value):
    return lambda model: [parameter.fill_(value) for parameter in model.parameters()]


def deep(activation, spread=None):
    def change(model):
        for parameter in model.parameters():
            if spread is not None:
                nn.init.normal_(parameter, 0, spread)

    return mlp((13, *[32] * 7, 3), activation, change)


def batch_norm():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(13, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3))


PLANTED = {
    "double-softmax": [
        {"model": lambda: sequential(nn.Softmax(1))},
        {"loss": lambda output, y: F.cross_entropy(output.softmax(1), y)},
        {"step": with_loss(lambda model, x, y: F.cross_entropy(F.softmax(model(x), dim=1), y))},
    ],
    "missing-activation": [
        {"loss": F.nll_loss},
        {"model": lambda: sequential(between=nn.Identity)},
        {"loss": lambda output, y: -output.gather(1, y[:, None]).log().mean()},
    ],
    "final-activation": [
        {"model": lambda: sequential(nn.ReLU())},
        {"model": lambda: sequential(nn.Sigmoid())},
        {"model": lambda: sequential(nn.Tanh())},
    ],
    "loss-reduction": [
        {"loss": nn.CrossEntropyLoss(reduction="sum")},
        {"loss": nn.CrossEntropyLoss(reduction="none")},
        {"loss": lambda output, y: F.cross_entropy(output, y) / len(y)},
        {"step": with_loss(lambda model, x, y: F.cross_entropy(model(x), y) / len(x))},
    ],
    "initial-loss": [{"model": lambda: mlp(change=normal("output", 5))}],
    "mixes-examples": [
        {"model": lambda: sequential(nn.Softmax(0))},
        {"model": lambda: Hidden(lambda h: h - h.mean(0))},
        {"model": lambda: Hidden(lambda h: h.T.reshape(h.shape))},
    ],
    "ignores-input": [{"model": lambda: Hidden(lambda h: h[:1].expand_as(h) * 0 + 1)}],
    "parameters-not-in-optimizer": [
        {"optimizer": lambda model: sgd(model.output)},
        {"optimizer": lambda model: sgd(copy.deepcopy(model))},
        {"model": Listed},
    ],
    "no-gradient": [
        {"model": Unrecorded},
        {"model": lambda: Hidden(torch.round)},
        {"step": lambda *parts: torch.no_grad()(usual(*parts))},
        {"step": with_loss(lambda model, x, y: (model(x).argmax(1) != y).float().mean())},
    ],
    "detached": [
        {"model": lambda: Hidden(lambda h: h.detach())},
        {"model": lambda: Hidden(lambda h: h.data)},
        {"model": lambda: Hidden(lambda h: torch.tensor(h.tolist()))},
        {"model": lambda: Hidden(lambda h: torch.from_numpy(h.detach().numpy()))},
        {
            "step": with_loss(
                lambda model, x, y: torch.tensor(F.cross_entropy(model(x), y).item(), requires_grad=True)
            )
        },
        {"step": with_loss(lambda model, x, y: F.cross_entropy(model.output(model[:2](x).detach()), y))},
    ],
    "parameters-not-changing": [
        {"step": of_lines("zero", "backward")},
        {"step": of_lines("zero", "step", "backward")},
        {"step": of_lines("backward", "zero", "step")},
        {"optimizer": lambda model: sgd(model, lr=0.0)},
    ],
    "gradients-not-zeroed": [
        {"step": of_lines("backward", "step")},
        {"step": of_lines("backward", "step"), "optimizer": lambda m: torch.optim.Adam(m.parameters())},
    ],
    "no-backward": [{"step": of_lines("zero", "loss", "step")}],
    "learning-rate-too-small": [
        {"optimizer": lambda model: sgd(model, lr=1e-6)},
        {"optimizer": lambda model: torch.optim.Adam(model.parameters(), lr=1e-7)},
    ],
    "learning-rate-too-large": [
        {"optimizer": lambda model: sgd(model, lr=100.0)},
        {"optimizer": lambda model: torch.optim.Adam(model.parameters(), lr=5.0)},
    ],
    "maximises-loss": [
        {"optimizer": lambda model: sgd(model, maximize=True)},
        {"loss": lambda output, y: -F.cross_entropy(output, y)},
        {"step": with_loss(lambda model, x, y: -F.cross_entropy(model(x), y))},
        {"loss": lambda output, y: output.log_softmax(1).gather(1, y[:, None]).mean()},
    ],
    "vanishing-gradients": [{"model": lambda: deep(nn.Sigmoid)}],
    "exploding-gradients": [{"model": lambda: deep(nn.ReLU, 1.5)}],
    "dead-units": [{"model": lambda: mlp(change=lambda model: model.hidden1.bias.fill_(-20))}],
    "saturated-units": [{"model": lambda: mlp(activation=nn.Tanh, change=normal("hidden1", 10))}],
    "symmetric-units": [{"model": lambda: mlp(change=all_parameters(0.1))}],
    "zero-initialisation": [{"model": lambda: mlp(change=all_parameters(0.0))}],
    "training-in-eval-mode": [
        {"model": batch_norm, "step": of_lines("eval", "zero", "backward", "step")},
        {"model": lambda: batch_norm().eval(), "step": of_lines("zero", "backward", "step")},
    ],
    "frozen-parameters": [
        {"model": frozen},
        {"model": lambda: frozen(True), "optimizer": lambda m: torch.optim.SGD(m.parameters(), lr=0.1)},
    ],
    "unused-parameters": [{"model": unused}],
    "weight-decay-too-large": [
        {"optimizer": lambda model: sgd(model, weight_decay=1.0)},
        {"optimizer": lambda model: torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=20.0)},
        {
            "step": with_loss(
                lambda model, x, y: F.cross_entropy(model(x), y)
                + 5 * sum(parameter.square().sum() for parameter in model.parameters())
            )
        },
    ],
    "gradient-clipped-to-nothing": [
        {"step": of_lines("zero", "backward", "clip", "step")},
        {"step": of_lines("zero", "backward", "clip values", "step")},
    ],
    "forward-fails": [{"model": lambda: mlp((12, 8, 3))}],
    "step-fails": [{"loss": lambda output, y: F.mse_loss(output, y.nothing)}, {"step": of_lines("nonsense")}],
    "loss-not-finite": [
        {"loss": lambda output, y: F.cross_entropy(output, y) + (0 * output).sqrt().mean()},
        {"loss": lambda output, y: F.cross_entropy(output, y) + torch.tensor(0.0).log()},
    ],
    "labels-misaligned": [
        {"step": with_loss(lambda model, x, y: F.cross_entropy(model(x), y[torch.randperm(len(y))]))}
    ],
    "cannot-overfit-one-batch": [
        {"step": with_loss(lambda model, x, y: F.cross_entropy(model(torch.randn_like(x)), y))}
    ],
}  # fmt: skip


def planted():
    return [
        pytest.param(name, options, id=f"{name}-{number}")
        for name, all_options in PLANTED.items()
        for number, options in enumerate(all_options)
    ]


def made(options):
    """Return the options with their models made."""
    return {key: value() if key == "model" else value for key, value in options.items()}


@pytest.mark.parametrize(("name", "options"), planted())
def test_a_planted_mistake_is_named_first(name, options):
    report = diagnose(**made(options))
    assert report.names[:1] == (name,)
    assert report.findings[0].evidence
    assert not [reason for reason in report.skipped.values() if "itself" in reason]
    plt.close(report.plot())


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
