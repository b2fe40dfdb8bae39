"""What goes through the layers of a model, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from runs import moons, network
from torch import nn

from ddl.models import MLP
from ddl.training import Ensemble, activation_statistics, activations


class Twice(nn.Module):
    """Calls one module twice, and one that returns a tuple."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.relu = nn.ReLU()
        self.recurrent = nn.RNN(2, 3, batch_first=True)

    def forward(self, x):
        x = self.relu(self.linear(x))
        output, _ = self.recurrent(self.relu(x - 1)[:, None])
        return output[:, 0]


def test_activations_that_can_be_worked_out_by_hand():
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2), nn.Tanh(), nn.Sigmoid())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0], [0, 1], [0, 0], [0, 0]]))
        model[0].bias.copy_(torch.tensor([0.0, 0, -1, 2]))
        model[2].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 3]]))
        model[2].bias.zero_()
    x = torch.tensor([[1.0, -1], [-1, -2], [0, -3]])
    table = activation_statistics(model, x)
    assert table.index.tolist() == ["0", "1", "2", "3", "4"]
    assert table.columns.tolist() == ["mean", "std", "saturated", "dead"]
    # The first layer puts out (1, −1, −1, 2), (−1, −2, −1, 2), (0, −3, −1, 2).
    numbers = [1, -1, -1, 2, -1, -2, -1, 2, 0, -3, -1, 2]
    assert table.loc["0", "mean"] == pytest.approx(np.mean(numbers))
    assert table.loc["0", "std"] == pytest.approx(np.std(numbers))
    assert table.loc["1", "mean"] == pytest.approx(np.maximum(numbers, 0).mean())
    assert table.loc["1", "dead"] == 0.5  # the second and the third unit
    # tanh(1), tanh(0), tanh(0) in one unit, tanh(6) in the other; their sigmoids lie between 0.5 and 0.74.
    assert table.loc["3", "saturated"] == 0.5
    assert table.loc["4", "saturated"] == 0
    shares = table[["saturated", "dead"]].isna()
    assert shares["saturated"].tolist() == [True, True, True, False, False]
    assert shares["dead"].tolist() == [True, False, True, True, True]


@pytest.mark.parametrize(("value", "share"), [(-4.0, 1), (-3.0, 0), (0.0, 0), (3.0, 0), (4.0, 1)])
def test_a_sigmoid_is_saturated_at_both_ends(value, share):
    model = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
    nn.init.constant_(model[0].weight, value)
    nn.init.zeros_(model[0].bias)
    assert activation_statistics(model, torch.ones(3, 1)).loc["1", "saturated"] == share


@pytest.mark.parametrize(("value", "share"), [(-2.2, 1), (-2.0, 0), (2.0, 0), (2.2, 1)])
def test_a_hyperbolic_tangent_is_saturated_at_both_ends(value, share):
    model = nn.Sequential(nn.Linear(1, 1), nn.Tanh())
    nn.init.constant_(model[0].weight, value)
    nn.init.zeros_(model[0].bias)
    assert activation_statistics(model, torch.ones(3, 1)).loc["1", "saturated"] == share


def test_activations_are_the_same_in_pieces(monkeypatch):
    model, x = MLP((2, 20, 3), nn.ReLU, seed=1), moons(100).x + 3
    whole = activation_statistics(model, x)
    assert 0 < whole.loc["activation1", "dead"] < 1
    monkeypatch.setattr(activations, "EVALUATION_ROWS", 7)
    pd.testing.assert_frame_equal(activation_statistics(model, x), whole)
    output = model(x).detach().numpy()
    assert whole.loc["output", "mean"] == pytest.approx(output.mean(), rel=1e-5)
    assert whole.loc["output", "std"] == pytest.approx(output.std(), rel=1e-5)


def test_small_deviations_from_a_large_mean_are_not_lost(monkeypatch):
    monkeypatch.setattr(activations, "EVALUATION_ROWS", 7)
    x = 4096 + torch.linspace(-1, 1, 50)[:, None]
    model = nn.Sequential(nn.Identity(), nn.Linear(1, 1))
    assert activation_statistics(model, x).loc["0", "std"] == pytest.approx(
        x.std(correction=0).item(), rel=1e-3
    )


def test_modules_that_are_called_twice_or_return_tuples():
    model, x = Twice(), moons(20).x
    table = activation_statistics(model, x)
    assert table.index.tolist() == ["linear", "relu", "relu (2)", "recurrent"]
    first = torch.relu(model.linear(x)).detach().numpy()
    assert table.loc["relu", "mean"] == pytest.approx(first.mean())
    assert table.loc["relu (2)", "mean"] == pytest.approx(np.maximum(first - 1, 0).mean(), abs=1e-7)
    assert table.loc["recurrent", "std"] == pytest.approx(model(x).detach().numpy().std(), rel=1e-5)


def test_activations_of_whole_numbers():
    model = nn.Sequential(nn.Flatten(), nn.Embedding(9, 2))
    table = activation_statistics(model, torch.arange(4)[:, None])
    assert table.loc["0", "mean"] == 1.5


def test_activations_are_measured_in_evaluation_mode_and_leave_the_mode_alone():
    model = nn.Sequential(nn.Dropout(0.9), nn.Linear(2, 2))
    model[0].eval()
    activation_statistics(model, moons())
    assert [module.training for module in model.modules()] == [True, False, True]
    model.train()
    data = moons()
    assert activation_statistics(model, data).loc["0", "mean"] == pytest.approx(
        data.x.mean().item(), rel=1e-5
    )
    assert model[0].training


def test_nothing_is_left_behind_by_inputs_of_another_shape():
    model = network().train()
    with pytest.raises(ValueError, match=r"MLP cannot take inputs of shape \(5, 3\): mat1 and mat2"):
        activation_statistics(model, torch.zeros(5, 3))
    assert model.output.training
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("model", "inputs", "error", "words"),
    [
        (
            Ensemble([network(), network()]),
            moons(),
            TypeError,
            r"an ensemble of 2; take one of its members, as activation_statistics\(ensemble\.member\(0\)",
        ),
        (network(), [1.0], TypeError, r"for \[1\.0\]; give the inputs, as data\.x"),
        (network(), torch.tensor(1.0), ValueError, r"the inputs have shape \(\); give at least one example"),
    ],
)
def test_wrong_calls_are_refused(model, inputs, error, words):
    with pytest.raises(error, match=words):
        activation_statistics(model, inputs)
