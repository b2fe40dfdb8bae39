"""The numbers that findings are judged by, against hand-computable cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diagnosed import case, mlp, sgd, usual, wine
from torch import nn
from torch.nn import functional as F

from ddl.diagnosis.association import PENALTY, Association
from ddl.diagnosis.checks.alignment import _told_by_one
from ddl.diagnosis.checks.outputs import final_operation
from ddl.diagnosis.examples import examples, fingerprints
from ddl.diagnosis.measuring import measure
from ddl.diagnosis.trials import learn_by_heart, least_loss
from ddl.diagnosis.watching import watching


def entropy(shares):
    return -sum(share * math.log(share) for share in shares)


# What could be reached


def test_free_outputs_reach_zero_cross_entropy_and_one_output_the_entropy_of_the_classes():
    y = torch.tensor([0, 0, 1, 2])
    measured = case(mlp((2, 4, 3)), (torch.randn(4, 2), y))
    output = torch.zeros(4, 3)
    assert least_loss(measured, output, y) == pytest.approx(0, abs=1e-4)
    assert least_loss(measured, output, y, same=True) == pytest.approx(entropy([0.5, 0.25, 0.25]), abs=1e-4)


def test_label_smoothing_leaves_its_entropy():
    y = torch.tensor([0, 1, 2])
    measured = case(mlp((2, 4, 3)), (torch.randn(3, 2), y), loss=nn.CrossEntropyLoss(label_smoothing=0.3))
    assert least_loss(measured, torch.zeros(3, 3), y) == pytest.approx(entropy([0.8, 0.1, 0.1]), abs=1e-4)


def test_one_output_for_all_has_the_variance_as_its_squared_error():
    y = torch.tensor([[1.0], [2.0], [6.0]])
    measured = case(mlp((2, 4, 1)), (torch.randn(3, 2), y), loss=F.mse_loss)
    assert least_loss(measured, torch.zeros(3, 1), y) == pytest.approx(0, abs=1e-8)
    assert least_loss(measured, torch.zeros(3, 1), y, same=True) == pytest.approx(14 / 3, rel=1e-5)


def test_a_loss_that_refuses_free_outputs_has_no_least_value():
    y = torch.ones(3, 1)
    measured = case(mlp((2, 4, 1)), (torch.randn(3, 2), y), loss=F.binary_cross_entropy)
    assert least_loss(measured, torch.full((3, 1), -1.0), y) is None


def test_a_linear_model_learns_two_examples_by_heart_and_a_blind_one_does_not():
    x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    learned = learn_by_heart(case(nn.Linear(2, 2), (x, y)), (x, y)).learned
    assert learned > 0.8
    blind = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    nn.init.zeros_(blind[0].weight)
    blind[0].weight.requires_grad_(False)
    assert learn_by_heart(case(blind, (x, y)), (x, y)).learned == pytest.approx(0, abs=1e-3)


# The reader's step


def test_a_window_holds_what_one_step_of_gradient_descent_moves():
    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(0.0)
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [0.0]])
    window = case(model, (x, y), loss=F.mse_loss, optimizer=sgd(model, lr=0.1)).first
    # The loss is mean (w x)²; its derivatives at w = 1 are 2 mean(x²) = 5 and 2 mean(x) = 3.
    assert window.moved["weight"].item() == pytest.approx(-0.5)
    assert window.moved["bias"].item() == pytest.approx(-0.3)
    assert window.seen.events == ["forward", "loss", "backward", "step"]
    assert window.calls == 1


def test_a_window_counts_the_calls_until_parameters_move():
    model = mlp()
    optimizer, calls = sgd(model), []

    def step(x, y):
        (F.cross_entropy(model(x), y) / 3).backward()
        calls.append(1)
        if len(calls) % 3 == 0:
            optimizer.step()
            optimizer.zero_grad()

    assert case(model, optimizer=optimizer, step=step).first.calls == 3


@pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
def test_longer_steps_are_those_of_a_larger_learning_rate(factor):
    losses = case(mlp()).curve(factor, calls=4)
    faster = mlp()
    expected = case(faster, optimizer=sgd(faster, lr=0.1 * factor)).curve(calls=4)
    assert losses == pytest.approx(expected, rel=1e-4)


def test_a_curve_is_that_of_training_by_hand():
    model = mlp()
    measured = case(model)
    losses = measured.curve(calls=3)
    x, y = measured.data.batch
    step = usual(model, F.cross_entropy, sgd(model))
    by_hand = [step(x, y) for _ in range(3)] + [F.cross_entropy(model(x), y).item()]
    assert losses == pytest.approx(by_hand, rel=1e-5)


def test_progress_is_the_part_of_the_way_to_the_least_loss():
    measured = case(mlp())
    measured.__dict__["floor"] = 1.0
    assert measured.progress([5.0, 4.0, 3.0, 2.0, 2.0, 2.0, 2.0]) == pytest.approx(0.75)
    assert measured.progress([5.0, 7.0, 7.0, 7.0, 7.0, 7.0]) == pytest.approx(-0.5)
    assert measured.progress([5.0, math.nan]) == -math.inf


def test_what_is_measured_is_that_of_a_step_by_hand():
    model = mlp()
    rows = measure(case(model)).parameters
    x, y = case(model).data.batch
    F.cross_entropy(model(x), y).backward()
    for row, (name, parameter) in zip(rows, model.named_parameters(), strict=True):
        assert row.name == name
        assert row.gradient == pytest.approx(parameter.grad.norm().item(), rel=1e-4)
        assert row.ratio == pytest.approx(0.1 * row.gradient / parameter.detach().norm().item(), rel=1e-4)


# Watching


def test_what_computed_an_output_last():
    scores = torch.randn(4, 3, requires_grad=True)
    weight = torch.randn(3, 1, requires_grad=True)
    assert final_operation(scores.softmax(1)) == "softmax"
    assert final_operation(scores.relu().reshape(2, 6).T[:3].squeeze()) == "relu"
    assert final_operation((scores @ weight).squeeze(1)) == "linear"
    assert final_operation(scores.sigmoid() * 2) == "Mul"
    assert final_operation(scores.detach()) == ""


def test_watching_sees_losses_cuts_and_modes():
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    model[1].eval()
    x, y = torch.randn(5, 2), torch.zeros(5)
    with watching(model) as seen:
        output = model(x)
        _ = (output - y).sum()
        F.mse_loss(output.squeeze(1), y).backward()
        _ = output.detach()
    assert seen.events == ["forward", "loss", "backward"]
    assert [call.function for call in seen.losses] == ["mse_loss"]
    assert seen.forwards[0].training == ()
    assert seen.forwards[0].evaluating == ("1",)
    assert seen.forwards[0].records
    assert seen.called == {"", "0", "1", "2"}
    assert seen.broadcasts == ["(5, 1) with (5,)"]
    assert seen.reached


def test_watching_writes_errors_down_and_removes_its_hooks():
    model = nn.Linear(2, 1)
    with watching(model) as seen:
        raise ValueError("planted")
    assert str(seen.error) == "planted"
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


# Data


def test_fingerprints_are_equal_for_equal_rows_only():
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0], [0.0, 1.0 + 1e-6], [1.0, 0.0]])
    prints = fingerprints(x)
    assert prints[0] == prints[2]
    assert prints[1] == prints[4]
    assert len(np.unique(prints)) == 3
    many = torch.randint(0, 2, (5000, 40), generator=torch.Generator().manual_seed(0))
    assert len(np.unique(fingerprints(many))) == len(torch.unique(many, dim=0))
    assert len(np.unique(fingerprints(many, many[:, 0]))) == len(torch.unique(many, dim=0))


def test_a_batch_is_finite_and_the_first_of_a_loader():
    train = wine()[0]
    x = train.x.clone()
    x[::2] = torch.nan
    read = examples("data", (x, train.y), 0)
    assert len(read.batch[0]) == len(x) // 2
    assert read.batch[0].isfinite().all()
    batches = list(zip(train.x.split(20), train.y.split(20), strict=True))
    read = examples("data", batches, 0)
    assert torch.equal(read.batch[0], train.x[:20])
    assert read.loading.sizes == [len(x) for x, _ in batches]
    assert len(read) == len(train)


def test_targets_that_belong_to_their_inputs_and_others():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator)
    wide = (torch.rand(200, 100, generator=generator) < 0.05).float()
    for inputs, target in ((x, x[:, 0] > 0), (x, x[:, 0].square()), (wide, wide[:, :30].sum(1) > 1)):
        belonging, target = Association(inputs), target.double().numpy()
        assert belonging.deviations(target, 0) > 4
        assert belonging.deviations(np.random.default_rng(1).permutation(target), 0) < 3
        assert belonging.deviations(target, 0) == belonging.deviations(target, 0)


def test_the_linear_model_leaves_each_example_out():
    x = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    features = ((x - x.mean(0)) / x.std(0, correction=0)).double().numpy()
    target = np.random.default_rng(0).normal(size=30)
    target -= target.mean()
    left_out = Association(x).left_out(target[:, None])[:, 0]
    others = np.arange(30) != 7
    penalty = PENALTY * 30 * np.eye(3)
    weights = np.linalg.solve(
        features[others].T @ features[others] + penalty, features[others].T @ target[others]
    )
    assert left_out[7] == pytest.approx(features[7] @ weights)


def test_what_one_feature_tells():
    rng = np.random.default_rng(0)
    target = rng.normal(size=500)
    noise = rng.normal(size=500)
    features = np.stack([target, noise, target + noise, np.ones(500)], 1)
    told = _told_by_one(features, target, classes=False)
    assert told[0] == pytest.approx(1)
    assert told[2] == pytest.approx(0.5, abs=0.07)
    assert told[1] < 0.02
    assert told[3] == 0
    labels = rng.integers(0, 3, 500).astype(float)
    told = _told_by_one(np.stack([labels == 1, noise, labels], 1).astype(float), labels, classes=True)
    assert told[0] == pytest.approx(1)
    assert told[2] == pytest.approx(1)
