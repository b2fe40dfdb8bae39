"""Broken data, evaluations and loaders are named; sound ones are left alone."""

from __future__ import annotations

import pytest
import torch
from diagnosed import accuracy_on, diagnose, mlp, sgd, usual, wine
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler, TensorDataset, WeightedRandomSampler

import ddl


def of_wine(change):
    """Return the training data of wine, changed."""
    train = wine()[0]
    torch.manual_seed(0)
    return change(train.x.clone(), train.y.clone())


def raw_wine():
    train = ddl.datasets.wine().split(0.7, 0.3, rng=ddl.rng(1))[0]
    return train.x, train.y


def mnist(scale=1.0):
    data = ddl.datasets.mnist()
    return data.x[::5].flatten(1) * scale, data.y[::5]


def with_gap(x, y):
    x[5, 3] = torch.nan
    return x, y


def with_copy(noise):
    return lambda x, y: (torch.cat([x, y[:, None] + noise * torch.randn(len(y), 1)], 1), y)


def rare(x, y):
    rows = torch.cat([(y == 0).nonzero()[:, 0], (y == 1).nonzero()[:3, 0]])
    return x[rows].repeat(3, 1) + 0.01 * torch.randn(3 * len(rows), 13), y[rows].repeat(3)


def with_reciprocal():
    """Return targets with their reciprocals among the features."""
    generator = torch.Generator().manual_seed(0)
    y = 1 + torch.rand(200, 1, generator=generator)
    x = torch.cat([torch.randn(200, 2, generator=generator), 1 / y], 1)
    return (x - x.mean(0)) / x.std(0), y


def of_rows(x, y):
    """Standardise over the features of each example, which is the wrong axis."""
    return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True), y


BROKEN_DATA = {
    "inputs-not-finite": [{"data": lambda: of_wine(with_gap)}],
    "inputs-constant": [{"data": lambda: of_wine(lambda x, y: (x * 0 + 1, y))}],
    "inputs-not-scaled": [
        {"data": raw_wine},
        {"data": lambda: mnist(255.0), "model": lambda: mlp((784, 50, 10))},
        {"data": lambda: of_wine(lambda x, y: (x + 1000, y))},
        {"data": lambda: of_rows(*raw_wine())},
    ],
    "labels-out-of-range": [{"data": lambda: of_wine(lambda x, y: (x, y + 1))}],
    "output-size": [{"data": lambda: of_wine(lambda x, y: (x, y)), "model": lambda: mlp((13, 8, 2))}],
    "labels-misaligned": [
        {"data": lambda: of_wine(lambda x, y: (x, y[torch.randperm(len(y))]))},
        {"data": lambda: of_wine(lambda x, y: (x[y.argsort()], y))},
    ],
    "target-leakage": [
        {"data": lambda: of_wine(with_copy(0.0)), "model": lambda: mlp((14, 32, 3))},
        {"data": lambda: of_wine(with_copy(0.02)), "model": lambda: mlp((14, 32, 3))},
        {
            "data": lambda: with_reciprocal(),
            "model": lambda: mlp((3, 32, 1)),
            "loss": lambda: F.mse_loss,
        },
    ],
    "class-imbalance": [{"data": lambda: of_wine(rare), "model": lambda: mlp((13, 32, 2))}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name, several in BROKEN_DATA.items() for options in several],
)
def test_broken_data_are_named_first(name, options):
    report = diagnose(**{key: value() for key, value in options.items()})
    assert report.names[:1] == (name,)


def test_rows_out_of_step_by_one_are_an_error():
    x = torch.cumsum(torch.randn(300, 2, generator=torch.Generator().manual_seed(0)), 0)[torch.randperm(300)]
    y = (x[:, 0] > x[:, 0].median()).long()
    report = diagnose(model=mlp((2, 16, 2)), data=(x / x.std(), y.roll(1)))
    assert report["labels-misaligned"].severity == "error"
    assert report["labels-misaligned"].numbers["shift"] == -1


