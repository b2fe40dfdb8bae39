"""A run that goes on from a file is the run that never ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile

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


# What cannot be gone on with


OTHER_RUNS = {
    "layers": ({"model": MLP((2, 6, 2))}, r"model was .*hidden1\.weight \(5, 2\).* now it is .*\(6, 2\)"),
    "optimiser": ({"optimizer": "adam"}, "optimizer was SGD .*, now it is Adam"),
    "momentum": ({"optimizer": "momentum"}, r"optimizer was .*'momentum': 0,.* now it is .*'momentum': 0\.9"),
    "rate": ({"lr": 0.3}, r"'lr': 0\.1.*, now it is .*'lr': 0\.3"),
    "batch size": ({"batch_size": 7}, "batch_size was 16, now it is 7"),
    "no batches": ({"batch_size": None}, "batch_size was 16, now it is None"),
    "seed": ({"seed": 5}, r"seed was \[0\].*, now it is \[5\]"),
    "loss": ({"loss": nn.NLLLoss()}, r"loss was CrossEntropyLoss\(\), now it is NLLLoss\(\)"),
    "data": ({"data": (DATA.x + 1, DATA.y)}, "train was x .*, now it is x"),
    "labels": ({"data": (DATA.x, 1 - DATA.y)}, "train was x .*, now it is x"),
    "fewer data": ({"data": DATA[:60]}, r"train was x \(70, 2\).*, now it is x \(60, 2\)"),
    "metrics": ({"metrics": "accuracy"}, "curves was loss, now it is loss, accuracy"),
    "another callback": ({"callbacks": [Snapshots(every=1)]}, "callbacks was none, now it is Snapshots"),
    "an ensemble": ({"model": Ensemble([network()])}, r"model was hidden1.*, now it is stacked\.hidden1"),
    "fewer epochs": ({"epochs": 2}, r"holds 3 epochs, but epochs=2; ask for as many,"),
}


@pytest.mark.parametrize(("options", "words"), OTHER_RUNS.values(), ids=OTHER_RUNS.keys())
def test_another_run_is_refused(options, words, tmp_path):
    path = tmp_path / "run.pt"
    train(epochs=3, batch_size=16, callbacks=Checkpoint(path))
    options = {"model": network(seed=9), "epochs": 3, "batch_size": 16, **options}
    before = [value.clone() for value in options["model"].state_dict().values()]
    callbacks = [Checkpoint(path, resume=True), *options.pop("callbacks", [])]
    with pytest.raises(ValueError, match=words) as error:
        train(**options, callbacks=callbacks)
    assert "begin anew with resume=False" in str(error.value)
    assert str(path) in str(error.value)
    for ours, theirs in zip(before, options["model"].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_another_kind_of_ensemble_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    train(Ensemble([network(), network()]), callbacks=Checkpoint(path))
    with pytest.raises(ValueError, match=r"groups of parameters was of \[4\], now it is of \[4, 4\]"):
        train(Ensemble([network(), network()], batched=False), callbacks=Checkpoint(path, resume=True))
    with pytest.raises(ValueError, match=r"seed was \[0\].*, now it is \[4, 5\]"):
        train(Ensemble([network(), network()]), seed=[4, 5], callbacks=Checkpoint(path, resume=True))


def test_another_schedule_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    train(epochs=3, callbacks=[Checkpoint(path), Schedule("cosine", warmup=1)])
    model = network(seed=9)
    for schedule in (
        Schedule("cosine"),
        Schedule("linear", warmup=1),
        Schedule("cosine", warmup=1, eta_min=0.1),
    ):
        with pytest.raises(ValueError, match=r"schedule was \(cosine, .*\), now it is \(.*\); go on"):
            train(model, epochs=3, callbacks=[Checkpoint(path, resume=True), schedule])
    # A longer run would be another curve, and not the rest of the same one.
    with pytest.raises(ValueError, match=r"warmup 1, 3 epochs\), now it is .*warmup 1, 5 epochs\)"):
        train(model, epochs=5, callbacks=[Checkpoint(path, resume=True), Schedule("cosine", warmup=1)])
    assert torch.equal(model.output.weight, network(seed=9).output.weight)


def test_a_callback_that_refuses_its_state_leaves_the_model_alone(tmp_path):
    class Picky(Callback):
        def state_dict(self):
            return {"number": 1}

        def load_state_dict(self, state):
            raise ValueError("not this one")

    path = tmp_path / "run.pt"
    train(callbacks=[Checkpoint(path), Picky()])
    model = network(seed=9)
    with pytest.raises(ValueError, match="not this one"):
        train(model, callbacks=[Checkpoint(path, resume=True), Picky()])
    assert torch.equal(model.output.weight, network(seed=9).output.weight)


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def damage_flip(path):
    """Change one bit of a parameter, which PyTorch itself does not notice."""
    content = bytearray(path.read_bytes())
    weights = network_bytes(path)
    content[content.index(weights)] ^= 1
    path.write_bytes(content)


def network_bytes(path):
    return torch.load(path, weights_only=True)["model"]["hidden1.weight"].numpy().tobytes()


def damage_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "is damaged, or no checkpoint"),
    "text": (lambda path: path.write_text("hello"), "is damaged, or no checkpoint"),
    "cut off": (damage_cut, "is damaged, or no checkpoint"),
    "a bit flipped": (damage_flip, "is damaged, in "),
    "another archive": (damage_zip, "is damaged, or no checkpoint"),
    "parameters only": (lambda path: torch.save(network().state_dict(), path), "is no checkpoint of a run"),
    "a whole module": (lambda path: torch.save(network(), path), "is damaged, or no checkpoint"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_refused(damage, words, tmp_path):
    path = tmp_path / "run.pt"
    train(callbacks=Checkpoint(path))
    damage(path)
    with pytest.raises(ValueError, match=words) as error:
        train(callbacks=Checkpoint(path, resume=True))
    assert str(path) in str(error.value)
    assert "delete it, give another path, or begin anew with resume=False" in str(error.value)
    assert train(callbacks=Checkpoint(path)).epochs == 3


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"every": 0}, ValueError, "every is 0; it must be at least 1"),
        ({"every": 1.5}, TypeError, r"every is 1\.5; give a whole number"),
        (
            {"path": "nowhere/run.pt"},
            ValueError,
            "there is no folder '.*nowhere' for the checkpoint; make it",
        ),
        ({"path": "."}, ValueError, "is a folder; give the path of a file in it"),
        ({"path": 3}, TypeError, "int"),
    ],
)
def test_bad_arguments_are_refused(options, error, words, tmp_path):
    path = options.pop("path", "run.pt")
    with pytest.raises(error, match=words):
        train(callbacks=Checkpoint(path if path == 3 else tmp_path / path, **options))


@pytest.mark.parametrize("value", [np.zeros(2), {1, 2}, print])
def test_a_state_that_cannot_be_kept_is_refused(value, tmp_path):
    class Keeper(Callback):
        def state_dict(self):
            return {"a": [1, (2, {"b": value})]}

    with pytest.raises(TypeError, match=r"the state of Keeper holds .*a checkpoint can keep numbers"):
        train(callbacks=[Checkpoint(tmp_path / "run.pt"), Keeper()])
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_leaves_the_file_before_it(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    train(epochs=1, callbacks=Checkpoint(path))
    before = path.read_bytes()

    def full(state, file):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        train(epochs=2, callbacks=Checkpoint(path, resume=True))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]
