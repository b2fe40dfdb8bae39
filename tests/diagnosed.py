"""Small scripts to diagnose, sound and broken, for several test files."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

import ddl
from ddl.diagnosis.case import Case
from ddl.diagnosis.examples import examples
from ddl.diagnosis.running import _usual_step
from ddl.diagnosis.state import Snapshot


def wine():
    """Standardised training and validation data of three classes."""
    train, test = ddl.datasets.wine().split(0.7, 0.3, rng=ddl.rng(1))
    return train.standardized(), test.standardized(by=train)


def mlp(sizes=(13, 32, 3), activation=nn.ReLU, change=None):
    """Return a network, changed by a function of it."""
    model = ddl.models.MLP(sizes, activation, seed=0)
    if change is not None:
        torch.manual_seed(1)
        with torch.no_grad():
            change(model)
    return model


def sequential(*end, sizes=(13, 32, 3), between=nn.ReLU):
    """Return a network with more at its end."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(*sizes[:2]), between(), nn.Linear(*sizes[1:]), *end)


def sgd(model, lr=0.1, **options):
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr, **options)


def usual(model, loss, optimizer):
    """Return the step that everybody writes."""

    def step(x, y):
        model.train()
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value.item()

    return step


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


def accuracy_on(model, data):
    """Return an evaluation as it should be."""

    def evaluate():
        model.eval()
        with torch.no_grad():
            return (model(data.x).argmax(1) == data.y).float().mean().item()

    return evaluate


def diagnose(model=None, data=None, *, loss=F.cross_entropy, optimizer=None, step=None, **options):
    """Diagnose a network on wine with what is not given as it should be; a step is made from its parts."""
    torch.manual_seed(0)
    model = mlp() if model is None else model
    optimizer = sgd(model) if optimizer is None else optimizer(model)
    step = (usual if step is None else step)(model, loss, optimizer)
    return ddl.diagnose(
        model, wine()[0] if data is None else data, loss=loss, optimizer=optimizer, step=step, **options
    )


def case(model=None, data=None, *, loss=F.cross_entropy, optimizer=None, **options):
    """Return a case to measure, with the usual step."""
    model = mlp() if model is None else model
    optimizer = sgd(model) if optimizer is None else optimizer
    return Case(
        model=model,
        data=examples("data", wine()[0] if data is None else data, 0),
        validation=options.pop("validation", None),
        loss=loss,
        optimizer=optimizer,
        step=options.pop("step", _usual_step(model, loss, optimizer)),
        own_step=options.pop("own_step", False),
        evaluate=None,
        build=options.pop("build", None),
        seed=0,
        snapshot=Snapshot(model, optimizer),
    )
