"""What a run does not go on from: other runs, damaged files; and what is not written."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
from runs import moons, network, train
from torch import nn

from ddl.models import MLP
from ddl.training import Callback, Checkpoint, Ensemble, Schedule, Snapshots

DATA = moons()

OTHER_RUNS = {
    "layers": ({"model": MLP((2, 6, 2))}, r"model was .*hidden1\.weight \(5, 2\).* now it is .*\(6, 2\)"),
    "activation": ({"model": MLP((2, 5, 2), nn.ReLU)}, r"modules was .*Tanh.*, now it is .*ReLU"),
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


def test_the_same_numbers_in_other_words_are_the_same_run(tmp_path):
    path = tmp_path / "run.pt"
    train(lr=0.1, callbacks=Checkpoint(path))
    assert train(lr=np.float64(0.1), epochs=4, callbacks=Checkpoint(path, resume=True)).epochs == 4
    path = tmp_path / "rates.pt"
    train(Ensemble([network(), network()]), lr=[0.1, 0.2], callbacks=Checkpoint(path))
    checkpoint = Checkpoint(path, resume=True)
    train(Ensemble([network(), network()]), lr=np.array([0.1, 0.2]), epochs=4, callbacks=checkpoint)
    assert checkpoint.resumed == 3


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
