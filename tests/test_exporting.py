"""Exported networks: the file computes what the network computes, for batches of any size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ddl.service import Feature, Service, export, load


class Standardised(nn.Module):
    """A network that has its own statistics, as a served one should."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([100.0, 10.0]))
        self.net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, x):
        return self.net((x - self.mean) / 50)


def test_the_file_computes_what_the_network_does(tmp_path):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)
    ).eval()
    written = export(model, torch.randn(3, 1, 6, 6), tmp_path / "net.pt2")
    loaded = load(written.path)
    for n in (1, 2, 3, 50):
        x = torch.randn(n, 1, 6, 6)
        assert torch.allclose(loaded(x), model(x), atol=1e-6)
    assert written.path == tmp_path / "net.pt2"
    assert written.size == written.path.stat().st_size > 1000
    assert written.batch_sizes == (1, 2, 4, 15)
    assert written.largest_difference < 1e-6
    assert repr(written).startswith(
        f"net.pt2: [{written.size:,}] bytes, input (batch, 1, 6, 6), outputs equal"
    )
    assert "in batches of 1, 2, 4, 15 [largest difference " in repr(written)


def test_dropout_is_off_in_the_file_and_on_again_in_the_network(tmp_path):
    model = Standardised()
    model.net[0].eval()
    modes = [part.training for part in model.modules()]
    export(model, torch.randn(4, 2), tmp_path / "net.pt2")
    assert [part.training for part in model.modules()] == modes
    x = torch.randn(5, 2)
    assert torch.allclose(load(tmp_path / "net.pt2")(x), model.eval()(x))


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


def test_a_network_that_draws_random_numbers_is_refused(tmp_path):
    model = Noisy()
    with pytest.raises(ValueError, match=r"in a batch of 1, net\.pt2 gives other outputs than the network"):
        export(model, torch.randn(4, 3), tmp_path / "net.pt2")
    assert model.training


@pytest.mark.parametrize("shape", [(3,), (1, 3), (0, 3)])
def test_two_examples_are_needed(tmp_path, shape):
    with pytest.raises(ValueError, match=r"give at least two examples, \(n, ...\)"):
        export(nn.Linear(3, 1), torch.randn(shape), tmp_path / "net.pt2")


def test_an_exported_network_can_be_served(tmp_path):
    model = Standardised().eval()
    export(model, torch.randn(4, 2), tmp_path / "net.pt2")
    with Service(load(tmp_path / "net.pt2"), [Feature("area", 20, 400), Feature("age", 0, 150)]) as service:
        (kind, page) = service.answer("POST", "/predict", b'{"rows": [[100, 10]]}')
    assert kind == "application/json"
    value = model(torch.tensor([[100.0, 10.0]])).item()
    assert page.decode().startswith('{"predictions": [{"value": ')
    assert float(page[len('{"predictions": [{"value": ') : -3]) == pytest.approx(value, rel=1e-5)
