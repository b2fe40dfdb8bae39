"""Where a chapter runs, and the one seed that all its randomness comes from."""

from __future__ import annotations

import gc
import random
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

import ddl
from ddl import environment


@pytest.fixture(autouse=True)
def plain_run(monkeypatch):
    """A run with no variable of ours set, which leaves neither plot style nor collector changed behind."""
    for name in (environment.SEED_VARIABLE, environment.STATIC_VARIABLE, environment.STRICT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    threshold = gc.get_threshold()
    with mpl.rc_context():
        yield
    gc.set_threshold(*threshold)


# The base seed


def test_the_variables_have_the_names_that_the_book_tells():
    names = environment.SEED_VARIABLE, environment.STATIC_VARIABLE, environment.STRICT_VARIABLE
    assert names == ("DDL_SEED", "DDL_STATIC", "DDL_STRICT")


def test_the_base_seed_is_zero_unless_set():
    assert environment.base_seed() == 0


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), (str(10**30), 10**30)])
def test_the_base_seed_is_read_from_the_environment(text, number, monkeypatch):
    monkeypatch.setenv("DDL_SEED", text)
    assert environment.base_seed() == number


@pytest.mark.parametrize("text", ["", " ", "-1", "1.5", "one", " 3", "1e3", "0x10", "²"])
@pytest.mark.parametrize(
    "reader",
    [
        environment.base_seed,
        ddl.setup,
        pytest.param(lambda: ddl.rng(1), id="rng"),
        pytest.param(lambda: ddl.seed(1), id="seed"),
    ],
)
def test_what_is_no_seed_is_refused_with_the_remedy(text, reader, monkeypatch):
    monkeypatch.setenv("DDL_SEED", text)
    with pytest.raises(
        ValueError, match=re.escape(f"DDL_SEED={text!r} is not a seed; set it to 0, 1, 2, … or unset")
    ):
        reader()


# Streams


@pytest.mark.parametrize("base", [0, 5])
@pytest.mark.parametrize("stream", [0, 1, np.int64(12)])
def test_a_stream_is_numpys_own_generator(base, stream, monkeypatch):
    monkeypatch.setenv("DDL_SEED", str(base))
    expected = np.random.default_rng([base, stream])
    generator = ddl.rng(stream)
    assert np.array_equal(generator.normal(size=9), expected.normal(size=9))
    assert np.array_equal(generator.permutation(9), expected.permutation(9))


def test_draws_are_the_same_on_every_machine():
    # NumPy promises the same bits of PCG64 for the same seeds; these are its first for the seeds 0 and 1.
    assert ddl.rng(1).bit_generator.random_raw(2).tolist() == [16412783775159424549, 10277383025879800780]


def test_a_stream_starts_anew_each_time_and_leaves_others_alone():
    first = ddl.rng(1)
    draws = first.normal(size=5)
    assert np.array_equal(ddl.rng(1).normal(size=5), draws)
    assert not np.array_equal(first.normal(size=5), draws)


def test_streams_and_base_seeds_are_independent(monkeypatch):
    draws = []
    for base in range(3):
        monkeypatch.setenv("DDL_SEED", str(base))
        draws += [ddl.rng(stream).normal(size=4000) for stream in range(6)]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)  # five standard errors


def test_the_stream_is_not_added_to_the_base_seed(monkeypatch):
    ahead = ddl.rng(2).normal()
    monkeypatch.setenv("DDL_SEED", "1")
    assert ddl.rng(1).normal() != ahead


@pytest.mark.parametrize("call", [ddl.rng, ddl.seed])
def test_what_is_no_stream_is_refused(call):
    with pytest.raises(ValueError, match="stream is -1; it must be at least 0"):
        call(-1)
    for value in (1.5, "1", None, True, [1]):
        with pytest.raises(TypeError, match=re.escape(f"stream is {value!r}; give a whole number")):
            call(value)


def test_seeds_are_integers_that_torch_and_numpy_take(monkeypatch):
    found = set()
    for base in range(4):
        monkeypatch.setenv("DDL_SEED", str(base))
        found |= {ddl.seed(stream) for stream in range(250)}
    assert len(found) == 1000
    assert all(type(number) is int and 0 <= number < 2**32 for number in found)
    assert max(found) > 2**31  # all bits are used


