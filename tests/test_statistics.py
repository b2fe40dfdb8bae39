"""Norms of gradients and updates, and what goes through the layers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from runs import moons, network, train, values
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from ddl.training import Callback, EarlyStopping, Ensemble, Snapshots, Statistics, activation_statistics

NAMES = ("hidden1.weight", "hidden1.bias", "output.weight", "output.bias")


def norms(tensors):
    return [np.linalg.norm(tensor.detach().double().numpy()) for tensor in tensors]


def step_hooks(optimizer):
    """The number of hooks around the steps of an optimiser."""
    own = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    return sum(map(len, (*own, _global_optimizer_pre_hooks, _global_optimizer_post_hooks)))


def by_hand(model, optimizer, epochs, batch_size):
    """Train; return the norms at the first step of each epoch."""
    data, rng = moons(), np.random.default_rng([0, 0])
    measured = {"gradient": [], "parameter": [], "update": []}
    for _ in range(epochs):
        order = np.arange(70) if batch_size is None else rng.permutation(70)
        for number, rows in enumerate(torch.from_numpy(order).split(batch_size or 70)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data.x[rows]), data.y[rows]).backward()
            before = values(model)
            optimizer.step()
            if number == 0:
                measured["gradient"].append(norms(parameter.grad for parameter in model.parameters()))
                measured["parameter"].append(norms(before))
                pairs = zip(values(model), before, strict=True)
                measured["update"].append(norms(new - old for new, old in pairs))
    return {name: np.array(rows) for name, rows in measured.items()}


# Parameters


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1)),
    ],
)
def test_norms_are_those_of_a_loop_by_hand(name, make, batch_size):
    model, theirs, statistics = network(), network(), Statistics(every=1)
    train(model, epochs=4, optimizer=name, weight_decay=0.1, batch_size=batch_size, callbacks=statistics)
    expected = by_hand(theirs, make(theirs.parameters()), 4, batch_size)
    assert statistics.epochs == (1, 2, 3, 4)
    assert statistics.names == NAMES
    for what, of_epochs in expected.items():
        assert statistics[what] == pytest.approx(of_epochs, rel=1e-5)
    assert statistics["ratio"] == pytest.approx(expected["update"] / expected["parameter"], rel=1e-5)


def test_an_update_is_what_the_step_changes_and_not_the_gradient():
    statistics = Statistics(at=[1])
    train(optimizer="adam", lr=0.01, callbacks=statistics)
    sizes = np.array([parameter.numel() for parameter in network().parameters()])
    # The first step of Adam moves each number by the learning rate.
    assert statistics["update"][0] == pytest.approx(0.01 * np.sqrt(sizes), rel=1e-3)
    assert not np.allclose(statistics["gradient"][0], 0.01 * np.sqrt(sizes), rtol=0.1)


def test_only_the_epochs_that_are_due_are_measured_and_hooked():
    hooks = []

    class Look(Callback):
        def on_step_end(self, run):
            hooks.append(step_hooks(run.optimizer))

    statistics = Statistics(every=3)
    train(epochs=8, batch_size=35, callbacks=[statistics, Look()])
    assert statistics.epochs == (1, 4, 7)
    assert hooks == [2 if epoch % 3 == 0 else 0 for epoch in range(8) for _ in range(2)]
    statistics = Statistics(at=[6, 2])
    train(epochs=8, callbacks=statistics)
    assert statistics.epochs == (2, 6)
    assert len(statistics["gradient"]) == 2


def test_parameters_are_copied_once_for_each_epoch_that_is_due(monkeypatch):
    copies = []
    clone = nn.Parameter.clone
    monkeypatch.setattr(nn.Parameter, "clone", lambda self: (copies.append(self), clone(self))[1])
    train(epochs=6, batch_size=16, callbacks=Statistics(at=[2, 5]))
    assert len(copies) == 2 * len(NAMES)


def test_epoch_1_is_the_model_as_it_was():
    statistics, snapshots = Statistics(every=2), Snapshots(every=2)
    model = network()
    expected = norms(model.parameters())
    train(model, epochs=5, batch_size=16, callbacks=[statistics, snapshots])
    assert statistics["parameter"][0] == pytest.approx(expected, rel=1e-6)
    for row, epoch in enumerate(statistics.epochs):
        of_snapshot = norms(snapshots[epoch - 1].values())
        assert statistics["parameter"][row] == pytest.approx(of_snapshot, rel=1e-6)


def test_frozen_and_unused_parameters_have_no_gradient():
    model = network()
    model.hidden1.requires_grad_(False)
    model.register_parameter("idle", nn.Parameter(torch.ones(4)))
    statistics = Statistics(every=1)
    train(model, callbacks=statistics, epochs=2)
    assert statistics.names == ("idle", *NAMES)
    assert np.isnan(statistics["gradient"]).tolist() == [[True, True, True, False, False]] * 2
    assert (statistics["update"] == 0).tolist() == [[True, True, True, False, False]] * 2
    assert statistics["parameter"][0, 0] == 2


def test_parameters_that_are_zero_have_no_ratio():
    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight)
    statistics = Statistics(at=[1])
    train(model, callbacks=statistics, epochs=1)
    assert statistics["ratio"][0, 0] == math.inf


def test_sparse_gradients_are_measured_too():
    model = nn.Sequential(nn.Embedding(9, 3, sparse=True), nn.Flatten(), nn.Linear(6, 2))
    data = torch.arange(8).reshape(4, 2), torch.tensor([0, 1, 1, 0])
    statistics = Statistics(every=1)
    train(model, data, lr=0.5, callbacks=statistics)
    assert statistics["update"] == pytest.approx(0.5 * statistics["gradient"], rel=1e-4)
    assert (statistics["gradient"] > 0).all()


def test_measuring_changes_nothing():
    first, second = nn.Sequential(nn.Dropout(0.3), network()), nn.Sequential(nn.Dropout(0.3), network())
    for model, callbacks in ((first, []), (second, [Statistics(every=1, activations=moons())])):
        torch.manual_seed(3)
        train(model, epochs=4, batch_size=16, callbacks=callbacks)
    assert all(torch.equal(*pair) for pair in zip(values(first), values(second), strict=True))


def test_as_a_table():
    statistics = Statistics(every=2, activations=moons())
    train(epochs=4, callbacks=statistics)
    table = statistics.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == ["epoch", "name", "gradient", "parameter", "update", "ratio"]
    assert table[["epoch", "name"]].values.tolist() == [[epoch, name] for epoch in (1, 3) for name in NAMES]
    for what in ("gradient", "parameter", "update", "ratio"):
        assert table[what].tolist() == statistics[what].ravel().tolist()
    table = statistics.to_frame("activations")
    assert table.columns.tolist() == ["epoch", "module", "mean", "std", "saturated", "dead"]
    assert table["module"].tolist() == ["hidden1", "activation1", "output"] * 2
    assert table["std"].tolist() == statistics["std"].ravel().tolist()


def test_a_second_run_knows_nothing_of_the_first():
    statistics = Statistics(every=1)
    train(epochs=5, callbacks=statistics)
    train(nn.Linear(2, 2), epochs=2, callbacks=statistics)
    assert statistics.epochs == (1, 2)
    assert statistics.names == ("weight", "bias")


def test_an_epoch_without_a_step_is_not_measured():
    data = moons()
    statistics = Statistics(every=1)
    history = train(data=(data.x, 100 * data.x), loss=nn.MSELoss(), lr=1e4, epochs=9, callbacks=statistics)
    assert statistics.epochs == tuple(range(1, history.diverged))


# Ensembles


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_members_are_measured_as_they_would_be_alone(optimizer, batched):
    rates, decays = [0.1, 0.02, 0.05], [0.1, 0.0, 0.3]
    ensemble = Ensemble([network(seed) for seed in range(3)], batched=batched)
    statistics = Statistics(every=2)
    options = {"epochs": 4, "batch_size": 16, "optimizer": optimizer}
    train(ensemble, lr=rates, weight_decay=decays, callbacks=statistics, **options)
    assert statistics.names == NAMES
    assert statistics["gradient"].shape == (2, 4, 3)
    for member in range(3):
        own = Statistics(every=2)
        train(network(member), lr=rates[member], weight_decay=decays[member], callbacks=own, **options)
        for what in ("gradient", "parameter", "update", "ratio"):
            assert statistics[what][..., member] == pytest.approx(own[what], rel=1e-3, abs=1e-6)
    table = statistics.to_frame()
    assert table.columns[:3].tolist() == ["epoch", "name", "member"]
    assert len(table) == 2 * 4 * 3
    row = table.query("epoch == 3 and name == 'output.weight' and member == 1").iloc[0]
    assert row["update"] == statistics["update"][1, 2, 1]


@pytest.mark.parametrize("batched", [True, False])
def test_a_member_that_has_ended_is_not_measured(batched):
    ensemble = Ensemble([network(seed) for seed in range(3)], batched=batched)
    statistics = Statistics(every=1)
    history = train(
        ensemble,
        epochs=9,
        batch_size=16,
        lr=[0.9, 0.01, 0.1],
        optimizer="adam",
        validation=moons(40, seed=1),
        callbacks=[EarlyStopping(2), statistics],
    )
    ends = [epochs or 9 for epochs in history.stopped]
    assert min(ends) < max(ends)
    for what in ("gradient", "parameter", "update", "ratio"):
        measured = ~np.isnan(statistics[what]).all(1)
        assert measured.sum(0).tolist() == ends


# Nothing is left behind


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("step", [1, 3])
def test_no_hooks_are_left_after_an_error(step, error):
    optimizers = []

    def make(parameters):
        optimizers.append(torch.optim.SGD(parameters, lr=0.1))
        return optimizers[-1]

    class Crash(Callback):
        def on_step_end(self, run):
            if run.step == step:
                raise error("crash")

    model = network()
    with pytest.raises(error, match="crash"):
        train(
            model,
            lr=None,
            optimizer=make,
            batch_size=16,
            callbacks=[Statistics(every=1, activations=moons()), Crash()],
        )
    assert step_hooks(optimizers[0]) == 0
    assert not any(module._forward_hooks for module in model.modules())


def test_no_hooks_are_left_after_a_run():
    optimizers = []

    def make(parameters):
        optimizers.append(torch.optim.SGD(parameters, lr=0.1))
        return optimizers[-1]

    model = network()
    train(model, lr=None, optimizer=make, callbacks=Statistics(every=1, activations=moons()))
    assert step_hooks(optimizers[0]) == 0
    assert not any(module._forward_hooks for module in model.modules())


# Activations


def test_activations_of_a_run_are_those_at_the_beginning_of_its_epochs():
    data = moons()
    statistics, snapshots = Statistics(at=[1, 4], activations=data), Snapshots(every=1)
    train(data=data, epochs=5, batch_size=16, callbacks=[statistics, snapshots])
    assert statistics.modules == ("hidden1", "activation1", "output")
    for row, epoch in enumerate((1, 4)):
        expected = activation_statistics(snapshots.load(network(), epoch - 1), data)
        for what in ("mean", "std", "saturated", "dead"):
            np.testing.assert_array_equal(statistics[what][row], expected[what])


def test_before_a_run_there_are_no_statistics():
    statistics = Statistics(every=1, activations=moons())
    assert (statistics.epochs, statistics.names, statistics.modules) == ((), (), ())
    assert statistics["gradient"].shape == (0, 0)
    assert statistics["mean"].shape == (0, 0)
    assert len(statistics.to_frame()) == len(statistics.to_frame("activations")) == 0


# Wrong calls


def ensemble():
    return Ensemble([network(), network()])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Statistics(), TypeError, "every=None and at=None; give one of them"),
        (lambda: Statistics(every=1, at=[1]), TypeError, r"every=1 and at=\[1\]; give one of them"),
        (lambda: Statistics(every=0), ValueError, "every is 0; it must be at least 1"),
        (lambda: Statistics(at=[0, 2]), ValueError, "an epoch is 0; it must be at least 1"),
        (lambda: Statistics(at=[1.5]), TypeError, r"an epoch is 1\.5; give a whole number"),
        (lambda: Statistics(every=1, activations=True), TypeError, r"for True; give the inputs, as data\.x"),
        (
            lambda: Statistics(every=1, activations=torch.zeros(0, 2)),
            ValueError,
            r"the inputs have shape \(0, 2\); give at least one example",
        ),
        (
            lambda: train(callbacks=Statistics(at=[1, 7])),
            ValueError,
            r"statistics at epochs \[1, 7\] of a run from epoch 1 to 3; leave the others out",
        ),
        (
            lambda: train(callbacks=Statistics(at=[3], activations=torch.zeros(4, 5))),
            ValueError,
            r"MLP cannot take inputs of shape \(1, 5\)",
        ),
        (
            lambda: train(ensemble(), callbacks=Statistics(at=[3], activations=moons())),
            TypeError,
            r"an ensemble of 2; take one of its members, as .*ensemble\.member\(0\)",
        ),
        (
            lambda: Statistics(every=1)["gradients"],
            KeyError,
            "'gradients' is not measured; there are gradient",
        ),
        (
            lambda: Statistics(every=1)["dead"],
            KeyError,
            r"'dead' was not measured; Statistics\(…, activations",
        ),
        (
            lambda: Statistics(every=1).to_frame("layers"),
            ValueError,
            "a table of 'layers' is not known; give",
        ),
    ],
)
def test_wrong_calls_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
