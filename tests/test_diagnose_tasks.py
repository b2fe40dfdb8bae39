"""Tasks of many kinds: two classes, regression, images, sequences; what breaks them, and what is sound."""

from __future__ import annotations

import pytest
import torch
from diagnosed import diagnose, mlp, sgd
from torch import nn
from torch.nn import functional as F

import ddl


def mnist(scale=1.0):
    data = ddl.datasets.mnist()
    return data.x[::5].flatten(1) * scale, data.y[::5]


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


def test_features_that_forward_leaves_out():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = mlp((7, 32, 3))

        def forward(self, x):
            return self.layers(x[:, :7])

    report = diagnose(model=Half())
    assert [(f.name, f.severity) for f in report.findings] == [("ignores-input", "warning")]
    assert report.findings[0].numbers["ignored"] == [7, 8, 9, 10, 11, 12]


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


class TimeFirst(Recurrent):
    """Reads sequences whose first axis is time, and says one thing at each place."""

    def __init__(self):
        super().__init__(batch_first=False)

    def forward(self, x):
        return self.say(self.read(x.transpose(0, 1))[0])


class LastState(Recurrent):
    """Uses the state of its recurrent layer, and not what it puts out."""

    def forward(self, x):
        return self.say(self.read(x)[1][0][-1])


def test_other_ways_to_read_sequences():
    x = torch.randn(150, 8, 3, generator=torch.Generator().manual_seed(0))
    optimizer = lambda model: torch.optim.Adam(model.parameters(), lr=1e-2)  # noqa: E731
    label = (x[:, :, 0].sum(1) > 0).long()
    assert diagnose(model=LastState(), data=(x, label), optimizer=optimizer).names == ()
    labels = (x[:, :, 0].cumsum(1) > 0).long()

    def loss(output, y):
        return F.cross_entropy(output.permute(1, 2, 0), y)

    assert diagnose(model=TimeFirst(), data=(x, labels), loss=loss, optimizer=optimizer).names == ()


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


# Losses and outputs of one's own


class Flattened(nn.Module):
    """Puts out one row for each place of each sequence."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.read, self.say = (
            nn.Embedding(12, 16),
            nn.GRU(16, 32, batch_first=True),
            nn.Linear(32, 12),
        )

    def forward(self, tokens):
        return self.say(self.read(self.embed(tokens))[0]).reshape(-1, 12)


class Variational(nn.Module):
    """Puts out three things, of which one is drawn at random in evaluation mode too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.read, self.write = nn.Linear(64, 8), nn.Linear(4, 64)

    def forward(self, x):
        mean, logarithm = self.read(x).chunk(2, 1)
        return self.write(mean + torch.randn_like(mean) * logarithm.exp()).sigmoid(), mean, logarithm


def evidence_bound(output, y):
    image, mean, logarithm = output
    divergence = 0.5 * (mean.square() + (2 * logarithm).exp() - 1 - 2 * logarithm).sum(1).mean()
    return 64 * F.binary_cross_entropy(image, y) + divergence


def contrastive(output, y):
    """Pull examples of the same class together; the output is no score of classes."""
    output = F.normalize(output, dim=1)
    near = (output @ output.T / 0.5 - 1e9 * torch.eye(len(output))).log_softmax(1)
    pairs = (y[:, None] == y[None]).float() - torch.eye(len(y))
    return -((near * pairs).sum(1) / pairs.sum(1).clamp(1)).mean()


def digits():
    data = ddl.datasets.digits()
    x = data.x.flatten(1)[:400]
    return x / x.max(), data.y[:400]


def test_losses_and_outputs_of_ones_own():
    optimizer = lambda model: torch.optim.Adam(model.parameters(), lr=3e-3)  # noqa: E731
    generator = torch.Generator().manual_seed(0)
    tokens = torch.arange(60 * 13).reshape(60, 13) % 7 + torch.randint(0, 5, (60, 1), generator=generator)
    x, y = digits()
    for model, data, loss in (
        (
            Flattened(),
            (tokens[:, :-1], tokens[:, 1:]),
            lambda output, y: F.cross_entropy(output, y.reshape(-1)),
        ),
        (Variational(), (x, x), evidence_bound),
        (mlp((64, 32, 8)), (x, y), contrastive),
    ):
        report = diagnose(model=model, data=data, loss=loss, optimizer=optimizer)
        assert report.errors == ()
        assert not [reason for reason in report.skipped.values() if "itself" in reason]
