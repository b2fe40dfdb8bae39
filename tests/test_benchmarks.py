"""The benchmarks compare like with like, in pairs, and say what they have measured.

What concerns another package is tested where that is installed (benchmarks/requirements.txt).
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import itertools
import json
import math
import types
from dataclasses import replace

import books
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.flop_counter import FlopCounterMode

import ddl
from benchmarks import __main__ as command
from benchmarks import bounds, cases, contestants, loops, machine, peers, report, timing
from benchmarks.contestants import Contestant
from benchmarks.training import Training

EVERYBODY = ["floor", "floor fused", "ddl", "ddl fused", "DataLoader", "scikit-learn", "Keras", "skorch"]
EVERYBODY += ["Lightning"]

# What other packages warn of within themselves is theirs to mend.
others_warn = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def task(rows=70, batch_size=32, members=1, epochs=2, activation=nn.ReLU):
    train, test = (ddl.datasets.blobs(n, rng=ddl.rng(n)) for n in (rows, 50))
    network = cases.perceptron((2, 8, 3), activation)
    return cases.Task(
        "blobs", "Blobs", network, train, test, batch_size, epochs=epochs, lr=0.02, members=members
    )


def made(name, of):
    """One of the contestants for a single network; skips the test where its package is missing."""
    one = next(one for one in contestants.for_one(of) if one.name == name)
    if one.version is None:
        pytest.skip(f"{one.distribution} is not installed")
    return one.make


class Fake(Training):
    """Trains in no time by the clock of the test, and notes down what is done with it."""

    log: list
    clock: list

    def __init__(self, task, models, seed, *, name, takes):
        super().__init__(task, models, seed)
        self.name, self.takes = name, takes
        self.clock[0] += 1000  # preparing is slow, and is not to be timed

    def fit(self):
        weights = [model.hidden1.weight[0, 0].item() for model in self.models]
        self.log.append(
            (self.name, self.task.epochs, self.seed, len(self.models), torch.get_num_threads(), weights)
        )
        self.clock[0] += next(self.takes)

    def accuracy(self):
        self.clock[0] += 1000
        return 0.5


@pytest.fixture(autouse=True)
def no_collection_of_garbage(monkeypatch):
    """What takes longer than all that is tested here."""
    monkeypatch.setattr(timing.gc, "collect", lambda: None)


@pytest.fixture
def fake(monkeypatch):
    """Makes contestants that take the given seconds, one after the other."""
    monkeypatch.setattr(Fake, "log", [], raising=False)
    monkeypatch.setattr(Fake, "clock", [0.0], raising=False)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: Fake.clock[0])

    def make(name, *seconds, **options):
        takes = iter(seconds) if seconds else itertools.repeat(1.0)
        return Contestant(
            name, lambda task, models, seed: Fake(task, models, seed, name=name, takes=takes), **options
        )

    return make


# How it is timed


def test_all_take_turns_and_each_is_first_once(fake):
    three = [fake(name) for name in "abc"]
    timing.race(task(), three, repeats=3, threads=1, warm=0)
    names = "".join(name for name, *_ in Fake.log)
    assert names == "abc" + "abc" + "bca" + "cab"


def test_each_is_warm_before_it_is_timed(fake):
    timing.race(task(epochs=7), [fake("a"), fake("b")], repeats=1, threads=1, warm=2500)
    assert [(name, epochs) for name, epochs, *_ in Fake.log] == [("a", 1)] * 2 + [("b", 1)] * 2 + [
        ("a", 7),
        ("b", 7),
    ]


def test_in_a_repeat_all_start_from_the_same_weights(fake):
    timing.race(task(members=2), [fake("a"), fake("b")], repeats=3, threads=1, warm=0)
    timed = [(seed, tuple(weights)) for _, epochs, seed, _, _, weights in Fake.log if epochs == 2]
    assert len(timed) == 6
    assert len(set(timed)) == 3
    assert len({weight for _, weights in timed for weight in weights}) == 6, "no network twice"


def test_only_the_training_is_timed(fake):
    results = timing.race(task(), [fake("a", 1.0, 2.0, 5.0)], repeats=2, threads=1, warm=0)
    assert results == {"a": [timing.Result(2.0, 0.5), timing.Result(5.0, 0.5)]}


def test_threads_are_set_and_set_back(fake):
    before = torch.get_num_threads()
    timing.race(task(), [fake("a"), fake("b", threads=2)], repeats=1, threads=1, warm=0)
    assert {(name, threads) for name, *_, threads, _ in Fake.log} == {("a", 1), ("b", 2)}
    with pytest.raises(KeyError), timing.on_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_ratios_are_taken_within_a_repeat(fake):
    floor, other = fake("floor", 9.0, 1.0, 2.0, 4.0), fake("other", 9.0, 2.0, 2.0, 12.0)
    case = timing.compare(task(epochs=2), [floor, other], repeats=3, threads=1, warm=0)
    entry = case["contestants"][1]
    assert entry["seconds_per_epoch"] == {"median": 1.0, "min": 1.0, "max": 6.0, "runs": [1.0, 1.0, 6.0]}
    assert entry["ratios"]["floor"]["runs"] == [2.0, 1.0, 3.0]
    assert entry["ratios"]["floor"]["median"] == 2.0, "not the ratio of the medians, which is 1"
    assert entry["microseconds_per_step"]["median"] == pytest.approx(1e6 / 3)


def test_what_only_some_networks_are_timed_for_is_scaled_and_said(fake):
    pair = [fake("floor"), fake("some", members=2)]
    case = timing.compare(task(members=6, epochs=2), pair, repeats=1, threads=1, warm=0)
    of_all, of_some = case["contestants"]
    assert [members for *_, members, _, _ in Fake.log] == [6, 2, 6, 2]
    assert (of_all["members_timed"], of_all["seconds_per_epoch"]["median"]) == (6, 0.5)
    assert (of_some["members_timed"], of_some["seconds_per_epoch"]["median"]) == (2, 1.5)
    assert "2, scaled" in report.many(case)
    assert report.many(case).count("scaled") == 1


def test_what_is_missing_is_listed_and_not_run(fake):
    missing = fake("ghost", distribution="no-such-distribution")
    pair = [fake("floor"), missing]
    for members, shown in ((1, report.one), (2, report.many)):
        case = timing.compare(task(members=members), pair, repeats=1, threads=1, warm=0)
        assert case["contestants"][1] == {
            "name": "ghost",
            "distribution": "no-such-distribution",
            "version": None,
        }
        (line,) = (line for line in shown(case).splitlines() if "ghost" in line)
        assert "not installed" in line
    assert {name for name, *_ in Fake.log} == {"floor"}


# What is compared


def test_everybody_takes_part():
    assert [one.name for one in contestants.for_one(task())] == EVERYBODY
    images = replace(task(), network=cases.convolutional)
    assert {one.name for one in contestants.for_one(images)} == set(EVERYBODY) - {"scikit-learn"}
    names = [one.name for one in contestants.for_many(task())]
    assert names[0] == contestants.FLOOR
    assert "ddl own batches" in names
    assert "ddl own batches" not in [one.name for one in contestants.for_many(task(batch_size=70))]


@pytest.fixture
def optimizer_steps():
    """The steps that PyTorch's optimisers take."""
    taken = []
    handle = register_optimizer_step_post_hook(lambda *_: taken.append(1))
    yield taken
    handle.remove()