@pytest.mark.parametrize(("weight", "named"), [(0.25, False), (0.0, True)])
def test_of_many_examples_a_weak_relation_to_the_labels_is_enough(weight, named):
    """Of every third example it could not be told from chance."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 3, generator=generator)
    y = weight * x[:, :1] + torch.randn(1000, 1, generator=generator)
    report = diagnose(model=mlp((3, 32, 1)), data=(x, y), loss=F.mse_loss)
    assert ("labels-misaligned" in report.names) == named


# Validation data and evaluations


def test_validation_data_among_the_training_data():
    train, test = wine()
    mixed = torch.cat([test.x, train.x[:10]]), torch.cat([test.y, train.y[:10]])
    assert diagnose(validation=mixed).names == ("train-validation-overlap",)
    assert diagnose(validation=test).names == ()
    assert diagnose(validation=train).names == ("evaluation-on-training-data",)


def test_copies_made_before_the_split():
    train = wine()[0]
    rows = torch.randint(0, len(train), (300,), generator=torch.Generator().manual_seed(0))
    x, y = train.x[rows], train.y[rows]
    assert diagnose(data=(x[:200], y[:200]), validation=(x[200:], y[200:])).names == (
        "train-validation-overlap",
    )


def test_gaps_that_the_loss_masks_are_a_note():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 2, generator=generator)
    y = x[:, :1].sin() + x[:, 1:]
    y[::7] = torch.nan
    report = diagnose(
        model=mlp((2, 16, 1)),
        data=(x, y),
        loss=lambda output, y: F.mse_loss(output[~y.isnan()], y[~y.isnan()]),
    )
    assert [(f.name, f.severity) for f in report.findings] == [("inputs-not-finite", "note")]


def test_repeated_inputs_of_few_kinds_are_no_overlap():
    tokens = torch.randint(0, 3, (400, 3), generator=torch.Generator().manual_seed(0))
    x, y = F.one_hot(tokens, 3).flatten(1).float(), (tokens.sum(1) > 3).long()
    report = diagnose(model=mlp((9, 16, 2)), data=(x[:300], y[:300]), validation=(x[300:], y[300:]))
    assert report.names == ()


def norm_and_dropout():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(13, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3))


def evaluating(*, mode, data="test", state=False):
    """Diagnose with an evaluation that does something wrong, or nothing."""
    model, loss, (train, test) = norm_and_dropout(), F.cross_entropy, wine()
    optimizer = sgd(model)

    def evaluate():
        if mode is not None:
            model.train(mode)
        used = test if data == "test" else train
        with torch.no_grad():
            right = (model(used.x).argmax(1) == used.y).float().mean().item()
            if state:
                model[0].weight.mul_(0.99)
        return right

    step = usual(model, loss, optimizer)
    return ddl.diagnose(
        model, train, loss=loss, optimizer=optimizer, step=step, validation=test, evaluate=evaluate
    )


def test_an_evaluation_is_looked_at():
    assert evaluating(mode=False).names == ()
    assert evaluating(mode=None).names == ("evaluation-in-train-mode",)
    assert evaluating(mode=True)["evaluation-in-train-mode"].explains == ("stateful-evaluation",)
    assert evaluating(mode=False, data="train").names == ("evaluation-on-training-data",)
    assert evaluating(mode=False, state=True).names == ("stateful-evaluation",)


def test_an_evaluation_that_leaves_gradients():
    model, (train, test) = mlp(), wine()

    def evaluate():
        loss = F.cross_entropy(model(test.x), test.y)
        loss.backward()
        return loss.item()

    report = ddl.diagnose(model, train, loss=F.cross_entropy, optimizer=sgd(model), evaluate=evaluate)
    assert [(f.name, f.severity) for f in report.findings] == [("stateful-evaluation", "warning")]


def test_an_evaluation_that_leaves_the_model_in_evaluation_mode():
    model, (train, test) = norm_and_dropout(), wine()
    optimizer = sgd(model)

    def step(x, y):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    report = ddl.diagnose(
        model, train, loss=F.cross_entropy, optimizer=optimizer, step=step, evaluate=accuracy_on(model, test)
    )
    assert [(f.name, f.severity) for f in report.findings] == [("training-in-eval-mode", "warning")]


def test_a_metric_that_broadcasts():
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    y = (x[:, :1] > 0).float()
    model = mlp((2, 8, 1))
    report = ddl.diagnose(
        model, (x, y), loss=F.binary_cross_entropy_with_logits, optimizer=sgd(model),
        evaluate=lambda: ((model(x[:30]) > 0).float() == y[:30, 0]).float().mean().item(),
    )  # fmt: skip
    assert "broadcast-shapes" in report


def test_models_built_twice():
    assert diagnose(build=lambda: ddl.models.MLP((13, 32, 3))).names == ("not-seeded",)
    assert diagnose(build=mlp).names == ()


# Loaders


def loader(rows=slice(None), order=None, **options):
    train = wine()[0][rows]
    if order is not None:
        train = train[order(train.y)]
    return DataLoader(TensorDataset(train.x, train.y), **{"batch_size": 16, "shuffle": True} | options)


class SameBatch:
    """Yields its first batch again and again."""

    def __init__(self):
        self.loader = loader()

    def __iter__(self):
        batch = next(iter(self.loader))
        yield from [batch] * 8


class Once:
    """Can be read to its end once."""

    def __init__(self):
        self.batches = list(loader())

    def __iter__(self):
        while self.batches:
            yield self.batches.pop()


LOADERS = {
    "sound": (loader, ()),
    "seeded": (lambda: loader(generator=torch.Generator().manual_seed(1)), ()),
    "not shuffled": (lambda: loader(shuffle=False), ("not-shuffled",)),
    "sorted": (lambda: loader(shuffle=False, order=torch.argsort), ("not-shuffled",)),
    "one batch": (lambda: loader(shuffle=False, batch_size=500), ()),
    "same batch": (SameBatch, ("loader-repeats",)),
    "once": (Once, ("loader-repeats",)),
    "with replacement": (
        lambda: loader(shuffle=False, sampler=RandomSampler(range(124), replacement=True)),
        ("loader-repeats",),
    ),
    "weighted": (
        lambda: loader(shuffle=False, sampler=WeightedRandomSampler([1.0] * 124, 124)),
        ("loader-repeats",),
    ),
    "drops": (lambda: loader(batch_size=70, drop_last=True), ("loader-drops",)),
}


@pytest.mark.parametrize("name", LOADERS)
def test_loaders(name):
    make, names = LOADERS[name]
    report = diagnose(data=make())
    assert report.names == names
    severities = {"sorted": "error", "same batch": "error", "once": "error", "weighted": "note"}
    assert [f.severity for f in report.findings] == [severities.get(name, "warning")] * len(names)


def test_batches_of_one_and_batch_norm():
    assert diagnose(model=norm_and_dropout(), data=loader(slice(0, 121), batch_size=8)).names == (
        "batch-of-one",
    )
    assert diagnose(model=norm_and_dropout(), data=loader(slice(0, 120), batch_size=8)).names == ()
    assert diagnose(model=mlp(), data=loader(slice(0, 121), batch_size=8)).names == ()
