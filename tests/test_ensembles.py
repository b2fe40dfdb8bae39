"""Ensembles: each member learns as it would alone, whatever it shares a tensor with."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from runs import CountingSGD, moons, same, values
from torch import nn

import ddl
from ddl.models import MLP
from ddl.training import OPTIMIZERS, EarlyStopping, Ensemble, PerMember, Snapshots, accuracy
from ddl.training.ensemble import pays

MEMBERS = 4


def perceptrons(seed):
    return MLP((2, 6, 5, 2), seed=seed)


def normalised(seed):
    """Without a bias before the normalisation: its gradient is rounding, which Adam makes steps of."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))


class Gated(nn.Module):
    """No sequence of layers; one weight is used twice, another is frozen."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = nn.Linear(2, 5), nn.Linear(5, 5)
        self.tied = nn.Linear(5, 5)
        self.tied.weight = self.second.weight
        self.last = nn.Linear(5, 2, bias=False)
        self.first.bias.requires_grad_(False)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.last(self.tied(h) * torch.sigmoid(self.second(h)))


def convolutional(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Unflatten(1, (1, 1, 2)), nn.Conv2d(1, 3, (1, 2)), nn.ReLU(), nn.Flatten(), nn.Linear(3, 2)
    )


SHAPES = {"mlp": perceptrons, "batch norm": normalised, "gated": Gated, "convolutional": convolutional}


def train(model, data=None, **options):
    defaults = {"loss": nn.CrossEntropyLoss(), "epochs": 3, "lr": 0.1}
    return ddl.fit(model, moons() if data is None else data, **{**defaults, **options})


def state(model):
    return list(model.state_dict().values())


def close(first, second, tolerance):
    return all(
        torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance)
        for a, b in zip(first, second, strict=True)
    )


def one(value, member):
    """The option of one member."""
    return value[member] if isinstance(value, list | np.ndarray) else value


def compare(make, *, batched, tolerance, datas=None, starts=range(MEMBERS), train_data=None, **options):
    """Train members together and alone; they must agree, also in their histories."""
    ensemble = Ensemble([make(start) for start in starts], batched=batched)
    history = train(ensemble, train_data, **options)
    for member, start in enumerate(starts):
        alone = make(start)
        data = train_data if datas is None else datas[member]
        by_itself = train(alone, data, **{key: one(value, member) for key, value in options.items()})
        assert not same(values(alone), values(make(start)))
        ours = history.member(member)
        assert (ours.epochs, ours.stopped, ours.diverged) == (
            by_itself.epochs,
            by_itself.stopped,
            by_itself.diverged,
        )
        if tolerance == 0:
            assert same(state(ensemble.member(member)), state(alone))
            assert all(np.array_equal(ours[name], by_itself[name], equal_nan=True) for name in by_itself)
        else:
            assert close(state(ensemble.member(member)), state(alone), tolerance)
            for name in by_itself:
                assert ours[name] == pytest.approx(by_itself[name], rel=1e-4, abs=1e-5, nan_ok=True)
    return ensemble, history


# The same as alone


class Elementwise(nn.Module):
    """Nothing is added up over examples or units, so that there is one order of operations only."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.scale, self.shift = nn.Parameter(torch.randn(2)), nn.Parameter(torch.randn(2))

    def forward(self, x):
        return torch.tanh(x * self.scale + self.shift)


@pytest.mark.parametrize("weight_decay", [0.0, 0.02])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_the_same_arithmetic_gives_the_same_bits(optimizer, weight_decay):
    x = moons().x
    options = {"optimizer": optimizer, "weight_decay": weight_decay, "batch_size": 1, "loss": nn.MSELoss()}
    compare(Elementwise, batched=True, tolerance=0, train_data=(x, x.flip(0)), **options)


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("weight_decay", [0.0, 0.02])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
@pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES)
def test_members_learn_as_alone(make, optimizer, weight_decay, batch_size):
    """To rounding: matrix products of other shapes add up in another order."""
    options = {"optimizer": optimizer, "weight_decay": weight_decay, "batch_size": batch_size, "seed": 3}
    options |= {"validation": moons(30, seed=1), "metrics": "accuracy", "lr": 0.02}
    compare(make, batched=True, tolerance=2e-5, **options)
    compare(make, batched=False, tolerance=0, **options)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_members_with_rates_and_decays_of_their_own(optimizer):
    options = {"optimizer": optimizer, "lr": [0.01, 0.05, 0.002, 0.02], "weight_decay": [0.0, 0.3, 0.01, 0.1]}
    compare(perceptrons, batched=True, tolerance=5e-4, batch_size=16, **options)
    compare(perceptrons, batched=False, tolerance=0, batch_size=16, **options)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_one_decay_for_rates_of_their_own(optimizer):
    options = {"optimizer": optimizer, "lr": np.array([0.01, 0.05, 0.002, 0.02]), "weight_decay": 0.3}
    compare(perceptrons, batched=True, tolerance=1e-5, **options)