@others_warn
@pytest.mark.parametrize("name", sorted(set(EVERYBODY) - {"Keras", "scikit-learn"}))
def test_all_with_torchs_optimizers_take_the_same_steps_of_the_same_batches(name, optimizer_steps):
    of, batches = task(), []
    models = of.networks(0, 1)
    models[0].register_forward_pre_hook(
        lambda module, inputs: batches.append(len(inputs[0])) if module.training else None
    )
    made(name, of)(of, models, 0).fit()
    assert batches == [32, 32, 6] * 2
    assert len(optimizer_steps) == of.epochs * of.steps_per_epoch == 6


@others_warn
def test_keras_takes_the_same_steps():
    of = task()
    training = made("Keras", of)(of, of.networks(0, 1), 0)
    training.fit()
    assert int(training.model.optimizer.iterations) == 6


def test_scikit_learn_takes_the_same_steps():
    of = replace(task(epochs=15), lr=1e-9)  # of itself it would stop where it gets no better
    training = made("scikit-learn", of)(of, of.networks(0, 1), 0)
    training.fit()
    assert training.classifier._optimizer.t == 45
    assert training.classifier.n_iter_ == 15


@pytest.mark.parametrize(("make", "steps"), [(loops.Floor, 3 * 6), (loops.Fit, 6)])
def test_many_networks_take_the_same_steps(make, steps, optimizer_steps):
    of = task(members=3)
    training = make(of, of.networks(0, 3), 0)
    training.fit()
    assert len(optimizer_steps) == steps
    assert training.predict(of.test.x).shape == (3, 50)


