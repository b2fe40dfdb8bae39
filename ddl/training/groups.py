"""Many models of different shapes: one ensemble for each shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from ddl.datasets import Dataset
from ddl.training.batches import Pair
from ddl.training.callbacks.base import Callback
from ddl.training.ensemble import Ensemble, check_is_module, shape
from ddl.training.history import History
from ddl.training.loop import fit
from ddl.training.optimizers import PerMemberNumber, is_per_member
from ddl.training.per_member import PerMember

Data = Dataset | Pair


def fit_many(
    models: Sequence[nn.Module],
    train: Data | Sequence[Data],
    *,
    validation: Data | Sequence[Data] | None = None,
    lr: PerMemberNumber | None = None,
    weight_decay: PerMemberNumber = 0.0,
    seed: int | Sequence[int] = 0,
    callbacks: Callable[[list[int]], Sequence[Callback]] | None = None,
    **options: object,
) -> list[History]:
    """Train many models of any shapes, in place: those of one shape together, as an :class:`Ensemble`.

    Parameters
    ----------
    models
        The modules to train.
    train, validation
        One data set, or pair of tensors (x, y), for all; or a list with one for each model. Models are
        trained together if they also have the same number of examples.
    lr, weight_decay, seed
        One number for all, or one for each model.
    callbacks
        Function from the places in ``models`` of those that are trained together to their callbacks.
    **options
        Everything else that :func:`ddl.fit` takes.

    Returns
    -------
    list of History
        That of each model as if it had been trained alone, in the order of ``models``.

    Raises
    ------
    TypeError, ValueError
        If there are no models, one is there twice, a list does not fit their number, or
        :func:`ddl.fit` refuses an argument.

    Examples
    --------
    >>> import ddl
    >>> moons = ddl.datasets.moons(100, rng=ddl.rng(1))
    >>> widths = [2, 8, 2, 8]
    >>> models = [ddl.models.MLP((2, width, 2), seed=seed) for seed, width in enumerate(widths)]
    >>> histories = fit_many(models, moons, loss=nn.CrossEntropyLoss(), epochs=5, lr=0.1)
    >>> [history.epochs for history in histories]
    [5, 5, 5, 5]
    """
    models = list(models)
    if not models:
        raise ValueError("models is empty; give at least one module")
    for number, model in enumerate(models):
        check_is_module(number, model)
        if any(model is other for other in models[:number]):
            raise ValueError(f"model {number} is there twice; give copies, as copy.deepcopy(model)")
    each = {
        "train": _for_each("train", train, len(models)),
        "validation": _for_each("validation", validation, len(models)),
    }
    numbers = {"lr": lr, "weight_decay": weight_decay, "seed": seed}
    for name, value in numbers.items():
        if is_per_member(value) and len(value) != len(models):
            raise ValueError(f"{name} holds {len(value)} numbers; give one, or {len(models)}, one per model")

    groups: dict[object, list[int]] = {}
    for index, model in enumerate(models):
        sizes = tuple(_size(data[index]) for data in each.values())
        groups.setdefault((shape(model), sizes), []).append(index)
    histories: dict[int, History] = {}
    for group in groups.values():
        own = {
            name: [value[index] for index in group] if is_per_member(value) else value
            for name, value in numbers.items()
        }
        ensemble = Ensemble([models[index] for index in group])
        history = fit(
            ensemble,
            _for_members([each["train"][index] for index in group]),
            validation=_for_members([each["validation"][index] for index in group]),
            callbacks=[] if callbacks is None else callbacks(group),
            **own,
            **options,
        )
        for member, index in enumerate(group):
            ensemble.copy_to(models[index], member)
            histories[index] = history.member(member)
    return [histories[index] for index in range(len(models))]


def _for_each(name: str, data: Data | Sequence[Data] | None, models: int) -> Sequence[Data | None]:
    """Return the data of each model."""
    if isinstance(data, PerMember):
        raise TypeError(f"{name} is PerMember; give a list with a data set for each of the {models} models")
    if not isinstance(data, list):
        return [data] * models
    if len(data) != models:
        raise ValueError(f"{name} holds {len(data)} data sets; give one, or {models}, one per model")
    return data


def _size(data: Data | None) -> int | None:
    """Return the number of examples."""
    x = data.x if isinstance(data, Dataset) else data[0] if isinstance(data, tuple) and data else None
    return len(x) if isinstance(x, torch.Tensor | np.ndarray) and x.ndim else None


def _for_members(data: Sequence[Data | None]) -> Data | PerMember | None:
    """Return data that the members of an ensemble share, or of which each has its own."""
    return data[0] if all(one is data[0] for one in data) else PerMember.stack(data)
