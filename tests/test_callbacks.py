"""What a training run records, and what happens between its epochs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from runs import moons, network, same, train, values
from torch import nn

import ddl
from ddl import datasets
from ddl.training import Callback, EarlyStopping, History, Snapshots, fit

# History


def test_history():
    history = train(epochs=4, metrics="accuracy")
    assert isinstance(history, ddl.History)
    assert history.epochs == 4
    assert history["loss"].shape == (4,)
    assert history["loss"].dtype == np.float64
    assert history.final("accuracy") == history["accuracy"][-1]
    assert "accuracy" in history
    assert "val_loss" not in history
    assert list(history) == ["loss", "accuracy"]
    assert (history.diverged, history.stopped) == (None, None)
    assert repr(history).startswith("History(4 epochs: loss 0.")


def test_history_cannot_be_changed_from_outside():
    history = train()
    history["loss"][:] = 0
    assert history["loss"].min() > 0


def test_history_as_a_table():
    history = train(epochs=4, metrics="accuracy")
    table = history.to_frame()
    assert table.index.tolist() == [1, 2, 3, 4]
    assert table.index.name == "epoch"
    assert table.columns.tolist() == ["loss", "accuracy"]
    assert table["loss"].tolist() == history["loss"].tolist()


def test_history_says_what_it_does_not_have():
    with pytest.raises(KeyError, match=r"'val_loss' was not measured; there are loss; fit.*validation="):
        train()["val_loss"]
    with pytest.raises(ValueError, match="no epoch of 'loss'"):
        History(["loss"]).final("loss")
    assert repr(History(["loss"])) == "History(0 epochs: loss)"


# Callbacks


def test_callbacks_are_called_in_order():
    calls = []

    class Log(Callback):
        def __init__(self, name):
            self.name = name

        def on_start(self, run):
            calls.append((self.name, "start", run.epoch, run.history.epochs))

        def on_epoch_end(self, run):
            calls.append((self.name, "epoch", run.epoch, run.history.epochs))

        def on_end(self, run):
            calls.append((self.name, "end", run.epoch, run.epochs))

    train(epochs=2, callbacks=[Log("a"), Log("b")])
    moments = [("start", 0, 0), ("epoch", 1, 1), ("epoch", 2, 2), ("end", 2, 2)]
    assert calls == [(name, *moment) for moment in moments for name in "ab"]


def test_a_callback_can_stop_the_run():
    class Stop(Callback):
        def on_epoch_end(self, run):
            if run.epoch == 2:
                run.stop()

    history = train(epochs=9, callbacks=[Stop()])
    assert (history.stopped, history.epochs) == (2, 2)
    assert "stopped after epoch 2" in repr(history)


def test_snapshots_hold_the_parameters_of_their_epochs():
    snapshots = Snapshots(every=2)
    train(epochs=5, callbacks=[snapshots], optimizer="adam")
    assert snapshots.epochs == tuple(snapshots) == (0, 2, 4)
    assert len(snapshots) == 3
    for epoch in snapshots:
        shorter = network()
        if epoch:
            train(shorter, epochs=epoch, optimizer="adam")
        loaded = snapshots.load(network(seed=9), epoch)
        assert same(values(loaded), values(shorter))


def test_snapshots_at_given_epochs_and_again():
    snapshots = Snapshots(at=[5, 0, 1])
    train(epochs=5, callbacks=snapshots)
    assert snapshots.epochs == (0, 1, 5)
    final = snapshots[5]["output.weight"].clone()
    model = network()
    train(model, epochs=5, callbacks=snapshots, lr=0.2)
    assert torch.equal(snapshots[5]["output.weight"], model.output.weight)
    assert not torch.equal(snapshots[5]["output.weight"], final)
    snapshots.load(model, 0)
    assert same(values(model), values(network()))
    with pytest.raises(KeyError, match=r"no snapshot of epoch 2; there are \(0, 1, 5\)"):
        snapshots[2]


def test_snapshots_forget_an_earlier_run():
    snapshots = Snapshots(every=1)
    train(epochs=3, callbacks=snapshots)
    train(epochs=1, callbacks=snapshots)
    assert snapshots.epochs == (0, 1)


def test_snapshots_keep_the_buffers():
    snapshots = Snapshots(every=1)
    train(nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)), callbacks=[snapshots], epochs=2)
    assert [snapshots[epoch]["0.num_batches_tracked"].item() for epoch in snapshots] == [0, 1, 2]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Snapshots(), TypeError, "give one of them"),
        (lambda: Snapshots(every=1, at=[1]), TypeError, "give one of them"),
        (lambda: Snapshots(every=0), ValueError, "every is 0"),
        (lambda: train(callbacks=Snapshots(at=[0, 4])), ValueError, r"\[0, 4\] of a run from epoch 0 to 3"),
        (lambda: EarlyStopping(0), ValueError, "patience, in epochs, is 0; it must be at least 1"),
        (
            lambda: EarlyStopping(3, monitor="val_error"),
            ValueError,
            "mode is None for 'val_error'; give \"min\"",
        ),
        (lambda: EarlyStopping(3, mode="best"), ValueError, "mode is 'best'"),
        (
            lambda: train(callbacks=EarlyStopping(3)),
            ValueError,
            "watches 'val_loss', but the run measures loss;",
        ),
        (lambda: train(callbacks=[Snapshots]), TypeError, "callbacks holds <class"),
    ],
)
def test_callbacks_refuse_bad_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()


def stopping_run(curve, stopping, epochs=20):
    """Train while the watched value follows a given curve; return also the weight after each epoch."""
    model = nn.Linear(1, 1)
    weights = []

    class Remember(Callback):
        def on_epoch_end(self, run):
            weights.append(model.weight.item())

    def metric(output, y):
        return curve[len(weights)]

    data = datasets.ten_points()
    history = fit(
        model,
        data,
        loss=nn.MSELoss(),
        epochs=min(epochs, len(curve)),
        lr=1e-3,
        metrics={stopping.monitor: metric},
        callbacks=[stopping, Remember()],
    )
    return history, model, weights


def test_early_stopping_waits_and_goes_back():
    stopping = EarlyStopping(3, monitor="error", mode="min")
    history, model, weights = stopping_run([5, 4, 6, 3, 3, 7, 4, 1, 1], stopping)
    assert (history.stopped, history.epochs) == (7, 7)
    assert (stopping.best_epoch, stopping.best) == (4, 3)
    assert model.weight.item() == weights[3] != weights[6]


def test_early_stopping_can_leave_the_last_parameters():
    _, model, weights = stopping_run(
        [5, 4, 6, 7, 8], EarlyStopping(2, monitor="error", mode="min", restore=False)
    )
    assert len(weights) == 4
    assert model.weight.item() == weights[3]


def test_early_stopping_knows_that_accuracy_is_to_grow():
    stopping = EarlyStopping(2, monitor="accuracy")
    history, model, weights = stopping_run([0.5, 0.7, 0.6, 0.65, 0.9], stopping)
    assert (history.stopped, stopping.best_epoch) == (4, 2)
    assert model.weight.item() == weights[1]


def test_early_stopping_goes_back_also_when_the_epochs_run_out():
    stopping = EarlyStopping(9, monitor="error", mode="min")
    history, model, weights = stopping_run([5, 1, 2, 3], stopping)
    assert history.stopped is None
    assert model.weight.item() == weights[1]
    stopping_run([9, 8], stopping)  # a second run knows nothing of the first
    assert (stopping.best_epoch, stopping.best) == (2, 8)


def test_early_stopping_takes_nan_for_no_improvement():
    history, _, _ = stopping_run([5, math.nan, math.nan, 4], EarlyStopping(2, monitor="error", mode="min"))
    assert history.stopped == 3


def test_early_stopping_watches_the_validation_loss():
    stopping = EarlyStopping(2)
    model, data = network(), moons(40)
    history = train(
        model, data, validation=data[:10], epochs=300, lr=2.0, optimizer="adam", callbacks=stopping
    )
    best = int(np.argmin(history["val_loss"]))
    assert stopping.best_epoch == best + 1 == history.epochs - 2
    with torch.no_grad():
        assert (
            nn.functional.cross_entropy(model(data.x[:10]), data.y[:10]).item() == history["val_loss"][best]
        )