@pytest.mark.parametrize(("base", "stream"), [(0, 0), (0, 3), (8, 3)])
def test_a_seed_comes_from_numpys_own_sequence(base, stream, monkeypatch):
    monkeypatch.setenv("DDL_SEED", str(base))
    assert ddl.seed(stream) == np.random.SeedSequence([base, stream]).generate_state(1)[0]


# Setup


def test_setup_prints_one_line_with_what_depends_on_the_machine_in_brackets(capsys, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "9.8+cu1")
    monkeypatch.setattr(environment.platform, "python_version", lambda: "3.99.1")
    monkeypatch.setattr(environment, "device", lambda: torch.device("cuda"))
    monkeypatch.setenv("DDL_SEED", "4")
    assert ddl.setup() is None
    printed = capsys.readouterr()
    version = metadata.version("dissecting-deep-learning")
    assert printed.out == f"ddl [{version}] · torch [9.8+cu1] · python [3.99.1] · device [cuda] · seed [4]\n"
    assert printed.err == ""


def test_comparison_of_outputs_sees_the_same_line_everywhere(capsys):
    settings = (Path(__file__).parent / "nbval_sanitize.cfg").read_text()
    pattern = re.search(r"^regex: (.*)$", settings, re.MULTILINE)[1]
    ddl.setup()
    line = re.sub(pattern, "[…]", capsys.readouterr().out)
    assert line == "ddl […] · torch […] · python […] · device […] · seed […]\n"


def test_the_package_and_its_distribution_have_one_version():
    assert ddl.__version__ == metadata.version("dissecting-deep-learning")


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002 - setup seeds these too


def test_setup_seeds_every_global_source_of_randomness(capsys):
    ddl.setup()
    first = draws()
    ddl.setup()
    assert draws() == first
    assert all(a != b for a, b in zip(first, draws(), strict=True))


def test_another_base_seed_gives_other_global_randomness(capsys, monkeypatch):
    ddl.setup()
    first = draws()
    monkeypatch.setenv("DDL_SEED", "1")
    ddl.setup()
    assert all(a != b for a, b in zip(first, draws(), strict=True))


def test_setup_sets_the_plot_style(capsys):
    mpl.rcParams["axes.labelcolor"] = "red"
    ddl.setup()
    assert mpl.rcParams["axes.labelcolor"] == ddl.plots.INK


def test_setup_calls_the_garbage_collector_less_often_but_leaves_it_on(capsys):
    gc.set_threshold(700, 10, 10)
    ddl.setup()
    assert gc.get_threshold()[0] > 10_000
    assert gc.isenabled()


def test_importing_the_package_loads_nothing_that_takes_long_and_few_need():
    slow = ["pandas", "scipy", "sklearn", "torch._dynamo"]
    code = f"import ddl, sys; print([name for name in {slow} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_importing_the_package_sets_nothing():
    code = (
        "import gc, random, matplotlib as mpl, numpy as np, torch\n"
        "random.seed(3); np.random.seed(3); torch.manual_seed(3)\n"
        "def state(): return str((random.getstate(), np.random.get_state(), torch.get_rng_state().tolist(),"
        " dict(mpl.rcParams), torch.get_default_dtype(), torch.is_grad_enabled(), gc.get_threshold()))\n"
        "import matplotlib.pyplot\n"
        "before = state()\n"
        "import ddl\n"
        "assert state() == before\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


# Device and switches


@pytest.mark.parametrize(
    ("cuda", "mps", "kind"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_fastest_device_is_chosen(cuda, mps, kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert ddl.device() == torch.device(kind)


@pytest.mark.parametrize(
    ("name", "switch"), [("DDL_STATIC", environment.static), ("DDL_STRICT", environment.strict)]
)
def test_switches_are_on_for_one_alone(name, switch, monkeypatch):
    assert switch() is False
    for value, on in (("1", True), ("0", False), ("", False), ("true", False)):
        monkeypatch.setenv(name, value)
        assert switch() is on
