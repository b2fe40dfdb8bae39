"""Broken data, evaluations and loaders are named; sound ones of many kinds are left alone."""

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


BROKEN_DATA = {
    "inputs-not-finite": [{"data": lambda: of_wine(with_gap)}],
    "inputs-constant": [{"data": lambda: of_wine(lambda x, y: (x * 0 + 1, y))}],
    "inputs-not-scaled": [
        {"data": raw_wine},
        {"data": lambda: mnist(255.0), "model": lambda: mlp((784, 50, 10))},
        {"data": lambda: of_wine(lambda x, y: (x + 1000, y))},
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


# Validation data and evaluations


def test_validation_data_among_the_training_data():
    train, test = wine()
    mixed = torch.cat([test.x, train.x[:10]]), torch.cat([test.y, train.y[:10]])
    assert diagnose(validation=mixed).names == ("train-validation-overlap",)
    assert diagnose(validation=test).names == ()
    assert diagnose(validation=train).names == ("evaluation-on-training-data",)


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


# Two classes, regression


def moons(target):
    data = ddl.datasets.moons(200, rng=ddl.rng(1))
    return data.x, target(data.y)


def scores(*end):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1), *end)


def column(y):
    return y.float()[:, None]


BINARY = [
    ((), scores, F.binary_cross_entropy_with_logits, column),
    ((), lambda: scores(nn.Sigmoid()), F.binary_cross_entropy, column),
    ((), scores, ddl.training.binary_cross_entropy, lambda y: y),
    ((), lambda: scores(nn.Flatten(0)), F.binary_cross_entropy_with_logits, lambda y: y.float()),
    ((), lambda: scores(nn.Tanh()), F.mse_loss, lambda y: 2.0 * y[:, None] - 1),
    (("double-sigmoid",), lambda: scores(nn.Sigmoid()), F.binary_cross_entropy_with_logits, column),
    (("missing-activation",), scores, F.binary_cross_entropy, column),
    (("final-activation",), lambda: scores(nn.ReLU()), F.binary_cross_entropy_with_logits, column),
    (("final-activation",), lambda: scores(nn.Softmax(1)), F.binary_cross_entropy, column),
    (("labels-out-of-range",), scores, F.binary_cross_entropy_with_logits, lambda y: 2.0 * y[:, None] - 1),
]


@pytest.mark.parametrize(("names", "model", "loss", "target"), BINARY)
def test_two_classes(names, model, loss, target):
    assert diagnose(model=model(), data=moons(target), loss=loss).names == names


def real(change):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 2, generator=generator)
    return x, change(2 * x[:, :1].sin() + x[:, 1:] + 0.1 * torch.randn(200, 1, generator=generator))


def same(y):
    return y


REGRESSION = [
    ((), scores, F.mse_loss, same),
    ((), lambda: scores(nn.Flatten(0)), F.l1_loss, lambda y: y[:, 0]),
    ((), lambda: scores(nn.ReLU()), F.mse_loss, torch.abs),
    (("broadcast-shapes",), scores, F.mse_loss, lambda y: y[:, 0]),
    (("broadcast-shapes",), scores, lambda output, y: (output - y).square().mean(), lambda y: y[:, 0]),
    (("broadcast-shapes",), lambda: scores(nn.Flatten(0)), F.mse_loss, same),
    (("final-activation",), lambda: scores(nn.ReLU()), F.mse_loss, same),
    (("final-activation",), lambda: scores(nn.Sigmoid()), F.mse_loss, same),
    (("final-activation",), lambda: scores(nn.Tanh()), F.mse_loss, same),
    (("targets-not-scaled",), scores, F.mse_loss, lambda y: 5e4 * y + 2e5),
]


@pytest.mark.parametrize(("names", "model", "loss", "target"), REGRESSION)
def test_regression(names, model, loss, target):
    optimizer = lambda model: sgd(model, lr=0.05)  # noqa: E731
    assert diagnose(model=model(), data=real(target), loss=loss, optimizer=optimizer).names == names


