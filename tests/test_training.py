"""The training loop, against loops written by hand and fakes that count; its losses and metrics."""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
import pytest
import torch
from runs import CountingSGD, moons, network, same, train, values
from torch import nn

from ddl import datasets, environment, progress
from ddl.models import MLP
from ddl.training import OPTIMIZERS, Callback, accuracy, binary_cross_entropy, fit


@pytest.fixture(autouse=True)
def base_seed(monkeypatch):
    monkeypatch.delenv("DDL_SEED", raising=False)


# The same steps as a loop written by hand


def loop_by_hand(model, data, optimizer, epochs, batch_size, seed=0):
    """What every course writes down."""
    rng = np.random.default_rng([0, seed])
    losses = []
    for _ in range(epochs):
        order = np.arange(len(data)) if batch_size is None else rng.permutation(len(data))
        total = 0.0
        for start in range(0, len(data), batch_size or len(data)):
            rows = order[start : start + (batch_size or len(data))]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.x[rows]), data.y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        losses.append(total / len(data))
    return losses


@pytest.mark.parametrize("batch_size", [None, 16, 70, 1])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("sgd", lambda p, wd: torch.optim.SGD(p, lr=0.05, weight_decay=wd)),
        ("momentum", lambda p, wd: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=wd)),
        ("adam", lambda p, wd: torch.optim.Adam(p, lr=0.05, weight_decay=wd)),
        ("adamw", lambda p, wd: torch.optim.AdamW(p, lr=0.05, weight_decay=wd)),
    ],
)
def test_fit_equals_a_loop_by_hand_bit_for_bit(name, by_hand, weight_decay, batch_size):
    ours, theirs = network(), network()
    options = {"optimizer": name, "lr": 0.05, "weight_decay": weight_decay, "batch_size": batch_size}
    history = train(ours, epochs=4, seed=3, **options)
    if batch_size == 70:  # one batch of everything is taken in order
        batch_size = None
    losses = loop_by_hand(theirs, moons(), by_hand(theirs.parameters(), weight_decay), 4, batch_size, seed=3)
    assert same(values(ours), values(theirs))
    assert history["loss"].tolist() == losses
    assert not same(values(ours), values(network()))


def test_sgd_without_pytorch_s_optimizer():
    """One step on one weight, by hand: w − lr · d/dw mean (w x − y)² = w − lr · mean 2 x (w x − y)."""
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(3.0)
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [4.0]])
    history = fit(model, (x, y), loss=nn.MSELoss(), epochs=1, lr=0.1)
    assert history["loss"].tolist() == [(2**2 + 2**2) / 2]
    assert model.weight.item() == pytest.approx(3 - 0.1 * (2 * 1 * 2 + 2 * 2 * 2) / 2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_named_optimizer_trains(name):
    model = network()
    train(model, optimizer=name)
    assert not same(values(model), values(network()))


def test_nesterov_is_pytorch_s():
    ours, theirs = network(), network()
    train(ours, optimizer="nesterov", lr=0.05)
    loop_by_hand(
        theirs, moons(), torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, nesterov=True), 3, None
    )
    assert same(values(ours), values(theirs))


def test_an_optimizer_of_one_s_own():
    ours, theirs = network(), network()
    train(ours, lr=None, optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.02, betas=(0.5, 0.9)))
    loop_by_hand(theirs, moons(), torch.optim.Adam(theirs.parameters(), lr=0.02, betas=(0.5, 0.9)), 3, None)
    assert same(values(ours), values(theirs))


@pytest.mark.parametrize(("batch_size", "steps"), [(None, 1), (70, 1), (100, 1), (32, 3), (35, 2), (1, 70)])
def test_fit_clears_and_steps_once_per_batch(batch_size, steps):
    made = []

    def optimizer(parameters):
        made.append(CountingSGD(parameters))
        return made[0]

    train(lr=None, optimizer=optimizer, batch_size=batch_size, epochs=2)
    assert made[0].calls == ["zero_grad", "step"] * (2 * steps) + ["zero_grad"]


