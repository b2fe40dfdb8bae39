"""Broken training steps, losses and models are named first."""

from __future__ import annotations

import copy

import matplotlib.pyplot as plt
import pytest
import torch
from diagnosed import diagnose, mlp, of_lines, sequential, sgd, usual
from torch import nn
from torch.nn import functional as F


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


def collapsing(model, loss, optimizer):
    """Return a step with a schedule that is meant for epochs."""
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def step(x, y):
        usual(model, loss, optimizer)(x, y)
        schedule.step()

    return step


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
        {"model": lambda: sequential(nn.Softmax(1)), "loss": F.nll_loss},
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
        {
            "optimizer": lambda m: torch.optim.SGD(
                [{"params": m.hidden1.parameters(), "lr": 0.0}, {"params": m.output.parameters()}], lr=0.1
            )
        },
    ],
    "gradients-not-zeroed": [
        {"step": of_lines("backward", "step")},
        {"step": of_lines("backward", "step"), "optimizer": lambda m: torch.optim.Adam(m.parameters())},
    ],
    "no-backward": [{"step": of_lines("zero", "loss", "step")}],
    "learning-rate-too-small": [
        {"optimizer": lambda model: sgd(model, lr=1e-6)},
        {"optimizer": lambda model: torch.optim.Adam(model.parameters(), lr=1e-7)},
        {"step": collapsing},
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
    "output-size": [
        {"model": lambda: mlp((13, 32, 1)), "loss": lambda output, y: F.mse_loss(output[:, 0], y.float())},
        {"model": lambda: mlp((13, 32, 1)), "loss": lambda output, y: F.cross_entropy(output, 0 * y)},
    ],
    "evaluation-in-train-mode": [{"model": lambda: Hidden(F.dropout)}],
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
