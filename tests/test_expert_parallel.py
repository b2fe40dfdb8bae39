"""Experts spread over real processes give what a single process gives, and never leave anything behind."""

from __future__ import annotations

import copy
import importlib
import os
import sys
import tempfile
import time
import types

import numpy as np
import pytest
import torch
from torch import nn

from ddl import expert_parallel
from ddl.models import MixtureOfExperts


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


class OnlyHere(nn.Module):
    """An activation that no other process can import."""

    def forward(self, x):
        return x


@pytest.fixture(autouse=True)
def nothing_is_left_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.iterdir())


def by_one_process(layer, x, upstream):
    """The output and all gradients."""
    layer, x = copy.deepcopy(layer).eval(), x.clone().requires_grad_()
    output = layer(x)
    (output * upstream).sum().backward()
    return output.detach(), {name: p.grad for name, p in layer.named_parameters()} | {"x": x.grad}


def test_two_processes_compute_what_one_does():
    layer = MixtureOfExperts((4, 8, 3), experts=5, top_k=2, shared=1, noise=1.0, balance=1.0, seed=0)
    x, upstream = normal(3, 7, 4), normal(3, 7, 3, seed=1)
    state = torch.get_rng_state()
    exchange = expert_parallel.run(layer, x, upstream=upstream)
    assert torch.equal(torch.get_rng_state(), state)
    output, gradients = by_one_process(layer, x, upstream)
    assert exchange.output.shape == (3, 7, 3)
    assert torch.allclose(exchange.output, output, atol=1e-6)
    assert set(exchange.gradients) == set(gradients)
    for name, wanted in gradients.items():
        assert torch.allclose(exchange.gradients[name], wanted, atol=1e-5), name
    # experts 0 and 1 are in process 0, with the first eleven of the 21 examples
    chosen = layer.eval().route(x).chosen.reshape(21, 2)
    wanted = [[(part < 2).sum().item(), (part >= 2).sum().item()] for part in (chosen[:11], chosen[11:])]
    assert exchange.sent.tolist() == wanted
    away = wanted[0][1] + wanted[1][0]
    assert repr(exchange) == f"Exchange(2 processes, {away} of 42 choices sent away)"
    assert layer.router.weight.grad is None


def test_three_processes_of_which_one_gets_nothing():
    layer = MixtureOfExperts((4, 3), experts=3, top_k=1, renormalize=True, seed=0).double()
    with torch.no_grad():
        layer.router.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0], [0, 0, 0, 0]]))
    x = normal(4, 4).double()
    x[:, 0] = torch.tensor([1.0, 1.0, -1.0, 1.0])
    exchange = expert_parallel.run(layer, x, processes=3, upstream=torch.ones(4, 3).double())
    output, gradients = by_one_process(layer, x, torch.ones(4, 3).double())
    assert exchange.sent.tolist() == [[2, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert exchange.output.dtype == torch.float64
    assert torch.allclose(exchange.output, output)
    assert all(torch.allclose(exchange.gradients[name], wanted) for name, wanted in gradients.items())


def test_the_error_of_a_process_reaches_the_caller(monkeypatch):
    here = types.ModuleType("only_here")
    here.OnlyHere = OnlyHere
    monkeypatch.setitem(sys.modules, "only_here", here)
    monkeypatch.setattr(OnlyHere, "__module__", "only_here")
    layer = MixtureOfExperts((4, 8, 3), experts=2, activation=OnlyHere, seed=0)
    started = time.monotonic()
    with pytest.raises(
        RuntimeError, match=r"one of 2 processes has failed\n(.|\n)*No module named 'only_here'"
    ):
        expert_parallel.run(layer, normal(6, 4))
    assert time.monotonic() - started < 60


ENDLESS = """
import itertools, os, pathlib, signal, time, torch

class Endless(torch.nn.Module):
    def forward(self, x):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as one that waits outside of Python
        for beat in itertools.count():
            pathlib.Path(os.environ["BEATS"], str(os.getpid())).write_text(str(beat))
            time.sleep(0.02)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system cannot end several processes at once")
def test_time_is_up_when_it_is_up_and_no_process_goes_on(tmp_path_factory, monkeypatch):
    modules, beats = tmp_path_factory.mktemp("modules"), tmp_path_factory.mktemp("beats")
    (modules / "endless.py").write_text(ENDLESS)
    monkeypatch.syspath_prepend(modules)
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.setenv("BEATS", str(beats))
    endless = importlib.import_module("endless")
    layer = MixtureOfExperts((4, 8, 3), experts=2, activation=endless.Endless, seed=0)
    with pytest.raises(TimeoutError, match="2 processes were not done after 10 seconds"):
        expert_parallel.run(layer, normal(6, 4), timeout=10)
    last = [beat.read_text() for beat in beats.iterdir()]
    time.sleep(0.5)
    assert len(last) == 2
    assert [beat.read_text() for beat in beats.iterdir()] == last


def layer(**settings):
    return MixtureOfExperts((4, 3), experts=3, **settings)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"layer": nn.Linear(4, 3)}, TypeError, "layer is Linear"),
        ({"processes": 4}, ValueError, "4 processes for 3 experts and 6 examples"),
        ({"processes": 3, "x": torch.zeros(2, 4)}, ValueError, "3 processes for 3 experts and 2 examples"),
        ({"processes": 0}, ValueError, "processes is 0"),
        ({"layer": layer(capacity_factor=1.0)}, ValueError, r"set layer\.capacity_factor = None"),
        (
            {"upstream": torch.zeros(6, 4)},
            ValueError,
            r"upstream has shape \(6, 4\); the output has \(6, 3\)",
        ),
        ({"x": torch.zeros(6, 5)}, ValueError, r"x has shape \(6, 5\); give \(…, 4\)"),
        ({"timeout": 0}, ValueError, "timeout is 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_started(arguments, error, words, monkeypatch):
    monkeypatch.setattr(expert_parallel.subprocess, "Popen", None)
    with pytest.raises(error, match=words):
        expert_parallel.run(**{"layer": layer(), "x": torch.zeros(6, 4)} | arguments)