class Recorder(nn.Module):
    """Remembers the batches that it is trained on, in order."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.batches = []

    def forward(self, x):
        if self.training:
            self.batches.append(x.flatten().tolist())
        return self.linear(x)


def batches_of(n=10, **options):
    model = Recorder()
    x = torch.arange(float(n))[:, None]
    fit(model, (x, x), loss=nn.MSELoss(), lr=1e-6, **options)
    return model.batches


def test_every_epoch_takes_every_example_once_in_a_new_order():
    batches = batches_of(epochs=2, batch_size=4)
    assert [len(batch) for batch in batches] == [4, 4, 2] * 2
    epochs = [list(itertools.chain(*batches[start : start + 3])) for start in (0, 3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_the_order_comes_from_seed_and_base_seed_only(monkeypatch):
    options = {"epochs": 2, "batch_size": 4}
    torch.manual_seed(0)
    first = batches_of(**options)
    torch.manual_seed(1)
    assert batches_of(**options) == first
    assert batches_of(**options, seed=1) != first
    monkeypatch.setenv("DDL_SEED", "1")
    assert batches_of(**options) != first


def test_fit_leaves_the_global_random_states_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    train(batch_size=8, validation=moons(30, seed=1), metrics="accuracy")
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_two_runs_are_the_same_run():
    first, second = network(), network()
    histories = [train(model, batch_size=8, optimizer="adam") for model in (first, second)]
    assert same(values(first), values(second))
    assert histories[0]["loss"].tolist() == histories[1]["loss"].tolist()


# What is measured


def test_metrics_and_validation_are_measured_after_the_epoch_in_evaluation_mode():
    data, fresh = moons(), moons(40, seed=1)
    model = nn.Sequential(MLP((2, 20, 2), seed=0), nn.Dropout(0.5))
    seen = []

    class Check(Callback):
        def on_epoch_end(self, run):
            model.eval()
            with torch.no_grad():
                loss = nn.functional.cross_entropy(model(fresh.x), fresh.y).item()
                seen.append((loss, accuracy(model(data.x), data.y), accuracy(model(fresh.x), fresh.y)))

    history = train(model, data, validation=fresh, metrics="accuracy", callbacks=Check(), epochs=4)
    assert history.names == ("loss", "accuracy", "val_loss", "val_accuracy")
    assert list(zip(history["val_loss"], history["accuracy"], history["val_accuracy"], strict=True)) == seen
    assert len(seen) == 4


def test_metrics_of_one_s_own_and_pairs_of_tensors():
    data, fresh = moons(), moons(40, seed=1)
    history = train(
        data=(data.x, data.y),
        validation=(fresh.x, fresh.y),
        metrics={"error": lambda output, y: 1 - accuracy(output, y), "accuracy": accuracy},
    )
    assert history.names == ("loss", "error", "accuracy", "val_loss", "val_error", "val_accuracy")
    assert history["val_error"] + history["val_accuracy"] == pytest.approx(np.ones(3))


def test_measuring_many_examples_equals_measuring_them_at_once():
    data = moons(9000)  # more than go through the network at a time
    model = network()
    history = train(model, data, epochs=1, validation=data)
    with torch.no_grad():
        assert history.final("val_loss") == pytest.approx(
            nn.functional.cross_entropy(model(data.x), data.y).item()
        )


def test_loss_is_the_mean_over_examples_when_the_last_batch_is_smaller():
    x, y = torch.zeros(3, 1), torch.tensor([[1.0], [1.0], [1.0]])
    losses = iter([1.0, 4.0])
    model = nn.Linear(1, 1)

    def loss(output, y):
        return output.sum() * 0 + (next(losses) if model.training else 0.0)

    assert fit(model, (x, y), loss=loss, epochs=1, lr=0.1, batch_size=2)["loss"].tolist() == [
        (2 * 1 + 1 * 4) / 3
    ]


# What is left behind


@pytest.mark.parametrize("training", [True, False])
def test_fit_leaves_the_mode_of_each_module_and_no_gradients(training):
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.1), nn.Linear(4, 2)).train(
        training
    )
    model[1].train(not training)
    train(model)
    assert [model.training, *(module.training for module in model)] == [training] * 2 + [not training] + [
        training
    ] * 2
    assert all(parameter.grad is None for parameter in model.parameters())


def test_fit_leaves_mode_and_gradients_also_after_an_error():
    class Fails(Callback):
        def on_epoch_end(self, run):
            raise RuntimeError("on purpose")

    model = network().eval()
    with pytest.raises(RuntimeError, match="on purpose"):
        train(model, callbacks=[Fails()])
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    after = network()
    train(after, epochs=1)
    assert same(values(model), values(after))  # as of the last finished step


def test_the_model_is_trained_in_training_mode():
    norm = nn.BatchNorm1d(2)
    train(nn.Sequential(norm, nn.Linear(2, 2)).eval(), epochs=2)
    assert norm.num_batches_tracked == 2  # trying the arguments out and measuring left no trace


def test_frozen_parameters_stay():
    model = network()
    model.hidden1.requires_grad_(False)
    train(model)
    assert torch.equal(model.hidden1.weight, network().hidden1.weight)
    assert not torch.equal(model.output.weight, network().output.weight)


def test_the_model_moves_to_the_device_asked_for():
    class Movable(MLP):
        moved = ()

        def to(self, device):
            self.moved += (device,)
            return super().to(device)

    model = Movable((2, 2))
    train(model, device="cpu")
    assert model.moved == (torch.device("cpu"),)
    with pytest.raises(RuntimeError, match="nowhere"):
        train(device="nowhere")


# Divergence


def test_divergence_ends_the_run_and_is_recorded():
    data = datasets.ten_points()
    model = nn.Linear(1, 1)
    history = fit(model, data, loss=nn.MSELoss(), epochs=500, lr=1.0, validation=data)
    assert history.diverged == history.epochs < 100
    assert history.stopped is None
    assert not math.isfinite(history.final("loss"))
    assert math.isnan(history.final("val_loss"))
    assert np.isfinite(history["loss"][:-1]).all()
    assert all(value.isfinite().all() for value in values(model))
    assert f"diverged in epoch {history.diverged}" in repr(history)
    # As of the last finite step: the loss at these parameters is the one that ended the run.
    assert nn.functional.mse_loss(model(data.x), data.y).item() == history.final("loss")


def fit_breaking(x, breaks, value):
    """Train with a loss that is not finite in one step; return also the values at the end and per step."""
    model = nn.Linear(1, 1)
    steps = []

    def loss(output, y):
        if not model.training:
            return output.sum()
        steps.append(values(model))
        return output.sum() * (value if len(steps) == breaks else 1.0)

    history = fit(model, (x, x), loss=loss, epochs=5, lr=0.1, batch_size=2)
    return history, values(model), steps


def test_an_epoch_with_a_loss_that_is_not_finite_is_undone():
    history, end, steps = fit_breaking(torch.ones(4, 1), breaks=3, value=math.nan)
    assert history.diverged == 2
    assert math.isnan(history.final("loss"))
    assert len(steps) == 3  # the run ended there, in the middle of the second epoch
    assert same(end, steps[2])
    assert not same(steps[2], steps[1])


def test_an_epoch_that_began_well_is_undone_too():
    history, end, steps = fit_breaking(torch.ones(6, 1), breaks=5, value=math.inf)
    assert (history.diverged, len(steps)) == (2, 5)
    assert same(end, steps[3])  # the beginning of the epoch, not of the last step
    assert not same(steps[4], steps[3])


def test_parameters_that_overflow_are_set_back_to_the_beginning_of_the_epoch():
    model = nn.Linear(1, 1)
    x = torch.ones(2, 1)
    before = []

    class Remember(Callback):
        def on_epoch_end(self, run):
            with torch.no_grad():
                model.weight.mul_(0.5)  # what a callback does to the parameters counts
            before.append(values(model))

    def loss(output, y):  # loss and gradient are always finite; lr times gradient is not in epoch 3
        return output.sum() * (1e10 if len(before) == 2 else 1e-30)

    history = fit(model, (x, x), loss=loss, epochs=9, lr=1e30, callbacks=Remember())
    assert history.diverged == 3
    assert math.isfinite(history.final("loss"))
    assert same(values(model), before[1])


def test_divergence_with_weights_that_lie_otherwise_in_memory():
    model = nn.Sequential(nn.Unflatten(1, (2, 1, 1)), nn.Conv2d(2, 3, 1, bias=False), nn.Flatten())
    model[1].weight.data = torch.randn(1, 1, 2, 3).permute(3, 2, 0, 1)
    assert not model[1].weight.is_contiguous()
    start = values(model)

    def loss(output, y):  # the step overflows in the convolution only
        return output.mean() * 1e-30 + model[1].weight.sum() * 1e30

    history = fit(model, (torch.ones(3, 2), torch.ones(3, 3)), loss=loss, epochs=9, lr=1e30)
    assert history.diverged == 1
    assert same(values(model), start)


def test_divergence_in_batch_norm_leaves_finite_statistics():
    model = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    data = datasets.ten_points()
    history = fit(model, data, loss=lambda output, y: output.square().mean(), epochs=200, lr=1e8)
    assert history.diverged is not None
    assert all(value.isfinite().all() for value in model.state_dict().values())


# Losses and metrics


@pytest.mark.parametrize("shape", [(50, 1), (50,)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool])
def test_binary_cross_entropy_is_the_formula(shape, dtype):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=50) * 3, rng.integers(0, 2, 50)
    p = 1 / (1 + np.exp(-z))
    expected = -np.mean(np.log(np.where(y == 1, p, 1 - p)))
    labels = torch.from_numpy(y).to(dtype)
    logits = torch.from_numpy(z).reshape(shape)
    assert binary_cross_entropy(logits, labels).item() == pytest.approx(expected)
    assert binary_cross_entropy(logits, labels[:, None]).item() == pytest.approx(expected)


def test_binary_cross_entropy_of_huge_logits_is_finite():
    assert binary_cross_entropy(torch.tensor([1e4, -1e4]), torch.tensor([0, 1])).item() == pytest.approx(1e4)


@pytest.mark.parametrize(
    ("logits", "y"), [((5, 2), (5,)), ((5, 1), (4,)), ((5,), (5, 2)), ((), ()), ((1,), ())]
)
def test_binary_cross_entropy_refuses_other_shapes(logits, y):
    with pytest.raises(ValueError, match="logits have shape"):
        binary_cross_entropy(torch.zeros(logits), torch.zeros(y))


@pytest.mark.parametrize(
    ("output", "y", "expected"),
    [
        ([[2.0], [-1.0], [0.5], [0.1]], [1, 0, 0, 1], 0.75),
        ([2.0, -1.0, 0.5, 0.1], [1, 0, 0, 1], 0.75),
        ([[0.0]], [0], 1.0),
        ([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]], [1, 1, 1], 2 / 3),
        ([[0.1, 0.2, 0.7], [-5, -9, -8]], [2, 0], 1.0),
    ],
)
def test_accuracy(output, y, expected):
    assert accuracy(torch.tensor(output), torch.tensor(y)) == pytest.approx(expected)
    assert accuracy(torch.tensor(output), torch.tensor(y)[:, None]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("output", "y"), [((5, 2), (4,)), ((5, 1), (1, 5)), ((0, 2), (0,)), ((5, 2, 2), (5,))]
)
def test_accuracy_refuses_other_shapes(output, y):
    with pytest.raises(ValueError, match="output has shape"):
        accuracy(torch.zeros(output), torch.zeros(y))


# The progress bar


@pytest.mark.parametrize(
    ("terminal", "kernel", "variables", "expected"),
    [
        (True, False, {}, True),
        (False, True, {}, True),
        (False, False, {}, False),
        (True, True, {"DDL_STATIC": "1"}, False),
        (True, True, {"DDL_STRICT": "1"}, False),
        (True, True, {"PYTEST_CURRENT_TEST": "test"}, False),
    ],
)
def test_a_bar_is_for_somebody_who_watches(terminal, kernel, variables, expected, monkeypatch):
    for variable in (environment.STATIC_VARIABLE, environment.STRICT_VARIABLE, "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)

    class Terminal:
        def isatty(self):
            return terminal

    class Shell:
        pass

    class IPython:
        @staticmethod
        def get_ipython():
            shell = Shell()
            if kernel:
                shell.kernel = object()
            return shell

    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert progress.watched() is expected


def test_training_in_a_test_shows_no_bar(capfd):
    train(epochs=50)
    assert capfd.readouterr() == ("", "")