def test_an_autoencoder_may_copy_its_inputs():
    x = mnist()[0]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 784), nn.Sigmoid())
    optimizer = lambda model: torch.optim.Adam(model.parameters(), lr=1e-3)  # noqa: E731
    assert diagnose(model=model, data=(x, x), loss=F.mse_loss, optimizer=optimizer).names == ()


def test_a_line_through_points_may_be_exact():
    x = torch.linspace(-1, 1, 50)[:, None]
    torch.manual_seed(0)
    assert diagnose(model=nn.Linear(1, 1), data=(x, 2 * x + 1), loss=F.mse_loss).names == ()


def test_four_examples_are_enough_for_exclusive_or():
    x, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
    report = diagnose(model=mlp((2, 8, 2), nn.Tanh), data=(x, y), optimizer=lambda model: sgd(model, lr=0.5))
    assert report.names == ()


def test_seventy_to_thirty_is_a_note():
    x = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
    report = diagnose(model=mlp((5, 16, 2)), data=(x, (x[:, 0] > 0.5).long()))
    assert [(f.name, f.severity) for f in report.findings] == [("class-imbalance", "note")]


# Images and sequences


def test_images():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(8, 16, 3),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    data = ddl.datasets.digits()
    images = torch.nn.functional.interpolate(data.x.reshape(-1, 1, 8, 8)[:300], 16)
    optimizer = lambda model: torch.optim.Adam(model.parameters(), lr=1e-3)  # noqa: E731
    assert diagnose(model=model, data=(images / images.max(), data.y[:300]), optimizer=optimizer).names == ()


class Recurrent(nn.Module):
    """Reads a sequence and says one thing of it."""

    def __init__(self, *, batch_first=True):
        super().__init__()
        torch.manual_seed(0)
        self.read, self.say = nn.LSTM(3, 24, batch_first=batch_first), nn.Linear(24, 2)

    def forward(self, x):
        return self.say(self.read(x)[0][:, -1])


def test_sequences_of_vectors():
    x = torch.randn(150, 8, 3, generator=torch.Generator().manual_seed(0))
    data = x, (x[:, :, 0].sum(1) > 0).long()
    optimizer = lambda model: torch.optim.Adam(model.parameters(), lr=1e-2)  # noqa: E731
    assert diagnose(model=Recurrent(), data=data, optimizer=optimizer).names == ()
    wrong = diagnose(model=Recurrent(batch_first=False), data=data, optimizer=optimizer)
    assert wrong.names == ("mixes-examples",)
    assert "batch_first=False" in wrong.findings[0].evidence


class Language(nn.Module):
    """Predicts the next of 12 tokens; its embedding is also its last layer."""

    def __init__(self, *, attention, causal=True):
        super().__init__()
        torch.manual_seed(0)
        self.causal, self.embed, self.say = causal, nn.Embedding(12, 16), nn.Linear(16, 12)
        nn.init.normal_(self.embed.weight, 0, 0.1)
        self.say.weight = self.embed.weight
        self.read = (
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            if attention
            else nn.GRU(16, 16, batch_first=True, bidirectional=False)
        )

    def forward(self, tokens):
        x = self.embed(tokens)
        if isinstance(self.read, nn.GRU):
            x = self.read(x)[0]
        else:
            mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
            x = self.read(x, src_mask=mask if self.causal else None)
        return self.say(x).transpose(1, 2)


def test_sequences_of_tokens():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.arange(60 * 13).reshape(60, 13) % 7 + torch.randint(0, 5, (60, 1), generator=generator)
    optimizer = lambda model: torch.optim.AdamW(model.parameters(), lr=3e-3)  # noqa: E731

    def names(model, x, y):
        return diagnose(model=model, data=(x, y), optimizer=optimizer).names

    shifted = tokens[:, :-1], tokens[:, 1:]
    assert names(Language(attention=False), *shifted) == ()
    assert names(Language(attention=True), *shifted) == ()
    assert names(Language(attention=True, causal=False), *shifted) == ("target-leakage",)
    assert names(Language(attention=False), tokens, tokens) == ("target-leakage",)
