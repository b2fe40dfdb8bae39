"""Training on a GPU gives what training on the CPU gives, to rounding; skipped where there is none."""

from __future__ import annotations

import pytest
import torch
from runs import moons, network, values
from torch import nn

import ddl
from ddl.training import Checkpoint, EarlyStopping, Ensemble, Snapshots

AVAILABLE = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}

OPTIONS = {
    "loss": nn.CrossEntropyLoss(),
    "lr": 0.1,
    "batch_size": 16,
    "metrics": "accuracy",
    "validation": moons(30, seed=1),
}


@pytest.fixture(params=AVAILABLE)
def device(request):
    if not AVAILABLE[request.param]():
        pytest.skip(f"no {request.param} here")
    return request.param


def agree(first, second, histories):
    assert all(torch.allclose(a.cpu(), b.cpu(), atol=1e-4) for a, b in zip(first, second, strict=True))
    ours, theirs = histories
    assert all(ours[name] == pytest.approx(theirs[name], abs=1e-3) for name in theirs if "loss" in name)
    assert all(ours[name] == pytest.approx(theirs[name], abs=0.05) for name in theirs if "loss" not in name)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_one_model(device, optimizer):
    ours, theirs = network(), network()
    histories = [
        ddl.fit(model, moons(), epochs=3, optimizer=optimizer, device=where, **OPTIONS)
        for model, where in ((ours, device), (theirs, "cpu"))
    ]
    assert next(ours.parameters()).device.type == device
    agree(values(ours), values(theirs), histories)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("lr", [0.1, [0.1, 0.05, 0.2]])
def test_an_ensemble(device, batched, lr):
    ours, theirs = (Ensemble([network(seed) for seed in range(3)], batched=batched) for _ in range(2))
    options = {**OPTIONS, "lr": lr, "weight_decay": [0.0, 0.1, 0.01], "seed": [1, 2, 3]}
    histories = [
        ddl.fit(model, moons(), epochs=3, optimizer="momentum", device=where, **options)
        for model, where in ((ours, device), (theirs, "cpu"))
    ]
    agree(values(ours), values(theirs), histories)


def test_divergence(device):
    data = ddl.datasets.ten_points()
    ensemble = Ensemble([ddl.models.MLP((1, 1), seed=seed) for seed in range(2)])
    history = ddl.fit(ensemble, data, loss=nn.MSELoss(), lr=[0.01, 1.0], epochs=100, device=device)
    assert history.diverged[0] is None
    assert history.diverged[1] is not None
    assert all(value.isfinite().all() for value in values(ensemble))


def test_callbacks(device, tmp_path):
    model = network()
    callbacks = [Snapshots(every=2), EarlyStopping(2), Checkpoint(tmp_path / "run.pt")]
    ddl.fit(model, moons(), epochs=6, callbacks=callbacks, device=device, **OPTIONS)
    assert callbacks[0][2]["output.weight"].device.type == "cpu"
    again = network()
    resumed = [Snapshots(every=2), EarlyStopping(2), Checkpoint(tmp_path / "run.pt", resume=True)]
    ddl.fit(again, moons(), epochs=6, callbacks=resumed, device=device, **OPTIONS)
    assert all(torch.equal(a, b) for a, b in zip(values(model), values(again), strict=True))
