"""A run that goes on from a file is the run that never ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from runs import moons, network, train
from torch import nn

from ddl.models import MLP
from ddl.training import Callback, Checkpoint, EarlyStopping, Ensemble, Schedule, Snapshots, Statistics

EPOCHS = 7
DATA = moons()


class Crash(Callback):
    """Raise in the middle of an epoch, once."""

    def __init__(self, step, error=RuntimeError):
        self.step, self.error = step, error
        self.last = 0

    def on_step_end(self, run):
        self.last = run.step
        if run.step == self.step:
            self.step = None
            raise self.error("crash")


class Hang(Callback):
    """Say that a step has been taken, and wait to be killed."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, run):
        if run.step == self.step:
            print(f"step {run.step}", flush=True)
            time.sleep(60)


def dropping(seed):
    """Layers that draw random numbers and that have buffers."""
    network = MLP((2, 6, 2), seed=seed)
    return nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.2), network.hidden1, nn.ReLU(), network.output)


def ensemble(seed, **options):
    return Ensemble([dropping(seed + i) for i in range(3)], **options)


def mini_batches(**options):
    return {"batch_size": 16, "validation": moons(40, seed=1), "metrics": "accuracy", **options}


# Name: what makes the model from a seed, what makes the callbacks, and the options of fit.
CASES = {
    "SGD, all examples": (network, list, {"lr": 0.3}),
    "momentum": (network, list, mini_batches(optimizer="momentum")),
    "Adam, dropout, batch norm": (dropping, list, mini_batches(optimizer="adam", weight_decay=0.01)),
    "a NumPy rate": (network, list, mini_batches(optimizer="adamw", lr=np.float64(0.1))),
    "early stopping": (network, lambda: [EarlyStopping(2)], mini_batches(optimizer="adam", lr=2.0)),
    "schedule by epoch": (
        network,
        lambda: [Schedule("multistep", milestones=[1, 3], warmup=2)],
        mini_batches(optimizer="momentum"),
    ),
    "schedule by step": (
        network,
        lambda: [Schedule("cosine", warmup=3, per="step", T_max=40)],
        mini_batches(optimizer="adam"),
    ),
    "one cycle": (
        network,
        lambda: [Schedule(torch.optim.lr_scheduler.OneCycleLR, per="step", max_lr=0.3, total_steps=100)],
        mini_batches(optimizer="momentum"),
    ),
    "statistics": (network, lambda: [Statistics(every=2, activations=moons())], mini_batches()),
    "snapshots": (network, lambda: [Snapshots(every=2)], mini_batches()),
    "diverging": (network, list, {"loss": nn.MSELoss(), "data": (DATA.x, 100 * DATA.x), "lr": 1e4}),
    "ensemble, stacked": (
        ensemble,
        lambda: [
            Schedule("step", step_size=2, gamma=0.5),
            EarlyStopping(2),
            Snapshots(every=3),
            Statistics(every=1),
        ],
        mini_batches(optimizer="adam", lr=[0.9, 0.01, 0.1], weight_decay=[0.0, 0.1, 0.2], seed=[1, 2, 3]),
    ),
    "ensemble, one by one": (
        lambda seed: ensemble(seed, batched=False),
        lambda: [EarlyStopping(2), Schedule("exponential", gamma=0.9)],
        mini_batches(optimizer="momentum", lr=[0.9, 0.01, 0.1], weight_decay=[0.0, 0.1, 0.2]),
    ),
    "ensemble, some diverging": (
        lambda seed: Ensemble([nn.Linear(2, 2) for _ in range(2)]),
        list,
        {"loss": lambda output, y: output.square().square().mean(), "lr": [30.0, 0.01]},
    ),
}


def run(case, *, seed=0, epochs=EPOCHS, more=()):
    """Train one of the cases; return everything that a run leaves behind."""
    make, callbacks, options = CASES[case]
    torch.manual_seed(seed)
    model, callbacks = make(seed), callbacks()
    history = train(model, epochs=epochs, callbacks=[*more, *callbacks], **options)
    return model, history, callbacks, torch.get_rng_state()


def assert_same_state(first, second):
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        first, second = list(first.values()), list(second.values())
    if isinstance(first, list):
        for ours, theirs in zip(first, second, strict=True):
            assert_same_state(ours, theirs)
    else:
        np.testing.assert_array_equal(first, second)