@others_warn
@pytest.mark.parametrize("name", EVERYBODY)
def test_all_learn_the_same_where_the_order_of_rows_does_not_matter(name):
    # All rows at once: the same weights to begin with, the same Adam, as many steps, so the same in the end.
    of = task(rows=64, batch_size=64, epochs=30)
    x = ddl.datasets.blobs(2000, spread=1.0, rng=ddl.rng(5)).x
    floor, other = (make(of, of.networks(3, 1), 0) for make in (loops.Floor, made(name, of)))
    before = of.networks(3, 1)[0](x).argmax(1)
    for training in (floor, other):
        training.fit()
    assert other.predict(x).shape == (1, 2000)
    agreed = (other.predict(x) == floor.predict(x)).double().mean()
    assert agreed > 0.998
    assert (before == floor.predict(x)).double().mean() < 0.9, "it has learned something"
    assert other.accuracy() > 0.6


def test_an_ensemble_learns_what_the_floor_learns_one_by_one():
    of = task(rows=64, batch_size=64, members=4, epochs=30)
    floor, together = (make(of, of.networks(3, 4), 0) for make in (loops.Floor, loops.Fit))
    for training in (floor, together):
        training.fit()
    torch.testing.assert_close(together.accuracy(), floor.accuracy(), atol=0.02, rtol=0)
    for one, member in zip(floor.models, together.model, strict=True):
        for ours, theirs in zip(one.parameters(), member.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_own_batches_are_in_an_order_of_their_own():
    of = task(members=2, epochs=1)
    same = of.networks(0, 1) * 2
    for own in (False, True):
        training = loops.Fit(of, same, 0, own_batches=own)
        training.fit()
        first, second = (model.output.weight for model in training.model)
        assert torch.equal(first, second) != own


def test_the_floor_sees_each_row_once_an_epoch():
    of = task()
    of = replace(of, train=replace(of.train, x=torch.arange(140.0).view(70, 2)))
    training = loops.Floor(of, of.networks(0, 1), 0)
    epochs = [torch.cat([x[:, 0] for x, _ in training.batches()]) for _ in range(2)]
    assert not torch.equal(*epochs)
    for rows in epochs:
        assert torch.equal(rows.sort().values, of.train.x[:, 0])
    x, y = next(training.batches())
    assert torch.equal(of.train.y[(x[:, 0] / 2).long()], y)


@others_warn
def test_kerass_network_computes_what_torchs_does():
    of = replace(task(), network=cases.convolutional, train=ddl.datasets.mnist()[::100])
    training = made("Keras", of)(of, of.networks(0, 1), 0)
    expected = of.networks(0, 1)[0](of.train.x).detach()
    output = torch.from_numpy(training.model.predict(of.train.x.numpy(), verbose=0))
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(TypeError, match="Tanh"):
        peers.keras_model(nn.Sequential(nn.Tanh()), (2,))


def test_tasks_are_what_the_titles_say():
    mnist, tiled, cnn = cases.single(quick=False)
    assert (len(mnist.train), len(mnist.test), len(tiled.train)) == (4000, 1000, 60_000)
    assert mnist.network(0).sizes == (784, 100, 10)
    assert "60 000" in tiled.title
    assert torch.equal(tiled.train.x[56_000:], mnist.train.x)
    assert cnn.train.x.shape[1:] == (1, 28, 28)
    assert cnn.network(0)(cnn.train.x[:2]).shape == (2, 10)
    spirals = cases.many(quick=False)
    assert [(one.members, one.steps_per_epoch) for one in spirals] == [(64, 8), (256, 8), (64, 1), (256, 1)]
    assert {len(one.train) for one in spirals} == {256}
    for one in cases.single(quick=True) + cases.many(quick=True):
        assert one.epochs == 1


def test_packages_that_are_compared_are_pinned_and_torch_is_not_pinned_twice():
    book, extra = (
        dict(line.split("==") for line in (books.REPOSITORY / path).read_text().splitlines() if "==" in line)
        for path in ("requirements.txt", "benchmarks/requirements.txt")
    )
    needed = {one.distribution for one in contestants.for_one(task())} - {contestants.OURS}
    assert needed <= {*book, *extra}
    assert not set(book) & set(extra)


# What bounds the ensembles


def test_flops_are_those_that_pytorch_counts():
    model = ddl.models.MLP((2, 16, 16, 2), seed=0)
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(32, 2)).sum().backward()
    assert bounds.step_flops(model, 32) == counter.get_total_flops()


