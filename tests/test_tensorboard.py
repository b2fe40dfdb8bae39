"""Event files, read back as TensorBoard reads them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from runs import moons, network, train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from torch import nn

from ddl.training import Callback, Checkpoint, EarlyStopping, Ensemble, Schedule, TensorBoard

NAMES = ["hidden1.weight", "hidden1.bias", "output.weight", "output.bias"]


@pytest.fixture(autouse=True)
def count_files_anew(monkeypatch):
    """Files of one second are read in the order of their numbers as text, where 10 is before 9."""
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


def read(folder):
    """Everything that TensorBoard would show: scalars and histograms by tag, as pairs (epoch, value)."""
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    return (
        {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in tags["scalars"]},
        {
            tag: [(e.step, e.histogram_value) for e in accumulator.Histograms(tag)]
            for tag in tags["histograms"]
        },
    )


def assert_same_curve(events, curve, first=1):
    """Events hold float32."""
    known = [(epoch, np.float32(value)) for epoch, value in enumerate(curve, first) if not np.isnan(value)]
    assert [(epoch, np.float32(value)) for epoch, value in events] == known


def options(**more):
    return {"batch_size": 16, "validation": moons(40, seed=1), "metrics": "accuracy", **more}


def test_all_curves_and_the_rate_of_each_epoch(tmp_path):
    schedule = Schedule("cosine", warmup=1)
    history = train(epochs=5, callbacks=[TensorBoard(tmp_path / "run"), schedule], **options())
    scalars, histograms = read(tmp_path / "run")
    assert scalars.keys() == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    for name in history:
        assert_same_curve(scalars[name], history[name])
    assert_same_curve(scalars["learning_rate"], schedule.rates)
    assert histograms == {}


def test_histograms_of_parameters_and_gradients(tmp_path):
    seen = {}

    class Look(Callback):
        def on_epoch_end(self, run):
            seen[run.epoch] = {
                f"{kind}/{name}": values.clone()
                for name, parameter in run.model.named_parameters()
                for kind, values in (("parameters", parameter.detach()), ("gradients", parameter.grad))
            }

    train(epochs=5, callbacks=[TensorBoard(tmp_path, histograms=2), Look()], **options())
    _, histograms = read(tmp_path)
    assert histograms.keys() == {f"{kind}/{name}" for kind in ("parameters", "gradients") for name in NAMES}
    for tag, events in histograms.items():
        assert [epoch for epoch, _ in events] == [2, 4]
        for epoch, histogram in events:
            values = seen[epoch][tag].double()
            assert histogram.num == values.numel()
            assert histogram.sum == pytest.approx(values.sum().item(), abs=1e-5)
            assert (histogram.min, histogram.max) == (values.min(), values.max())


def test_parameters_without_gradients_and_sparse_ones(tmp_path):
    model = nn.Sequential(nn.Embedding(9, 3, sparse=True), nn.Flatten(), nn.Linear(6, 2))
    model[2].bias.requires_grad_(False)
    data = torch.arange(8).reshape(4, 2), torch.tensor([0, 1, 1, 0])
    train(model, data, callbacks=TensorBoard(tmp_path, histograms=1))
    _, histograms = read(tmp_path)
    assert {tag for tag in histograms if tag.startswith("gradients")} == {
        "gradients/0.weight",
        "gradients/2.weight",
    }
    assert "parameters/2.bias" in histograms


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0.0, 0.0], torch.float32),
        ([1e30, 1e30], torch.float32),
        ([-3e38, 3e38], torch.float32),
        ([0.5, np.nextafter(0.5, 1)], torch.float64),
        ([np.nan, 1.0, np.inf], torch.float32),
    ],
)
def test_histograms_of_unusual_numbers(values, dtype, tmp_path):
    class Put(Callback):
        def on_epoch_end(self, run):
            run.model.output.numbers.data = torch.tensor(values, dtype=dtype)

    model = network()
    model.output.register_parameter("numbers", nn.Parameter(torch.zeros(2, dtype=dtype)))
    train(model, epochs=1, callbacks=[Put(), TensorBoard(tmp_path, histograms=1)])
    ((_, histogram),) = read(tmp_path)[1]["parameters/output.numbers"]
    finite = np.array(values)[np.isfinite(values)]
    assert histogram.num == sum(histogram.bucket) == len(finite)
    assert (histogram.min, histogram.max) == pytest.approx((finite.min(), finite.max()))


def test_a_histogram_has_the_counts_of_its_bins(tmp_path):
    model = network()
    with torch.no_grad():
        model.hidden1.weight.copy_(torch.linspace(-1, 1, 10).reshape(5, 2))
    train(model, lr=1e-9, epochs=1, callbacks=TensorBoard(tmp_path, histograms=1))
    ((_, histogram),) = read(tmp_path)[1]["parameters/hidden1.weight"]
    edges, counts = np.array(histogram.bucket_limit), np.array(histogram.bucket)
    below = [(counts[edges < limit]).sum() for limit in (-0.5, 0, 0.5)]
    assert below == [3, 5, 7]
    assert counts.sum() == 10


def test_a_name_that_members_of_ensembles_begin_with(tmp_path):
    model = nn.Sequential()
    model.add_module("stacked", nn.Linear(2, 2))
    train(model, callbacks=TensorBoard(tmp_path, histograms=1))
    assert "parameters/stacked.weight" in read(tmp_path)[1]


@pytest.mark.parametrize("batched", [True, False])
def test_an_ensemble_is_written_as_medians_and_histograms(batched, tmp_path):
    ensemble = Ensemble([network(seed) for seed in range(3)], batched=batched)
    board = TensorBoard(tmp_path, histograms=3)
    rates = [0.9, 0.01, 0.1]
    stopping = EarlyStopping(2)
    history = train(ensemble, epochs=9, lr=rates, optimizer="adam", callbacks=[board, stopping], **options())
    assert any(history.stopped)
    scalars, histograms = read(tmp_path)
    assert scalars.keys() == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    for name in history:
        assert_same_curve(scalars[name], np.nanmedian(history[name], axis=1))
        events = histograms[f"{name}/members"]
        assert [histogram.num for _, histogram in events] == (~np.isnan(history[name])).sum(1).tolist()
        last = history[name][-1]
        assert events[-1][1].max == pytest.approx(np.nanmax(last))
    assert_same_curve(scalars["learning_rate"], [0.9] * history.epochs)
    assert {tag for tag in histograms if "members" not in tag} == {
        f"{kind}/{name}" for kind in ("parameters", "gradients") for name in NAMES
    }
    assert [histogram.num for _, histogram in histograms["parameters/hidden1.weight"]] == [30] * (
        history.epochs // 3
    )


def test_a_run_that_diverged(tmp_path):
    data = moons()
    history = train(
        data=(data.x, 100 * data.x),
        loss=nn.MSELoss(),
        metrics={"error": lambda output, y: (output - y).abs().mean()},
        lr=1e4,
        epochs=9,
        callbacks=TensorBoard(tmp_path),
    )
    scalars, _ = read(tmp_path)
    assert len(scalars["loss"]) == history.diverged
    assert scalars["loss"][-1] == (history.diverged, np.inf)
    assert len(scalars["error"]) == history.diverged - 1  # its last value is NaN


def test_an_ensemble_of_which_no_member_is_left(tmp_path):
    ensemble = Ensemble([network(seed) for seed in range(2)])
    history = train(
        ensemble,
        loss=lambda output, y: (1e30 * output).square().mean(),
        lr=1e30,
        epochs=3,
        callbacks=TensorBoard(tmp_path, histograms=1),
    )
    assert history.diverged == (1, 1)
    scalars, histograms = read(tmp_path)
    assert scalars["loss"] == [(1, np.inf)]
    assert histograms == {}


# One folder, several runs


def test_a_second_run_in_the_same_folder_replaces_the_first(tmp_path):
    board = TensorBoard(tmp_path, histograms=1)
    train(epochs=6, callbacks=board)
    second = train(network(seed=1), epochs=3, callbacks=board)
    scalars, histograms = read(tmp_path)
    assert_same_curve(scalars["loss"], second["loss"])
    assert len(histograms["parameters/output.bias"]) == 3
    third = train(loss=lambda output, y: 1e30 * output.square().mean(), lr=1e30, callbacks=board)
    assert third.diverged == 1
    assert_same_curve(read(tmp_path)[0]["loss"], third["loss"])


def test_a_run_that_goes_on_goes_on_in_its_files(tmp_path):
    class Crash(Callback):
        def __init__(self, epoch):
            self.epoch = epoch

        def on_epoch_end(self, run):
            if run.epoch == self.epoch:
                raise RuntimeError("crash")

    def run(crash, seed):
        checkpoint = Checkpoint(tmp_path / "run.pt", every=2, resume=True)
        board = TensorBoard(tmp_path / "run", histograms=1)
        return train(network(seed), epochs=7, callbacks=[board, Crash(crash), checkpoint], **options())

    with pytest.raises(RuntimeError, match="crash"):
        run(5, seed=0)  # the last checkpoint is of epoch 4, the last event of epoch 5
    resumed = run(None, seed=9)
    whole = train(epochs=7, **options())
    scalars, histograms = read(tmp_path / "run")
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name])
        assert_same_curve(scalars[name], whole[name])
    assert [epoch for epoch, _ in histograms["gradients/output.bias"]] == [1, 2, 3, 4, 5, 6, 7]
    files = len(list((tmp_path / "run").iterdir()))
    run(None, seed=9)  # finished: there is nothing to add
    assert len(list((tmp_path / "run").iterdir())) == files


def test_runs_side_by_side(tmp_path):
    for rate in (0.1, 0.2):
        train(lr=rate, callbacks=TensorBoard(tmp_path / f"rate {rate}"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rate 0.1", "rate 0.2"]
    for rate in (0.1, 0.2):
        (file,) = (tmp_path / f"rate {rate}").iterdir()
        assert file.name.startswith("events.out.tfevents.")


# Up to date, and closed


def test_the_files_are_up_to_date_after_each_epoch(tmp_path):
    class Look(Callback):
        def on_epoch_end(self, run):
            assert len(read(tmp_path)[0]["loss"]) == run.epoch

    train(callbacks=[TensorBoard(tmp_path), Look()])


@pytest.mark.parametrize("crash", [None, 2])
def test_the_file_is_closed_also_after_an_error(crash, tmp_path, monkeypatch):
    class Crash(Callback):
        def on_step_end(self, run):
            if run.step == crash:
                raise RuntimeError("crash")

    board = TensorBoard(tmp_path)
    closed = []
    make = board._open

    def open_writer(*args, **kwargs):
        writer = make(*args, **kwargs)
        monkeypatch.setattr(writer, "close", lambda close=writer.close: closed.append(close()))
        return writer

    board._open = open_writer
    if crash is None:
        train(callbacks=[board, Crash()])
    else:
        with pytest.raises(RuntimeError, match="crash"):
            train(callbacks=[board, Crash()])
    assert len(closed) == 1
    assert board._writer is None
    assert len(read(tmp_path)[0]["loss"]) == (3 if crash is None else 1)


def test_writing_changes_nothing(tmp_path):
    first, second = network(), network()
    train(first, **options())
    train(second, callbacks=TensorBoard(tmp_path, histograms=1), **options())
    assert torch.equal(first.output.weight, second.output.weight)


# Wrong calls


def a_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("notes")
    return path


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda path: TensorBoard(path, histograms=0), ValueError, "histograms is 0; it must be at least 1"),
        (
            lambda path: TensorBoard(path, histograms=True),
            TypeError,
            "histograms is True; give a whole number",
        ),
        (lambda path: TensorBoard(3), TypeError, "int"),
        (
            lambda path: train(callbacks=TensorBoard(a_file(path))),
            ValueError,
            r"notes\.txt' is a file or in one; give a folder for this run",
        ),
        (
            lambda path: train(callbacks=TensorBoard(a_file(path) / "run")),
            ValueError,
            r"notes\.txt/run' is a file or in one; give a folder",
        ),
    ],
)
def test_wrong_calls_are_refused(call, error, words, tmp_path):
    with pytest.raises(error, match=words):
        call(tmp_path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        TensorBoard(tmp_path)
    train(epochs=1)  # nothing else needs it