def test_the_decay_is_in_no_gradient_that_a_callback_sees():
    class Look(ddl.training.Callback):
        def on_step_end(self, run):
            self.gradients = {name: gradient.clone() for name, gradient in run.gradients().items()}

    seen = []
    for decay in (0.0, [0.0, 5.0]):
        ensemble = Ensemble([perceptrons(0), perceptrons(1)], batched=True)
        look = Look()
        train(ensemble, epochs=1, weight_decay=decay, callbacks=[look])
        seen.append(look.gradients)
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


@pytest.mark.parametrize("batched", [True, False])
def test_the_gradients_that_a_callback_sees_have_the_members_first(batched):
    class Look(ddl.training.Callback):
        def on_step_end(self, run):
            assert run.gradients().keys() == dict(run.model.named_parameters()).keys()
            shapes.append(run.gradients()["stacked.first.weight"].shape)
            assert run.gradients()["stacked.first.bias"] is None

    shapes = []
    train(Ensemble([Gated(seed) for seed in range(3)], batched=batched), epochs=1, callbacks=[Look()])
    assert shapes == [(3, 5, 2)]


def test_fused_steps_are_the_same_to_rounding():
    options = {"optimizer": "adam", "fused": True, "epochs": 5}
    compare(perceptrons, batched=True, tolerance=1e-4, **options)
    fused, plain = perceptrons(0), perceptrons(0)
    train(fused, **options)
    train(plain, **{**options, "fused": False})
    assert close(values(fused), values(plain), 1e-4)


@pytest.mark.parametrize("batched", [True, False])
def test_members_with_permutations_of_their_own(batched):
    options = {"seed": [0, 7, 7, 2], "batch_size": 16, "optimizer": "momentum"}
    _, history = compare(
        perceptrons, batched=batched, tolerance=1e-5 * batched, starts=[0, 0, 0, 0], **options
    )
    losses = history["loss"][-1]
    assert losses[1] == losses[2] != losses[0]


@pytest.mark.parametrize("batch_size", [None, 8])
@pytest.mark.parametrize("batched", [True, False])
def test_members_with_labels_of_their_own(batched, batch_size):
    data = moons()
    labels = torch.stack([data.y, 1 - data.y, data.y, data.y.flip(0)])
    compare(
        perceptrons,
        batched=batched,
        tolerance=1e-5 * batched,
        train_data=PerMember(data, labels=labels),
        datas=[(data.x, y) for y in labels],
        batch_size=batch_size,
        metrics="accuracy",
        seed=[4, 5, 6, 7],
    )


@pytest.mark.parametrize("batch_size", [None, 8])
@pytest.mark.parametrize("batched", [True, False])
def test_members_with_examples_of_their_own(batched, batch_size):
    data = moons(60)
    masks = [np.arange(60) % 4 != fold for fold in range(4)]
    rows = [masks[0], torch.from_numpy(masks[1]), masks[2].nonzero()[0], masks[3].nonzero()[0].tolist()]
    compare(
        perceptrons,
        batched=batched,
        tolerance=1e-5 * batched,
        train_data=PerMember(data, rows=rows),
        datas=[data[mask] for mask in masks],
        batch_size=batch_size,
        metrics="accuracy",
        validation=data,
    )


def test_members_with_data_sets_of_their_own():
    datas = [moons(40, seed=seed) for seed in range(4)]
    compare(
        perceptrons,
        batched=True,
        tolerance=1e-5,
        train_data=PerMember.stack(datas),
        datas=datas,
        batch_size=8,
        seed=[0, 1, 2, 3],
    )