def test_tangents_are_counted():
    seen = []
    model = ddl.models.MLP((2, 16, 5, 2), seed=0)
    for layer in (model.activation1, model.activation2):
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.numel()))
    model(torch.rand(32, 2))
    assert bounds.tanh_elements(model, 32) == sum(seen) == 32 * 21
    assert bounds.tanh_elements(ddl.models.MLP((2, 16, 2), nn.ReLU, seed=0), 32) == 0


def event(name, caller=None):
    return types.SimpleNamespace(name=name, cpu_parent=caller)


def test_what_the_optimizer_calls_counts_as_its_own():
    step = event("Optimizer.step#Adam.step")
    assert bounds.group(event("aten::mm", event("aten::matmul", step))) == bounds.OPTIMIZER
    assert bounds.group(event("aten::baddbmm", event("aten::linear"))) == bounds.PRODUCTS
    assert bounds.group(event("aten::tanh")) == bounds.FORWARD
    assert bounds.group(event("aten::add")) == bounds.OTHERS


def test_the_shortest_time_counts(monkeypatch):
    now, takes = [0.0], iter([5.0, 2.0, 4.0])
    monkeypatch.setattr(bounds.time, "perf_counter", lambda: now[0])
    assert bounds.shortest(lambda: now.__setitem__(0, now[0] + next(takes)), 10) == 2.0


def test_only_the_training_is_watched(monkeypatch):
    log = []

    def noted(name, original):
        return lambda self: log.append(name) or original(self)

    for name in ("assemble", "train"):
        monkeypatch.setattr(loops.Fit, name, noted(name, getattr(loops.Fit, name)))

    @contextlib.contextmanager
    def watch():
        log.append("begin")
        yield
        log.append("end")

    bounds.train(task(members=2), 1, watch())
    assert log == ["assemble", "begin", "train", "end"]


def test_the_time_of_a_step_is_divided_completely():
    of = task(rows=64, batch_size=32, members=3, activation=nn.Tanh)
    elapsed, operators = bounds.breakdown(of, 2)
    assert sum(operators.values()) == pytest.approx(elapsed)
    assert min(operators.values()) > 0


def test_launching_bounds_one_small_network_and_arithmetic_many():
    line = {"overhead_microseconds": 100.0, "arithmetic_microseconds_per_member": 1.0}
    rates = {f"{name}_elements": 1e9 for name in ("tanh", "tanh_backward")} | {"matmul_flops": 1e9}
    measured = {}
    for members in (2, 300):
        of = task(rows=8, batch_size=8, members=members, activation=nn.Tanh)
        one = bounds.case(of, line, rates, repeats=1, seconds=0.001)
        measured[members] = one
        flops, tangents = members * 8 * 2 * (3 * (16 + 24) - 16), members * 8 * 8
        assert (one["flops_per_step"], one["tanh_elements_per_step"]) == (flops, tangents)
        assert one["least_microseconds"] == pytest.approx(1e-3 * (flops + 2 * tangents))
        share = 1e-3 * flops / one["microseconds_per_step"]
        assert one["share_of_matmul_rate"]["step"] == pytest.approx(share)
    assert (measured[2]["bound_by"], measured[300]["bound_by"]) == ("launch overhead", "arithmetic")
    assert measured[2]["overhead_share"] == pytest.approx(100 / 102)