def assert_equal(first, second):
    """Compare what two runs leave behind, bit for bit."""
    for ours, theirs in zip(first[0].state_dict().values(), second[0].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert list(first[1]) == list(second[1])
    for name in first[1]:
        np.testing.assert_array_equal(first[1][name], second[1][name])
    assert (first[1].stopped, first[1].diverged) == (second[1].stopped, second[1].diverged)
    for ours, theirs in zip(first[2], second[2], strict=True):
        assert_same_state(ours.state_dict(), theirs.state_dict())
    assert torch.equal(first[3], second[3])


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_run_that_crashed_goes_on_as_if_it_had_not(case, every, tmp_path):
    never = Crash(None)
    whole = run(case, more=[never])
    path = tmp_path / "run.pt"
    steps = 5 if "batch_size" in CASES[case][2] else 1
    crash = Crash(step=3 * steps + (2 if steps > 1 else 0), error=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run(case, more=[Checkpoint(path, every=every), crash])
    torch.rand(3)
    checkpoint = Checkpoint(path, every=every, resume=True)
    # Another model, other random numbers: all that counts comes from the file.
    never_again = Crash(None)
    resumed = run(case, seed=9, more=[checkpoint, never_again])
    assert 0 < checkpoint.resumed < whole[1].epochs
    assert_equal(whole, resumed)
    assert never.last == never_again.last
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


def test_the_cases_are_what_they_are_called():
    assert run("early stopping")[1].stopped is not None
    assert run("diverging")[1].diverged > 4
    for case in ("ensemble, stacked", "ensemble, one by one"):
        stopped = run(case)[1].stopped
        assert None in stopped
        assert stopped != (None,) * 3
    assert sorted(map(bool, run("ensemble, some diverging")[1].diverged)) == [False, True]


@pytest.mark.parametrize("case", CASES)
def test_a_finished_run_ends_again_in_the_same_way(case, tmp_path):
    first = run(case, more=[Checkpoint(tmp_path / "run.pt")])
    assert_equal(run(case), first)
    again = run(case, seed=9, more=[Checkpoint(tmp_path / "run.pt", resume=True)])
    for ours, theirs in zip(first[0].state_dict().values(), again[0].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert first[1].to_frame().equals(again[1].to_frame())
    assert (first[1].stopped, first[1].diverged) == (again[1].stopped, again[1].diverged)


@pytest.mark.parametrize("case", CASES)
def test_a_finished_run_goes_on_for_more_epochs(case, tmp_path):
    run(case, epochs=2, more=[Checkpoint(tmp_path / "run.pt")])
    resumed = run(case, seed=9, more=[Checkpoint(tmp_path / "run.pt", resume=True)])
    assert_equal(run(case), resumed)


PROGRAM = """
import sys

sys.path.insert(0, {tests!r})
import test_checkpoints as tests

tests.run({case!r}, more=[tests.Checkpoint({path!r}), tests.Hang(step=17)])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing kills a process like this here")
def test_a_run_that_was_killed_goes_on_as_if_it_had_not(tmp_path):
    case, path = "Adam, dropout, batch norm", tmp_path / "run.pt"
    program = PROGRAM.format(tests=os.path.dirname(__file__), case=case, path=str(path))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"step 17\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    checkpoint = Checkpoint(path, resume=True)
    resumed = run(case, seed=9, more=[checkpoint, Hang(None)])
    assert checkpoint.resumed == 3
    assert_equal(run(case), resumed)


def test_it_is_written_when_it_is_due_and_at_the_end(tmp_path, monkeypatch):
    written = []
    write = Checkpoint._write
    monkeypatch.setattr(Checkpoint, "_write", lambda self, run: (written.append(run.epoch), write(self, run)))
    train(epochs=7, callbacks=Checkpoint(tmp_path / "run.pt", every=3))
    train(epochs=6, callbacks=Checkpoint(tmp_path / "run.pt", every=3))
    assert written == [3, 6, 7, 3, 6]
    diverged = run("diverging", more=[Checkpoint(tmp_path / "run.pt", every=3)])[1].diverged
    assert written[5:] == [3, diverged]


def test_without_a_file_a_run_begins_anew(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.pt", resume=True)
    assert train(epochs=2, callbacks=checkpoint).epochs == 2
    assert checkpoint.resumed == 0
    assert train(epochs=2, callbacks=checkpoint).epochs == 2
    assert checkpoint.resumed == 2


def test_without_resume_a_file_is_replaced(tmp_path):
    path = tmp_path / "run.pt"
    train(epochs=4, callbacks=Checkpoint(path))
    model = network(seed=3)
    train(model, epochs=2, callbacks=Checkpoint(path))
    kept = torch.load(path, weights_only=True)
    assert kept["epoch"] == 2
    assert torch.equal(kept["model"]["output.weight"], model.output.weight)


@pytest.mark.parametrize("every", [1, 100])
def test_it_holds_the_end_of_the_epoch_and_not_the_best(every, tmp_path):
    model, path, snapshots = network(), tmp_path / "run.pt", Snapshots(every=1)
    stopping = EarlyStopping(2)
    callbacks = [Checkpoint(path, every=every), stopping, snapshots]
    history = train(model, callbacks=callbacks, epochs=30, **mini_batches(optimizer="adam", lr=0.5))
    kept = torch.load(path, weights_only=True)["model"]["output.weight"]
    assert torch.equal(kept, snapshots[history.epochs]["output.weight"])
    assert not torch.equal(kept, model.output.weight)
    assert torch.equal(model.output.weight, snapshots[stopping.best_epoch]["output.weight"])


def test_two_checkpoints_of_one_run(tmp_path):
    whole = run("momentum")
    both = [Checkpoint(tmp_path / "last.pt"), Checkpoint(tmp_path / "even.pt", every=2)]
    run("momentum", epochs=3, more=both)
    resumed = run("momentum", seed=9, more=[Checkpoint(tmp_path / "even.pt", resume=True)])
    assert_equal(whole, resumed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_run_on_a_gpu_goes_on_as_if_it_had_not_ended(tmp_path):
    def on_gpu(seed, **options):
        torch.manual_seed(seed)
        model = dropping(seed)
        return model, train(model, device="cuda", **mini_batches(optimizer="adam", **options))

    path = tmp_path / "run.pt"
    whole, history = on_gpu(0, epochs=5, callbacks=EarlyStopping(4))
    on_gpu(0, epochs=2, callbacks=[EarlyStopping(4), Checkpoint(path)])
    resumed, again = on_gpu(9, epochs=5, callbacks=[EarlyStopping(4), Checkpoint(path, resume=True)])
    assert history.to_frame().equals(again.to_frame())
    for ours, theirs in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    elsewhere = dropping(9)
    callbacks = [EarlyStopping(4), Checkpoint(path, resume=True)]
    assert train(elsewhere, **mini_batches(optimizer="adam", epochs=9, callbacks=callbacks)).epochs > 5
