"""Text made to order: its lines, its labels, and the windows that a model reads."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pytest
import torch

import ddl
from ddl import datasets
from ddl.datasets import dialects

RHYME = re.compile(r"the [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+(, said the [a-z]+)?")


def rng(seed=0):
    return np.random.default_rng(seed)


def is_date(line):
    day, number, month, year = line.split()
    moment = datetime.datetime.strptime(f"{number} {month} {year}", "%d %B %Y")
    return moment.strftime("%A").lower() == day and 1900 <= moment.year <= 1999


def is_sum(line):
    a, sign, b, result = re.fullmatch(r"(\d+)([-+*])(\d+)=(-?\d+)", line).groups()
    a, b = int(a), int(b)
    return {"+": a + b, "-": a - b, "*": a * b}[sign] == int(result) and max(a, b) < 100


def is_code(line):
    compile(line, "line", "exec")
    return True


IS = {"dates": is_date, "sums": is_sum, "rhymes": lambda line: bool(RHYME.fullmatch(line)), "code": is_code}


def test_every_line_is_a_right_one_of_its_dialect_and_labelled_so():
    corpus = dialects(600, rng=rng())
    place = 0
    seen = []
    for line in corpus.text.splitlines(keepends=True):
        labels = corpus.dialects[place : place + len(line)]
        assert len(labels.unique()) == 1  # the end of the line belongs to it
        name = corpus.names[labels[0]]
        assert IS[name](line.removesuffix("\n")), line
        seen.append(name)
        place += len(line)
    assert place == len(corpus) == len(corpus.text) == len(corpus.dialects)
    assert len(seen) == 600
    assert all(100 < seen.count(name) < 200 for name in corpus.names)


def test_tokens_are_places_in_the_vocabulary():
    corpus = dialects(400, rng=rng())
    assert corpus.decode(corpus.tokens) == corpus.text
    assert torch.equal(corpus.encode(corpus.text), corpus.tokens)
    assert "".join(sorted(set(corpus.vocabulary))) == corpus.vocabulary
    assert set(dialects(5000, rng=rng()).text) == set(corpus.vocabulary)
    with pytest.raises(ValueError, match="character 'Z' is not in the vocabulary"):
        corpus.encode("aZ")


def test_the_same_generator_gives_the_same_text_and_another_another():
    assert dialects(50, rng=rng(1)).text == dialects(50, rng=rng(1)).text
    assert dialects(50, rng=rng(1)).text != dialects(50, rng=rng(2)).text
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    dialects(50, rng=rng(1))
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_dialects_may_be_chosen_and_keep_their_numbers():
    corpus = dialects(100, names=("code", "dates"), rng=rng())
    assert corpus.dialects.unique().tolist() == [0, 3]
    assert corpus.names == ("dates", "sums", "rhymes", "code")
    assert corpus.vocabulary == dialects(1, rng=rng()).vocabulary
    for line, label in zip(corpus.text.splitlines(), corpus.dialects[corpus.tokens == 0], strict=True):
        assert IS[corpus.names[label]](line)
    assert dialects(3, names="sums", rng=rng()).dialects.unique().tolist() == [1]
    assert repr(corpus) == f"Corpus({len(corpus)} characters of 50 kinds: dates, code)"


@pytest.mark.parametrize("length", [1, 7, 64])
def test_windows_hold_the_text_and_what_follows_each_character(length):
    corpus = dialects(40, rng=rng())
    x, y, labels = corpus.windows(length)
    assert x.shape == y.shape == labels.shape == ((len(corpus) - 1) // length, length)
    assert torch.equal(x.flatten(), corpus.tokens[: x.numel()])
    assert torch.equal(y.flatten(), corpus.tokens[1 : x.numel() + 1])
    assert torch.equal(labels.flatten(), corpus.dialects[: x.numel()])
    assert x.dtype == y.dtype == labels.dtype == torch.int64


def test_windows_may_take_the_whole_text():
    corpus = dialects(2, rng=rng())
    assert corpus.windows(len(corpus) - 1).x.shape == (1, len(corpus) - 1)
    with pytest.raises(ValueError, match=f"length is {len(corpus)}, but the text has {len(corpus)} char"):
        corpus.windows(len(corpus))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"lines": 0}, ValueError, "lines is 0"),
        ({"lines": 2.5}, TypeError, "lines is 2.5"),
        ({"rng": 3}, TypeError, "rng is 3"),
        ({"names": ("dates", "poems")}, ValueError, "no dialect 'poems'; there are dates, sums"),
        ({"names": ()}, ValueError, "names is empty"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        dialects(**{"lines": 5, "rng": rng()} | arguments)
    with pytest.raises(ValueError, match="length is 0"):
        dialects(5, rng=rng()).windows(0)


def test_fit_takes_windows():
    x, y, _ = dialects(60, rng=rng()).windows(16)
    model = torch.nn.Sequential(torch.nn.Embedding(50, 8), torch.nn.Linear(8, 50))

    def loss(output, y):
        return torch.nn.functional.cross_entropy(output.flatten(0, 1), y.flatten())

    history = ddl.fit(model, (x, y), loss=loss, epochs=30, lr=0.05, optimizer="adam")
    assert history["loss"][-1] < 3 < history["loss"][0]


# Curves that the same chapter draws from


def test_the_truth_of_the_growing_sine_is_what_it_draws_from():
    data = datasets.heteroscedastic_sine(200_000, rng=rng())
    mean, deviation = datasets.heteroscedastic_truth(data.x)
    assert mean.shape == deviation.shape == data.x.shape
    assert mean.dtype == deviation.dtype == torch.float32
    standard = (data.y - mean) / deviation
    for part in standard.chunk(10):
        assert abs(part.mean()) < 0.03
        assert part.std().item() == pytest.approx(1, abs=0.03)
    assert datasets.heteroscedastic_truth(torch.tensor([0.0]))[0].item() == 5


def test_four_planes_are_planes():
    data = datasets.four_planes(4000, noise=0.05, rng=rng())
    regions = datasets.plane_of(data.x)
    assert regions.bincount(minlength=4).min() > 500
    slopes = [(2, 0, 1), (0, 2, -1), (0, -2, -1), (-2, 0, 1)]
    for region, wanted in enumerate(slopes):
        x, y = data.x[regions == region], data.y[regions == region]
        fitted = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], dim=1), y).solution.flatten()
        assert fitted.tolist() == pytest.approx(wanted, abs=0.02)
    corners = torch.tensor([[-0.9, -0.9], [-0.9, 0.9], [0.9, -0.9], [0.9, 0.9]])
    assert datasets.plane_of(corners).tolist() == [0, 1, 2, 3]
    x1, x2 = torch.tensor([-0.4, -0.4, 0.4, 0.4]), torch.tensor([0.05, 0.15, -0.15, -0.05])
    assert datasets.plane_of(torch.stack([x1, x2], dim=1)).tolist() == [0, 1, 2, 3]  # around the lines
