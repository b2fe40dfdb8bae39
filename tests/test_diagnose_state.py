"""A diagnosis leaves no trace."""

from __future__ import annotations

import collections
import copy
import random

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from diagnosed import usual, wine
from torch import nn
from torch.nn import functional as F
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

import ddl
from ddl.diagnosis.state import Snapshot

LOSS = nn.CrossEntropyLoss()


class Stateful(nn.Module):
    """Dropout, batch norm, a counter, a hook and modes that differ."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.drop = nn.Linear(13, 16), nn.BatchNorm1d(16), nn.Dropout(0.2)
        self.last = nn.Linear(16, 3)
        self.calls, self.outputs = 0, []
        self.drop.eval()
        self.last.bias.requires_grad_(False)
        self.first.register_forward_hook(lambda *_: None)

    def forward(self, x):
        self.calls += 1
        self.outputs.append(x.mean().item())
        self.latest = x
        return self.last(self.drop(F.relu(self.norm(self.first(x)))))


def picture(model, optimizer):
    """Return everything that must stay as it is, with its values."""
    parameters = dict(model.named_parameters())
    return copy.deepcopy(
        {
            "state": model.state_dict(),
            "gradients": {name: parameter.grad for name, parameter in parameters.items()},
            "wants": {name: parameter.requires_grad for name, parameter in parameters.items()},
            "modes": {name: module.training for name, module in model.named_modules()},
            "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
            "hooks": {
                name: [len(h) for key, h in sorted(vars(module).items()) if "hooks" in key]
                for name, module in model.named_modules()
            },
            "counters": (getattr(model, "calls", 0), getattr(model, "outputs", [])),
            "optimizer": optimizer.state_dict(),
            "step hooks": (len(_global_optimizer_pre_hooks), len(_global_optimizer_post_hooks)),
            "torch": torch.get_rng_state(),
            "numpy": np.random.get_state()[1],  # noqa: NPY002
            "python": random.getstate(),
            "records": torch.is_grad_enabled(),
        }
    )


def equal(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def differences(first, second):
    return [key for key in first if not equal(first[key], second[key])]


def prepared(optimizer=torch.optim.Adam):
    """Return a model that has been trained for a step, with gradients, and its optimiser."""
    model = Stateful()
    made = optimizer([p for p in model.parameters() if p.requires_grad], lr=0.01)
    x, y = wine()[0].x, wine()[0].y
    model.train()
    LOSS(model(x), y).backward()
    made.step()
    model.drop.eval()
    return model, made


def raising(function, at):
    """Return a function that raises in one of its calls."""
    calls = iter(range(10**9))

    def call(*args):
        if next(calls) == at:
            raise RuntimeError("planted")
        return function(*args)

    return call


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD, torch.optim.AdamW])
def test_everything_is_put_back(optimizer, training):
    model, made = prepared(optimizer)
    model.train(training)
    train, test = wine()
    before = picture(model, made)
    gradient = model.first.weight.grad

    def evaluate():
        model.eval()
        random.random()
        np.random.rand()  # noqa: NPY002
        return LOSS(model(test.x), test.y).item()

    report = ddl.diagnose(
        model, train, loss=LOSS, optimizer=made, step=usual(model, LOSS, made), validation=test,
        evaluate=evaluate, build=Stateful,
    )  # fmt: skip
    plt.close(report.plot())
    assert differences(before, picture(model, made)) == []
    assert model.first.weight.grad is gradient


@pytest.mark.parametrize("at", [0, 1, 2, 5, 17, 60])
@pytest.mark.parametrize("where", ["model", "loss", "step", "evaluate"])
def test_everything_is_put_back_after_an_error(where, at):
    model, made = prepared()
    loss = raising(LOSS, at) if where == "loss" else LOSS
    step = usual(model, loss, made)
    step = raising(step, at) if where == "step" else step
    if where == "model":
        vars(model)["forward"] = raising(model.forward, at)
    evaluate = raising(lambda: 0.0, 0) if where == "evaluate" else None
    before = picture(model, made)
    report = ddl.diagnose(model, wine()[0], loss=loss, optimizer=made, step=step, evaluate=evaluate)
    assert differences(before, picture(model, made)) == []
    if where == "evaluate":
        assert "evaluation-fails" in report


def test_everything_is_put_back_after_an_interruption():
    model, made = prepared()
    calls = []

    def step(x, y):
        calls.append(1)
        usual(model, LOSS, made)(x, y)
        if len(calls) > 3:
            raise KeyboardInterrupt

    before = picture(model, made)
    with pytest.raises(KeyboardInterrupt):
        ddl.diagnose(model, wine()[0], loss=LOSS, optimizer=made, step=step)
    assert differences(before, picture(model, made)) == []


def test_an_optimiser_that_nobody_passed_is_put_back():
    model, made = prepared()
    holder = [made]  # a way that only the step knows
    before = picture(model, made)
    trainers = {"go": usual(model, LOSS, holder[0])}
    ddl.diagnose(model, wine()[0], loss=LOSS, step=lambda x, y: trainers["go"](x, y))
    assert differences(before, picture(model, made)) == []


def test_what_a_step_closes_over_is_put_back():
    model, made = prepared()
    schedule = torch.optim.lr_scheduler.StepLR(made, step_size=1, gamma=0.9)
    losses, counts, count = [0.5], collections.Counter(), 0
    average = copy.deepcopy(model)
    generator, numbers = torch.Generator().manual_seed(3), np.random.default_rng(4)

    def step(x, y):
        nonlocal count
        count += 1
        counts["steps"] += 1
        noisy = x + 0.01 * torch.randn(x.shape, generator=generator) + 0.01 * numbers.normal()
        losses.append(usual(model, LOSS, made)(noisy, y))
        schedule.step()
        with torch.no_grad():
            for ours, theirs in zip(average.parameters(), model.parameters(), strict=True):
                ours.lerp_(theirs, 0.1)

    states = generator.get_state(), numbers.bit_generator.state
    kept, scheduled = copy.deepcopy(average.state_dict()), copy.deepcopy(schedule.state_dict())
    ddl.diagnose(model, wine()[0], loss=LOSS, optimizer=made, step=step)
    assert (losses, dict(counts), count) == ([0.5], {}, 0)
    assert equal(kept, average.state_dict())
    assert scheduled == schedule.state_dict()
    assert torch.equal(states[0], generator.get_state())
    assert states[1] == numbers.bit_generator.state


def test_a_loader_deals_out_as_if_nothing_had_been_read():
    train = wine()[0]
    data = torch.utils.data.TensorDataset(train.x, train.y)

    def first_batch(diagnosed):
        generator = torch.Generator().manual_seed(5)
        loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True, generator=generator)
        if diagnosed:
            model, made = prepared()
            ddl.diagnose(model, loader, loss=LOSS, optimizer=made)
        return next(iter(loader))[1]

    assert torch.equal(first_batch(True), first_batch(False))


def test_nothing_is_printed(capsys):
    model, made = prepared()

    def step(x, y):
        print("epoch", x.shape)
        return usual(model, LOSS, made)(x, y)

    ddl.diagnose(model, wine()[0], loss=LOSS, optimizer=made, step=step)
    assert capsys.readouterr().out == ""


def test_a_snapshot_puts_back_memory_values_and_identity():
    model = nn.Linear(2, 2)
    weight, memory = model.weight, model.weight.data_ptr()
    values = weight.detach().clone()
    snapshot = Snapshot(model)
    model.weight.data = torch.zeros(2, 2)
    model.weight.requires_grad_(False)
    model.weight = nn.Parameter(torch.ones(2, 2))
    model.extra = 3
    snapshot.restore()
    assert model.weight is weight
    assert weight.data_ptr() == memory
    assert torch.equal(weight, values)
    assert weight.requires_grad
    assert not hasattr(model, "extra")


def test_a_snapshot_can_leave_gradients():
    model = nn.Linear(2, 1)
    snapshot = Snapshot(model)
    model(torch.ones(1, 2)).sum().backward()
    snapshot.restore(gradients=False)
    assert torch.equal(model.weight.grad, torch.ones(1, 2))
    snapshot.restore()
    assert model.weight.grad is None