def test_members_with_labels_and_examples_of_their_own():
    data = moons(60)
    labels = torch.stack([data.y, 1 - data.y, data.y.flip(0), data.y])
    rows = [torch.arange(k, 60, 2) for k in (0, 1, 0, 1)]
    compare(
        perceptrons,
        batched=True,
        tolerance=1e-5,
        train_data=PerMember(data, rows=rows, labels=labels),
        datas=[(data.x[r], y[r]) for r, y in zip(rows, labels, strict=True)],
        batch_size=8,
        metrics="accuracy",
    )


def test_members_with_different_numbers_of_examples_are_taken_one_by_one():
    data = moons(60)
    rows = [range(10), range(10, 60), [3], range(5, 30)]
    compare(
        perceptrons,
        batched=None,
        tolerance=0,
        train_data=PerMember(data, rows=rows),
        datas=[data[list(r)] for r in rows],
        batch_size=8,
        metrics="accuracy",
    )


@pytest.mark.parametrize("batched", [True, False])
def test_each_member_stops_early_by_itself(batched):
    data, fresh = moons(40), moons(30, seed=9)
    ensemble = Ensemble([perceptrons(seed) for seed in range(5)], batched=batched)
    options = {"validation": fresh, "epochs": 120, "lr": 0.5, "optimizer": "adam", "batch_size": 16}
    stopping = EarlyStopping(4)
    history = train(ensemble, data, callbacks=stopping, **options)
    assert len(set(history.stopped)) > 2
    for member in range(5):
        alone, by_itself = perceptrons(member), EarlyStopping(4)
        expected = train(alone, data, callbacks=by_itself, **options)
        ours = history.member(member)
        assert ours.stopped == expected.stopped == ours.epochs
        assert stopping.best_epoch[member] == by_itself.best_epoch
        assert stopping.best[member] == pytest.approx(by_itself.best, rel=1e-3)
        assert ours["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-2)
        assert close(state(ensemble.member(member)), state(alone), 1e-2)
        assert history.final("val_loss")[member] == history["val_loss"][ours.epochs - 1, member]
        assert np.isnan(history["val_loss"][ours.epochs :, member]).all()
    assert history.epochs == max(history.stopped)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_member_that_diverges_leaves_the_others_alone(batched, batch_size):
    data = ddl.datasets.ten_points()
    options = {"loss": nn.MSELoss(), "lr": [0.01, 1.0, 0.02, 0.9], "epochs": 400, "validation": data}
    ensemble, history = compare(
        lambda seed: MLP((1, 1), seed=seed),
        batched=batched,
        tolerance=1e-5 * batched,
        train_data=data,
        batch_size=batch_size,
        **options,
    )
    assert [diverged is None for diverged in history.diverged] == [True, False, True, False]
    assert all(value.isfinite().all() for value in values(ensemble))
    assert history.epochs == 400
    assert "4 members, 400 epochs, 2 diverged" in repr(history)
    assert not np.isfinite(history.final("loss")[[1, 3]]).any()
    assert np.isnan(history.final("val_loss")[[1, 3]]).all()


def test_a_run_ends_when_all_members_have():
    data = ddl.datasets.ten_points()
    ensemble = Ensemble([MLP((1, 1), seed=seed) for seed in range(2)])
    history = train(ensemble, data, loss=nn.MSELoss(), lr=[1.0, 2.0], epochs=10_000)
    assert history.epochs == max(history.diverged) < 400


@pytest.mark.parametrize("batched", [True, False])
def test_a_member_that_has_stopped_keeps_all_its_state(batched):
    class StopSome(ddl.training.Callback):
        def on_epoch_end(self, run):
            if run.epoch == 2:
                run.stop(np.array([True, False]))
                self.then = copy.deepcopy(run.model)

    stop = StopSome()
    ensemble = Ensemble([normalised(0), normalised(1)], batched=batched)
    history = train(ensemble, epochs=5, callbacks=[stop], optimizer="momentum")
    assert history.stopped == (2, None)
    assert same(state(ensemble.member(0)), state(stop.then.member(0)))
    assert not same(state(ensemble.member(1)), state(stop.then.member(1)))
    assert ensemble.member(0)[1].num_batches_tracked == 2
    assert ensemble.member(1)[1].num_batches_tracked == 5


def test_an_error_in_the_middle_of_an_epoch_changes_no_member_that_has_stopped():
    class StopAndFail(ddl.training.Callback):
        def on_epoch_end(self, run):
            run.stop(np.array([True, False]))
            self.then = copy.deepcopy(run.model)

        def on_step_end(self, run):
            if run.step == 7:
                raise KeyError("on purpose")

    fails = StopAndFail()
    ensemble = Ensemble([perceptrons(0), perceptrons(1)], batched=True)
    with pytest.raises(KeyError, match="on purpose") as caught:
        train(ensemble, batch_size=16, callbacks=[fails])
    assert "StopAndFail in on_step_end, after epoch 1 and step 7" in caught.value.__notes__[0]
    assert same(state(ensemble.member(0)), state(fails.then.member(0)))
    assert not same(state(ensemble.member(1)), state(fails.then.member(1)))


class Dropping(nn.Module):
    """Dropout, but no sequence of layers."""

    def __init__(self):
        super().__init__()
        self.net, self.last = MLP((2, 30, 30), seed=0), nn.Linear(30, 2)

    def forward(self, x):
        return self.last(nn.functional.dropout(self.net(x), 0.5, training=self.training))


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize(
    "make", [Dropping, lambda: nn.Sequential(MLP((2, 30, 30), seed=0), nn.Dropout(0.5), nn.Linear(30, 2))]
)
def test_dropout_draws_for_each_member(make, batched):
    ensemble = Ensemble([make()] * 3, batched=batched)
    train(ensemble, epochs=1)
    weights = list(ensemble.parameters())[-2]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    assert torch.equal(ensemble.eval()(moons().x), ensemble(moons().x))


def test_members_that_have_stopped_are_skipped_one_by_one():
    calls = []

    class Counting(MLP):
        def forward(self, x):
            if self.training:
                calls.append(self)
            return super().forward(x)

    class StopSome(ddl.training.Callback):
        def on_epoch_end(self, run):
            if run.epoch == 2:
                run.stop(np.array([True, False]))

    train(
        Ensemble([Counting((2, 2)), Counting((2, 2))], batched=False),
        epochs=5,
        batch_size=35,
        callbacks=[StopSome()],
    )
    assert len(calls) == 2 * (2 + 5)


# How steps are taken


@pytest.mark.parametrize("batched", [True, False])
def test_all_members_take_one_step_together(batched):
    made, moments = [], []

    def optimizer(parameters):
        made.append(CountingSGD(parameters))
        return made[0]

    class Count(ddl.training.Callback):
        def on_step_end(self, run):
            moments.append(("step", run.step, run.loss.shape))

        def on_epoch_end(self, run):
            moments.append(("epoch", run.epoch, run.members))

    ensemble = Ensemble([perceptrons(seed) for seed in range(3)], batched=batched)
    train(ensemble, lr=None, optimizer=optimizer, batch_size=35, epochs=2, callbacks=[Count()])
    assert len(made) == 1
    assert made[0].calls == ["zero_grad", "step"] * 4 + ["zero_grad"]
    steps = [("step", number, (3,)) for number in (1, 2, 3, 4)]
    assert moments == [*steps[:2], ("epoch", 1, 3), *steps[2:], ("epoch", 2, 3)]


class Mixing(torch.optim.SGD):
    """An optimiser that would let members in one tensor disturb each other."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.1)
        shapes.append(self.param_groups[0]["params"][0].shape)

    @torch.no_grad()
    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            parameter.grad.div_(parameter.grad.norm())
        return super().step(closure)


shapes: list[torch.Size] = []


def test_an_unknown_optimizer_gets_the_members_one_by_one():
    compare(perceptrons, batched=None, tolerance=0, lr=None, optimizer=Mixing)
    assert shapes[-1] == (6, 2)
    train(Ensemble([perceptrons(0), perceptrons(1)], batched=True), lr=None, optimizer=Mixing)
    assert shapes[-1] == (2, 6, 2)


class Undecided(nn.Module):
    """Decides by a value, which torch.func.vmap cannot."""

    def __init__(self, seed):
        super().__init__()
        self.net = perceptrons(seed)

    def forward(self, x):
        output = self.net(x)
        return output if output.mean() > 0 else 2 * output


def test_a_model_that_vmap_refuses_is_taken_one_by_one():
    compare(Undecided, batched=None, tolerance=0)
    with pytest.raises(ValueError, match=r"batched is True, but torch.func.vmap cannot take its model: .*"):
        train(Ensemble([Undecided(0), Undecided(1)], batched=True))


def test_trying_leaves_no_trace():
    ensemble = Ensemble([nn.Sequential(nn.Dropout(0.5), normalised(seed)) for seed in range(2)])
    torch.manual_seed(5)
    before, noise = [tensor.clone() for tensor in state(ensemble)], torch.get_rng_state()
    with pytest.raises(ValueError, match="lr has shape"):
        train(ensemble, lr=[0.1, 0.1, 0.1])
    with pytest.raises(ValueError, match="watches 'val_loss'"):  # later: after vmap was tried
        train(ensemble, callbacks=EarlyStopping(3))
    assert same(state(ensemble), before)
    assert torch.equal(torch.get_rng_state(), noise)


@pytest.mark.parametrize(
    ("sizes", "rows", "expected"),
    [
        ((2, 16, 16, 2), 256, True),
        ((2, 256, 256, 2), 32, True),
        ((2, 257, 257, 2), 32, False),
        ((784, 100, 10), 32, False),
        ((2, 128, 2), 512, True),
        ((2, 128, 2), 513, False),
    ],
)
def test_where_batching_pays(sizes, rows, expected):
    assert pays(MLP(sizes), torch.zeros(2, sizes[0]), rows) is expected


# Losses and metrics


def huber_and_penalty(output, y):
    return nn.functional.huber_loss(output[:, 0], y.float()) + 0.01 * output.square().mean()


def by_python(output, y):
    value = nn.functional.cross_entropy(output, y)
    return value if value.item() > 0 else -value


LOSSES = {
    "label smoothing": nn.CrossEntropyLoss(label_smoothing=0.1),
    "class weights": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0])),
    "sum": nn.CrossEntropyLoss(reduction="sum"),
    "function": nn.functional.cross_entropy,
    "own": huber_and_penalty,
    "not for vmap": by_python,
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("own_labels", [False, True])
def test_losses(loss, own_labels):
    data = moons()
    labels = torch.stack([data.y, 1 - data.y, data.y, data.y])
    compare(
        perceptrons,
        batched=True,
        tolerance=1e-5,
        loss=loss,
        lr=0.01,
        train_data=PerMember(data, labels=labels) if own_labels else data,
        datas=[(data.x, y) for y in labels] if own_labels else None,
        batch_size=16,
    )


@pytest.mark.parametrize("targets", [1, 3])
def test_squared_error(targets):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(30, 2)).astype("float32"))
    y = torch.from_numpy(rng.normal(size=(30, targets)).astype("float32"))
    for loss in (nn.MSELoss(), nn.functional.mse_loss, nn.L1Loss()):
        make = lambda seed: MLP((2, 4, targets), seed=seed)  # noqa: E731
        compare(make, batched=True, tolerance=1e-5, loss=loss, train_data=(x, y), batch_size=7)


@pytest.mark.parametrize("own_labels", [False, True])
def test_one_output_for_two_classes(own_labels):
    data = moons()
    labels = torch.stack([data.y, 1 - data.y, data.y, data.y])
    compare(
        lambda seed: MLP((2, 4, 1), seed=seed),
        batched=True,
        tolerance=1e-5,
        loss=ddl.training.binary_cross_entropy,
        train_data=PerMember(data, labels=labels) if own_labels else data,
        datas=[(data.x, y) for y in labels] if own_labels else None,
        metrics="accuracy",
        validation=data,
        batch_size=16,
    )


def test_metrics_of_one_s_own():
    data = moons()
    metrics = {
        "error": lambda output, y: 1 - accuracy(output, y),
        "margin": lambda output, y: (output[:, 1] - output[:, 0]).abs().mean(),
        "number": lambda output, y: float(output.max()),
    }
    compare(perceptrons, batched=True, tolerance=1e-5, metrics=metrics, validation=data)


# The module


def test_an_ensemble_is_a_module():
    models = [normalised(seed).eval() for seed in range(3)]
    ensemble = Ensemble(models)
    x = moons().x
    assert ensemble(x).shape == (3, 70, 2)
    assert torch.allclose(ensemble(x)[1], models[1](x), atol=1e-6)
    assert len(ensemble) == ensemble.members == 3
    assert [type(member) for member in ensemble] == [nn.Sequential] * 3
    assert not ensemble.member(0).training
    assert ensemble.train().member(0)[1].training
    assert Ensemble(models, batched=False)(x).shape == (3, 70, 2)
    ensemble.eval()
    twin = Ensemble([normalised(seed + 9).eval() for seed in range(3)])
    twin.load_state_dict(ensemble.state_dict())
    assert torch.equal(twin(x), ensemble(x))
    assert torch.equal(copy.deepcopy(ensemble)(x), ensemble(x))
    assert "3 members" in repr(ensemble)


def test_members_and_models_are_copies():
    models = [perceptrons(0), perceptrons(1)]
    ensemble = Ensemble(models)
    member = ensemble.member(-1)
    train(ensemble)
    assert same(values(models[1]), values(perceptrons(1)))
    assert same(values(member), values(perceptrons(1)))
    train(member)
    assert not same(values(ensemble.member(1)), values(perceptrons(1)))
    with pytest.raises(IndexError, match="member 2 of 2"):
        ensemble.member(2)


def test_tied_weights_stay_tied():
    ensemble = Ensemble([Gated(seed) for seed in range(2)])
    train(ensemble)
    member = ensemble.member(1)
    assert member.tied.weight is member.second.weight
    assert not member.first.bias.requires_grad


def test_snapshots_of_an_ensemble():
    snapshots = Snapshots(every=1)
    ensemble = Ensemble([perceptrons(seed) for seed in range(3)])
    train(ensemble, epochs=2, callbacks=[snapshots])
    model = snapshots.load(perceptrons(9), 2, member=1)
    assert same(values(model), values(ensemble.member(1)))
    snapshots.load(ensemble, 0)
    assert same(values(ensemble.member(2)), values(perceptrons(2)))


# The history


def test_history_of_an_ensemble():
    history = train(Ensemble([perceptrons(seed) for seed in range(3)]), epochs=4, metrics="accuracy")
    assert history.members == 3
    assert history["loss"].shape == history["accuracy"].shape == (4, 3)
    assert history.final("loss").tolist() == history["loss"][-1].tolist()
    assert history.stopped == history.diverged == (None, None, None)
    table = history.to_frame()
    assert table.columns.names == ["curve", "member"]
    assert table["loss"][2].tolist() == history["loss"][:, 2].tolist()
    assert repr(history).startswith("History(3 members, 4 epochs: median loss 0.")
    assert history.member(-1)["loss"].tolist() == history["loss"][:, 2].tolist()
    with pytest.raises(IndexError, match="member 3 of 3"):
        history.member(3)
    with pytest.raises(TypeError, match="a single model"):
        train(perceptrons(0)).member(0)


# Wrong calls


def two():
    return Ensemble([perceptrons(0), perceptrons(1)])


WRONG = {
    "no models": (lambda: Ensemble([]), ValueError, "models is empty; give at least one"),
    "no modules": (lambda: Ensemble([perceptrons(0), 3]), TypeError, "model 1 is 3; give instances"),
    "other widths": (
        lambda: Ensemble([MLP((2, 3, 2)), MLP((2, 4, 2))]),
        ValueError,
        r"model 1 is of another shape than model 0: .*2 → 4 → 2.* instead of .*2 → 3 → 2.*ddl\.fit_many",
    ),
    "other activations": (
        lambda: Ensemble([MLP((2, 3, 2)), MLP((2, 3, 2), nn.ReLU)]),
        ValueError,
        "another shape than model 0: .*ReLU.* instead of .*Tanh",
    ),
    "other dropout": (
        lambda: Ensemble([nn.Sequential(nn.Linear(1, 1), nn.Dropout(p)) for p in (0.1, 0.2)]),
        ValueError,
        r"p=0\.2.* instead of .*p=0\.1",
    ),
    "other modes": (
        lambda: Ensemble([perceptrons(0), perceptrons(1).eval()]),
        ValueError,
        "'training', False.* instead of .*'training', True",
    ),
    "other dtype": (
        lambda: Ensemble([nn.Linear(1, 1), nn.Linear(1, 1).double()]),
        ValueError,
        "torch.float64.* instead of .*torch.float32",
    ),
    "frozen": (
        lambda: Ensemble([nn.Linear(1, 1), nn.Linear(1, 1).requires_grad_(False)]),
        ValueError,
        "model 1 is of another shape",
    ),
    "more layers": (
        lambda: Ensemble([MLP((2, 3, 2)), MLP((2, 3, 3, 2))]),
        ValueError,
        "model 1 is of another shape",
    ),
    "rates": (lambda: train(two(), lr=[0.1]), ValueError, r"lr has shape \(1,\); give one number, or 2"),
    "a rate": (lambda: train(two(), lr=[0.1, -1.0]), ValueError, r"lr is -1\.0; it must be positive"),
    "decays": (
        lambda: train(two(), weight_decay=np.zeros(3)),
        ValueError,
        r"weight_decay has shape \(3,\); give one number, or 2, one per member",
    ),
    "a decay": (lambda: train(two(), weight_decay=[0, math.nan]), ValueError, "weight_decay is nan"),
    "seeds": (lambda: train(two(), seed=[1, 2, 3]), ValueError, "seed holds 3 numbers; give one, or 2"),
    "a seed": (lambda: train(two(), seed=[1, -2]), ValueError, "a seed is -2"),
    "rates of one model": (
        lambda: train(perceptrons(0), lr=[0.1]),
        TypeError,
        r"lr is \[0\.1\]; give one number, or train an Ensemble",
    ),
    "seeds of one model": (
        lambda: train(perceptrons(0), seed=[1]),
        TypeError,
        r"seed is \[1\]; give one number, or train an Ensemble",
    ),
    "data of one model": (
        lambda: train(perceptrons(0), PerMember(moons())),
        TypeError,
        "train is PerMember; a single model takes",
    ),
    "data of other members": (
        lambda: train(two(), PerMember(moons(), rows=[[1], [2], [3]])),
        ValueError,
        "train is for 3 members, the ensemble has 2",
    ),
    "labels out of range": (
        lambda: train(two(), PerMember(moons(), labels=torch.stack([moons().y, moons().y + 1]))),
        ValueError,
        r"y\[\d+\] is 2, but an output of .* knows labels 0 to 1",
    ),
    "unequal and batched": (
        lambda: train(
            Ensemble([perceptrons(0), perceptrons(1)], batched=True), PerMember(moons(), rows=[[1], [2, 3]])
        ),
        ValueError,
        "batched is True, but its members have 1 to 2 examples; leave it out",
    ),
    "no rows": (lambda: PerMember(moons(), rows=[[1], []]), ValueError, "rows of member 1 are empty"),
    "no row": (lambda: PerMember(moons(), rows=[np.zeros(70, bool)]), ValueError, "member 0 are all False"),
    "rows that are not there": (
        lambda: PerMember(moons(), rows=[[1], [5, 70]]),
        ValueError,
        "rows of member 1 hold 70; there are examples 0 to 69",
    ),
    "a short mask": (
        lambda: PerMember(moons(), rows=[[True, False]]),
        ValueError,
        r"rows of member 0 have shape \(2,\); give whole numbers, or 70 booleans",
    ),
    "half rows": (lambda: PerMember(moons(), rows=[[0.5]]), TypeError, "rows of member 0 are torch.float32"),
    "labels of other examples": (
        lambda: PerMember(moons(), labels=torch.zeros(2, 3, dtype=torch.long)),
        ValueError,
        r"labels have shape \(2, 3\) .* give \(members, 70\)",
    ),
    "labels as a list": (lambda: PerMember(moons(), labels=[[1]]), TypeError, "labels are list"),
    "labels that are none": (
        lambda: PerMember((torch.zeros(2, 1), torch.zeros(2, 1)), labels=torch.full((1, 2, 1), math.nan)),
        ValueError,
        r"labels\[0, 0, 0\] are nan",
    ),
    "labels of other members": (
        lambda: PerMember(moons(), rows=[[1], [2]], labels=moons().y.expand(3, 70)),
        ValueError,
        "rows are for 2 members, labels for 3",
    ),
    "nothing to stack": (lambda: PerMember.stack([]), ValueError, "datasets is empty"),
    "data that do not stack": (
        lambda: PerMember.stack([moons(), ddl.datasets.ten_points()]),
        ValueError,
        "they may differ in the number of examples only",
    ),
    "not fused": (
        lambda: train(two(), optimizer="nadam", fused=True),
        ValueError,
        "fused is True, but PyTorch has no fused 'nadam'; it has sgd, ",
    ),
}


@pytest.mark.parametrize(("call", "error", "words"), WRONG.values(), ids=WRONG)
def test_wrong_calls_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
