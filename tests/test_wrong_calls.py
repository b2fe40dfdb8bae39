"""Wrong calls of ``fit``: each is refused before anything is trained, with the value and what to do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from runs import network, same, train, values
from torch import nn

from ddl.models import MLP
from ddl.training import accuracy, binary_cross_entropy
from ddl.training.checks import finite

X, Y = torch.zeros(6, 2), torch.tensor([0, 1, 0, 1, 0, 1])
TARGETS = torch.zeros(6, 1)
HOLE = X.clone()
HOLE[4, 1] = math.nan

WRONG_CALLS = {
    "no data": ({"data": (X[:0], Y[:0])}, ValueError, r"x of train has shape \(0, 2\); give at least one"),
    "a number": ({"data": (torch.tensor(1.0), Y)}, ValueError, r"x of train has shape \(\)"),
    "other lengths": (
        {"data": (X, Y[:5])},
        ValueError,
        r"x of train has shape \(6, 2\) and y \(5,\): 6 .* but 5",
    ),
    "an array": ({"data": (X.numpy(), Y)}, TypeError, r"x of train is ndarray; .*torch\.as_tensor\(x\)"),
    "no pair": ({"data": X}, TypeError, "train is Tensor; give a Dataset or a pair"),
    "three tensors": ({"data": (X, Y, Y)}, TypeError, "train is tuple; give a Dataset or a pair"),
    "NaN in x": ({"data": (HOLE, Y)}, ValueError, r"x\[4, 1\] of train is nan; remove"),
    "infinite x": ({"data": (HOLE.nan_to_num(math.inf), Y)}, ValueError, r"x\[4, 1\] of train is inf"),
    "NaN in y": (
        {"data": (X, TARGETS.index_fill(0, torch.tensor([2]), math.nan)), "loss": nn.MSELoss()},
        ValueError,
        r"y\[2, 0\] of train is nan",
    ),
    "label too large": (
        {"data": (X, Y + 1)},
        ValueError,
        r"y\[1\] is 2, .*\(6, 2\) knows labels 0 to 1; relabel",
    ),
    "label negative": ({"data": (X, Y - 1)}, ValueError, r"y\[0\] is -1"),
    "label of one output": (
        {"model": network(outputs=1), "data": (X, 2 * Y), "loss": binary_cross_entropy},
        ValueError,
        r"y\[1\] is 2, .*\(6, 1\) knows labels 0 to 1",
    ),
    "(n, 1) against (n,), real": (
        {"model": network(outputs=1), "data": (X, Y.float()), "loss": lambda o, y: (o - y).square().mean()},
        ValueError,
        r"shape \(6, 1\) but y shape \(6,\) .*broadcasting.*y\[:, None\]",
    ),
    "(n,) against (n, 1), real": (
        {
            "model": nn.Sequential(network(outputs=1), nn.Flatten(0)),
            "data": (X, TARGETS),
            "loss": lambda o, y: (o - y).square().mean(),
        },
        ValueError,
        r"shape \(6,\) but y shape \(6, 1\)",
    ),
    "(n, 1) against (n,), labels": (
        {
            "model": network(outputs=1),
            "data": (X, Y),
            "loss": lambda o, y: torch.relu(o * (1 - 2 * y)).mean(),
        },
        ValueError,
        r"<lambda> broadcasts an output of shape \(6, 1\) against y of shape \(6,\).*y\[:, None\]",
    ),
    "one output for two targets": (
        {"model": network(outputs=1), "data": (X, X), "loss": nn.MSELoss()},
        ValueError,
        "MSELoss cannot compare an output of shape .6, 1. with y of shape .6, 2. .*Using a target size",
    ),
    "real y for labels": (
        {"data": (X, Y.float())},
        ValueError,
        r"y shape \(6,\) and torch.float32.*y\.long\(\)",
    ),
    "labels for a real loss": (
        {"data": (X, Y), "loss": nn.BCEWithLogitsLoss(), "model": network(outputs=1)},
        ValueError,
        "BCEWithLogitsLoss cannot compare",
    ),
    "columns of x": ({"data": (X[:, :1], Y)}, ValueError, r"MLP cannot take x of shape \(6, 1\)"),
    "dtype of x": ({"data": (X.double(), Y)}, TypeError, r"x is torch.float64 but .* x\.to\(torch.float32\)"),
    "whole numbers in x": ({"data": (X.long(), Y)}, ValueError, "MLP cannot take x of shape .* torch.int64"),
    "other columns in validation": (
        {"data": (X, Y), "validation": (X[:, :1], Y)},
        ValueError,
        r"x of the training data has shape \(6, 2\) .*, x of the validation data shape \(6, 1\)",
    ),
    "labels in validation": ({"data": (X, Y), "validation": (X, Y + 1)}, ValueError, r"y\[1\] is 2"),
    "NaN in validation": ({"data": (X, Y), "validation": (HOLE, Y)}, ValueError, r"x\[4, 1\] of validation"),
    "no epochs": ({"epochs": 0}, ValueError, "epochs is 0; it must be at least 1"),
    "half an epoch": ({"epochs": 1.5}, TypeError, r"epochs is 1\.5; give a whole number"),
    "no batch": ({"batch_size": 0}, ValueError, "batch_size is 0"),
    "negative seed": ({"seed": -1}, ValueError, "seed is -1"),
    "no rate": ({"lr": ...}, TypeError, "lr is missing"),
    "zero rate": ({"lr": 0}, ValueError, "lr is 0; it must be positive"),
    "negative rate": ({"lr": -0.1}, ValueError, r"lr is -0\.1"),
    "infinite rate": ({"lr": math.inf}, ValueError, "lr is inf"),
    "rate as text": ({"lr": "0.1"}, TypeError, r"lr is '0\.1'; give a number"),
    "negative decay": ({"weight_decay": -1}, ValueError, "weight_decay is -1"),
    "optimizer": (
        {"optimizer": "sdg"},
        ValueError,
        "optimizer 'sdg' is not known; there are sgd, momentum, ",
    ),
    "made optimizer": (
        {"optimizer": torch.optim.SGD(network().parameters(), lr=0.1)},
        TypeError,
        r"(?s)optimizer is SGD.*; give a name or a function",
    ),
    "rate twice": ({"optimizer": torch.optim.Adam}, ValueError, r"lr is 0\.1, .* leave them out"),
    "no optimizer made": ({"optimizer": list, "lr": None}, TypeError, "optimizer returned"),
    "metric": ({"metrics": "acuracy"}, ValueError, "metric 'acuracy' is not known; there are accuracy"),
    "metric called loss": ({"metrics": {"loss": accuracy}}, TypeError, "metrics holds 'loss'"),
    "metric that is none": ({"metrics": {"error": 3}}, TypeError, "metrics holds 'error': 3"),
    "loss is none": ({"loss": None}, TypeError, "loss is None; give a function"),
    "loss is a class": ({"loss": nn.MSELoss}, TypeError, r"loss is <class .*; give .* nn\.MSELoss\(\)"),
    "loss without reduction": (
        {"loss": nn.CrossEntropyLoss(reduction="none")},
        ValueError,
        r"returns shape \(2,\) for two examples, not one number; average",
    ),
    "loss is a number": ({"loss": lambda o, y: 0.5}, TypeError, "<lambda> returns float"),
    "loss without gradient": (
        {"loss": lambda o, y: o.detach().mean()},
        ValueError,
        "<lambda> has no gradient",
    ),
    "no parameters": (
        {"model": nn.Sequential(nn.Tanh())},
        ValueError,
        "Sequential has no parameters to train",
    ),
    "frozen": ({"model": network().requires_grad_(False)}, ValueError, r"all .* requires_grad=False"),
    "no model": ({"model": lambda x: x}, TypeError, "model is <function"),
    "model class": ({"model": MLP}, TypeError, "model is <class"),
}


@pytest.mark.parametrize(("options", "error", "words"), WRONG_CALLS.values(), ids=WRONG_CALLS.keys())
def test_fit_refuses_wrong_calls(options, error, words):
    model = options.get("model")
    before = values(model) if isinstance(model, nn.Module) else None
    with pytest.raises(error, match=words):
        train(**options)
    if before is not None:
        assert same(values(model), before)


def test_fit_refuses_a_model_that_is_not_finite():
    model = network()
    with torch.no_grad():
        model.hidden1.bias[1] = math.nan
    with pytest.raises(ValueError, match=r"hidden1\.bias of MLP is not finite"):
        train(model)


@pytest.mark.parametrize(
    ("model", "data", "loss"),
    [
        (network(outputs=1), (X, Y), binary_cross_entropy),
        (network(outputs=1), (X, Y), lambda o, y: torch.relu(o * (1 - 2 * y[:, None])).mean()),
        (nn.Sequential(network(outputs=1), nn.Flatten(0)), (X, Y), binary_cross_entropy),
        (network(outputs=1), (X, TARGETS), nn.MSELoss()),
        (
            network(outputs=2),
            (X, TARGETS),
            lambda o, y: ((o[:, :1] - y) ** 2 * o[:, 1:].exp() - o[:, 1:]).mean(),
        ),
        (
            nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 4)),
            (X.long(), Y),
            nn.CrossEntropyLoss(),
        ),
        (nn.Linear(2, 2).double(), (X.double(), Y), nn.CrossEntropyLoss()),
        (network(), (X[:1], Y[:1]), nn.CrossEntropyLoss()),
    ],
)
def test_fit_takes_what_is_unusual_and_right(model, data, loss):
    assert train(model, data, loss=loss).epochs == 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3e38, 3e38], True),  # the sum overflows
        ([3e38, 3e38, -math.inf], False),
        ([math.inf, -math.inf], False),
        ([1.0, math.nan], False),
        ([1, 2], True),
        ([1j, complex(0, math.nan)], False),
    ],
)
def test_numbers_whose_sum_overflows_are_finite(values, expected):
    assert finite(torch.tensor(values)) is expected


def test_fit_takes_numpy_s_numbers():
    history = train(epochs=np.int64(2), lr=np.float64(0.1), batch_size=np.int32(8))
    assert history.epochs == 2