# The command


@pytest.fixture
def small(monkeypatch):
    """Trainings that take milliseconds in place of the real ones."""
    of = replace(task(), name="mnist", title="One network", notes=("A note.",))
    together = [replace(task(batch_size=n, members=2, activation=nn.Tanh), name=f"s{n}") for n in (32, 70)]
    monkeypatch.setattr(command, "single", lambda *, quick: [of, replace(of, name="cnn")])
    monkeypatch.setattr(command, "many", lambda *, quick: together)
    monkeypatch.setattr(bounds, "MEMBERS", (1, 2, 4, 1000))


def test_the_command_prints_tables_and_writes_what_they_hold(small, tmp_path, capsys):
    path = tmp_path / "results.json"
    options = ["--quick", "--only", "mnist,spirals,profile", "--repeats", "1", "--json", str(path)]
    command.main([*options, "--contestants", "ddl,ddl fused"])
    printed, told = capsys.readouterr()
    results = json.loads(path.read_text(encoding="utf-8"))
    assert printed == report.markdown(results) + "\n"
    command.main(["--show", str(path)])
    assert capsys.readouterr().out == printed  # also numbers that have become strings and back
    assert "mnist: repeat 1 of 1" in told
    assert results["settings"] == {"repeats": 1, "threads": 1, "quick": True}
    assert set(results["machine"]) == {
        "processor", "vector_instructions", "cores", "system", "python", "versions", "load", "started"
    }  # fmt: skip
    assert results["machine"]["versions"]["torch"] == torch.__version__
    assert [case["name"] for case in results["cases"]] == ["mnist", "s32", "s70"]
    for case in results["cases"]:
        names = ["floor", "ddl", "ddl fused"] if case["members"] == 1 else ["floor", "ddl"]
        assert [one["name"] for one in case["contestants"]][: len(names)] == names
        for one in case["contestants"]:
            assert set(one) == {
                "name", "distribution", "version", "threads", "members_timed", "seconds_per_epoch",
                "microseconds_per_step", "test_accuracy", "ratios",
            }  # fmt: skip
            for values in (one["seconds_per_epoch"], *one["ratios"].values()):
                assert len(values["runs"]) == 1
                assert 0 < values["min"] <= values["median"] <= values["max"] < math.inf
            assert one["test_accuracy"]["median"] > 0.3
    assert [one["batch_size"] for one in results["profile"]["scaling"]] == [32, 70]
    assert results["profile"]["scaling"][0]["members"] == [1, 2, 4]
    assert "A quick run" in printed
    assert "A note." in printed


def test_parts_that_are_not_asked_for_are_not_measured(small, capsys):
    results = command.measure(["mnist"], repeats=1, quick=True, names=["ddl"])
    assert [case["name"] for case in results["cases"]] == ["mnist"]
    assert [one["name"] for one in results["cases"][0]["contestants"]] == ["floor", "ddl"]
    assert results["profile"] is None
    assert "What bounds" not in report.markdown(results)


def test_an_unknown_part_is_refused(small, capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "mnist,cifar"])
    assert "there is no cifar to measure; there are mnist, tiled" in capsys.readouterr().err


def test_columns_line_up():
    lines = report.table(["", "seconds"], [["floor", "1.00"], ["a longer name", "123.45"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "|:--------------|--------:|"
    assert lines[3] == "| a longer name |  123.45 |"


def test_times_as_fast_have_the_range_of_the_ratios_turned_round():
    assert report.inverse({"median": 0.1, "min": 0.05, "max": 0.2}) == {"median": 10, "min": 5, "max": 20}


def test_the_processor_is_named():
    assert machine.processor()
    assert machine.version("no-such-distribution") is None


@pytest.mark.parametrize("module", ["bounds", "cases", "report", "timing"])
def test_examples_run(module):
    outcome = doctest.testmod(importlib.import_module(f"benchmarks.{module}"))
    assert outcome.failed == 0
