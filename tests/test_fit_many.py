"""Models of many shapes: trained in groups, handed back in the caller's order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from runs import moons, values
from torch import nn

import ddl
from ddl.models import MLP
from ddl.training import EarlyStopping

OPTIONS = {"loss": nn.CrossEntropyLoss(), "epochs": 4}
WIDTHS = [3, 8, 3, 5, 8, 3]


def models():
    return [MLP((2, width, 2), seed=seed) for seed, width in enumerate(WIDTHS)]


def test_models_of_many_shapes_learn_as_alone():
    rates = [0.1, 0.2, 0.05, 0.1, 0.4, 0.3]
    together, alone = models(), models()
    groups = []
    histories = ddl.fit_many(
        together,
        moons(),
        lr=rates,
        seed=range(6),
        batch_size=16,
        metrics="accuracy",
        validation=moons(20, seed=1),
        callbacks=lambda group: groups.append(group) or [],
        **OPTIONS,
    )
    assert groups == [[0, 2, 5], [1, 4], [3]]
    for index, model in enumerate(alone):
        expected = ddl.fit(
            model,
            moons(),
            lr=rates[index],
            seed=index,
            batch_size=16,
            metrics="accuracy",
            validation=moons(20, seed=1),
            **OPTIONS,
        )
        assert all(
            torch.allclose(a, b, atol=1e-6)
            for a, b in zip(values(together[index]), values(model), strict=True)
        )
        for name in expected:
            assert histories[index][name] == pytest.approx(expected[name], abs=1e-5)
        assert together[index].sizes == (2, WIDTHS[index], 2)


def test_data_of_their_own_in_different_numbers():
    data = moons(60)
    parts = [data[:n] for n in (10, 60, 10, 30, 60, 20)]
    together, alone = models(), models()
    groups = []
    ddl.fit_many(together, parts, lr=0.1, callbacks=lambda group: groups.append(group) or [], **OPTIONS)
    assert groups == [[0, 2], [1, 4], [3], [5]]
    for model, by_itself, part in zip(together, alone, parts, strict=True):
        ddl.fit(by_itself, part, lr=0.1, **OPTIONS)
        assert all(
            torch.allclose(a, b, atol=1e-6) for a, b in zip(values(model), values(by_itself), strict=True)
        )


def test_early_stopping_of_each():
    data, fresh = moons(40), moons(30, seed=9)
    histories = ddl.fit_many(
        models(),
        data,
        validation=fresh,
        loss=nn.CrossEntropyLoss(),
        epochs=150,
        lr=0.5,
        optimizer="adam",
        callbacks=lambda group: [EarlyStopping(4)],
    )
    assert len({history.stopped for history in histories}) > 2
    assert all(history.epochs == (history.stopped or 150) for history in histories)


def test_a_single_model():
    model = MLP((2, 3, 2), seed=0)
    (history,) = ddl.fit_many([model], moons(), lr=0.1, **OPTIONS)
    expected = MLP((2, 3, 2), seed=0)
    assert history["loss"] == pytest.approx(ddl.fit(expected, moons(), lr=0.1, **OPTIONS)["loss"])
    assert all(torch.allclose(a, b) for a, b in zip(values(model), values(expected), strict=True))


ONE = MLP((2, 3, 2))

WRONG = {
    "none": ({"models": []}, ValueError, "models is empty"),
    "no module": ({"models": [ONE, None]}, TypeError, "model 1 is None"),
    "twice": ({"models": [ONE, ONE]}, ValueError, r"model 1 is there twice; give copies"),
    "rates": ({"lr": [0.1]}, ValueError, "lr holds 1 numbers; give one, or 6, one per model"),
    "data sets": ({"train": [moons()]}, ValueError, "train holds 1 data sets; give one, or 6"),
    "shares": (
        {"train": ddl.PerMember(moons(), rows=[np.arange(5)] * 6)},
        TypeError,
        "train is PerMember; give a list with a data set for each of the 6 models",
    ),
    "a tensor": ({"train": moons().x}, TypeError, "train is Tensor; give a Dataset"),
}


@pytest.mark.parametrize(("change", "error", "words"), WRONG.values(), ids=WRONG)
def test_wrong_calls_are_refused(change, error, words):
    arguments = {"models": models(), "train": moons(), "lr": 0.1, **OPTIONS, **change}
    with pytest.raises(error, match=words):
        ddl.fit_many(arguments.pop("models"), arguments.pop("train"), **arguments)
