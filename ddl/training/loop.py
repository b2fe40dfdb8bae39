"""The training loop."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from ddl.checks import whole_number
from ddl.datasets import Dataset
from ddl.environment import base_seed
from ddl.progress import progress
from ddl.training import checks, engines
from ddl.training.batches import Batches, Pair
from ddl.training.callbacks.base import Callback, Run, notify
from ddl.training.engines import Engine
from ddl.training.ensemble import Ensemble
from ddl.training.history import History
from ddl.training.measures import METRICS, Measure
from ddl.training.optimizers import OptimizerFactory, PerMemberNumber, Recipe, is_per_member
from ddl.training.per_member import Examples, PerMember, examples

Data = Dataset | Pair | PerMember


def fit(
    model: nn.Module,
    train: Data,
    *,
    loss: Measure,
    epochs: int,
    lr: PerMemberNumber | None = None,
    optimizer: str | OptimizerFactory = "sgd",
    weight_decay: PerMemberNumber = 0.0,
    fused: bool = False,
    batch_size: int | None = None,
    validation: Data | None = None,
    metrics: str | Sequence[str] | Mapping[str, Measure] = (),
    callbacks: Callback | Sequence[Callback] = (),
    seed: int | Sequence[int] = 0,
    device: torch.device | str | None = None,
) -> History:
    """Train a model, in place.

    The same steps as the loop that everybody writes: for each batch of a fresh permutation, clear the
    gradients, compute output and loss, go backward, step.

    Parameters
    ----------
    model
        The module to train, or an :class:`ddl.Ensemble` of many, which then all learn at once, each as it
        would alone. It is left in the mode (training or evaluation) that it is in, without gradients.
    train
        Data set, or a pair of tensors (x, y); for an ensemble also :class:`ddl.PerMember`.
    loss
        ``loss(output, y)`` returns a scalar tensor. It is given the output of a single model also for an
        ensemble.
    epochs
        Number of passes over the data.
    lr
        Learning rate; for an ensemble also one per member.
    optimizer
        A name of :data:`OPTIMIZERS`; or a function from the parameters to an optimiser, which then sets
        learning rate and weight decay itself.
    weight_decay
        Strength of the decay, as PyTorch defines it for the optimiser (0 also for ``"adamw"``); for an
        ensemble also one per member.
    fused
        Whether the optimiser changes all parameters in one pass, which takes a fraction of the time and
        rounds differently. Only some can.
    batch_size
        Number of examples per step; the last batch of an epoch may be smaller. Default: all, in order.
    validation
        Data whose loss and metrics are measured after every epoch, as ``val_loss``, ``val_accuracy``, ….
    metrics
        Names of :data:`ddl.training.METRICS`, or functions ``metric(output, y)`` by name, measured after
        every epoch on all training data.
    callbacks
        One or several, called in this order unless their ``order`` says otherwise; see :class:`Callback`.
    seed
        Chooses the permutations, together with the book's base seed; for an ensemble also one per member. No
        global random state is used, except by layers that draw from PyTorch's, such as dropout.
    device
        Where to train; the model stays there. Default: where the model is. The data are moved there once.

    Returns
    -------
    History
        ``history["loss"]`` is the mean of the batches' losses, each measured before its step, with dropout
        and the like at work; all other values are measured after the epoch, in evaluation mode.

        The run ends, without an exception, when a loss or a parameter is not finite: ``history.diverged``
        says in which epoch, and the parameters are set back to its beginning, so that they are finite.

        For an ensemble all of this holds for each member by itself, and the curves have the shape
        (epochs, members).

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong or the arguments do not fit together; nothing has been trained then.

    Examples
    --------
    >>> import ddl
    >>> from torch import nn
    >>> model = nn.Linear(1, 1)
    >>> history = ddl.fit(model, ddl.datasets.ten_points(), loss=nn.MSELoss(), epochs=50, lr=0.05)
    >>> history["loss"].shape
    (50,)
    """
    checks.parameters(model)
    members = model.members if isinstance(model, Ensemble) else None
    epochs = whole_number("epochs", epochs, at_least=1)
    seeds = _seeds(seed, members)
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size, at_least=1)
    if isinstance(loss, type) or not callable(loss):
        raise TypeError(f"loss is {loss!r}; give a function or an instance, as nn.MSELoss()")
    metrics = _metrics(metrics)
    callbacks = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks holds {callback!r}; give instances of Callback, as Snapshots(every=10)"
            )
    callbacks.sort(key=lambda callback: callback.order)
    data = {"train": examples("train", train, members)}
    if validation is not None:
        data["validation"] = examples("validation", validation, members)
        checks.same_kind(*(values.kind for values in data.values()))
    recipe = Recipe(optimizer, lr, weight_decay, fused)
    recipe.check(members)

    device = next(model.parameters()).device if device is None else torch.device(device)
    model.to(device)
    data = {name: values.to(device) for name, values in data.items()}
    modes = {module: module.training for module in model.modules()}
    stepper = None
    try:
        model.eval()
        for values in data.values():
            _fit_together(model, loss, values)
        engine, stepper = engines.prepare(model, loss, list(data.values()), recipe, batch_size)
        names = ["loss", *metrics]
        if validation is not None:
            names += ["val_loss", *(f"val_{name}" for name in metrics)]
        run = Run(
            model,
            stepper,
            History(names, members),
            epochs,
            gradients=engine.gradients,
            generators=[np.random.default_rng([base_seed(), one]) for one in engine.seeds(seeds)],
            callbacks=callbacks,
            steps_per_epoch=math.ceil(data["train"].most_examples / (batch_size or math.inf)) or 1,
            describe=partial(_describe, model, loss, stepper, recipe, batch_size, seeds, data),
        )
        own = {name: engine.data(values) for name, values in data.items()}
        with contextlib.ExitStack() as exits:
            for callback in callbacks:
                exits.callback(notify, [callback], "on_exit", run)
            _train(run, engine, own, batch_size, loss, metrics)
    finally:
        if stepper is not None:
            stepper.zero_grad()
        for module, training in modes.items():
            module.training = training
    return run.history


def _fit_together(model: nn.Module, loss: Measure, data: Examples) -> None:
    """Refuse a model, a loss and data that do not fit together."""
    if not isinstance(model, Ensemble):
        checks.fitting(model, loss, (data.x, data.y))
        return
    member = model.member(0)
    for y in data.y if data.own_labels else [data.y]:
        checks.fitting(member, loss, (data.x, y))


@torch.no_grad()
def _measure(
    engine: Engine, data: Mapping[str, Any], loss: Measure, metrics: Mapping[str, Measure]
) -> dict[str, float | np.ndarray]:
    """Return the validation loss and all metrics of a model in evaluation mode."""
    measured = {}
    if metrics:
        measured |= engine.measure(data["train"], metrics)
    if "validation" in data:
        values = engine.measure(data["validation"], {"loss": loss, **metrics})
        measured |= {f"val_{name}": value for name, value in values.items()}
    return measured


def _train(
    run: Run,
    engine: Engine,
    data: Mapping[str, Any],
    batch_size: int | None,
    loss: Measure,
    metrics: Mapping[str, Measure],
) -> None:
    """Run the epochs with their callbacks."""
    history, callbacks = run.history, run.callbacks
    stepping = [one for one in callbacks if type(one).on_step_end is not Callback.on_step_end]
    notify(callbacks, "on_start", run)
    batches = engine.batches(data["train"], batch_size, run.generators)
    measuring = bool(metrics) or "validation" in data
    before = engine.values()
    engine.going_on = history.going_on
    with progress(run.epochs, "training", unit="epoch") as bar:
        bar.update(run.epoch)
        while run.epoch < run.epochs and engine.going_on.any():
            ended = None if engine.going_on.all() else ~engine.going_on
            engine.train()
            try:
                value = _epoch(run, engine, batches, stepping)
            finally:
                if ended is not None:  # these were only taken along
                    engine.restore(before, ended)
            engine.eval()
            after = engine.values()
            wrong = engine.not_finite(after, value)
            if wrong is not None:
                engine.restore(before, wrong)
            run.epoch += 1
            some_are_sound = wrong is None or bool((engine.going_on & ~wrong).any())
            measured = _measure(engine, data, loss, metrics) if measuring and some_are_sound else {}
            if wrong is not None:
                measured = {name: np.where(wrong, np.nan, values) for name, values in measured.items()}
            history.append({"loss": value, **measured})
            if wrong is not None:
                history.end(run.epoch, "diverged", wrong)
            run.settle()
            if some_are_sound:
                notify(callbacks, "on_epoch_end", run)
            if ended is wrong is None and not callbacks:
                before = after
            else:  # what was set back, and what callbacks have changed, is in no copy yet
                before = engine.values()
                engine.going_on = history.going_on
            if not bar.disable:
                bar.set_postfix_str(f"loss {np.nanmedian(value):.4g}", refresh=False)
                bar.update()
    notify(callbacks, "on_end", run)


def _epoch(run: Run, engine: Engine, batches: Batches, stepping: Sequence[Callback]) -> float | np.ndarray:
    """Take the steps of one epoch; return the mean loss, or the first loss that is not finite."""
    optimizer = run.optimizer
    losses, sizes = [], []
    for size, batch in batches():
        optimizer.zero_grad()
        value = engine.backward(batch)
        losses.append(value)
        sizes.append(size)
        if isinstance(value, float) and not math.isfinite(value):
            return value
        optimizer.step()
        run.step += 1
        if stepping:
            run.loss = value
            notify(stepping, "on_step_end", run)
    if isinstance(losses[0], float):
        return _mean(losses, sizes)
    losses = torch.stack(losses).cpu().double().numpy()  # the one moment that waits for the device
    with np.errstate(invalid="ignore", over="ignore"):  # NaN is the mean of members that have ended
        mean = _mean(losses, sizes)
    if np.isfinite(mean).all():
        return mean
    wrong = ~np.isfinite(losses)
    first = np.take_along_axis(losses, wrong.argmax(0)[None], 0)[0]
    return np.where(wrong.any(0), first, mean)


def _mean(losses: Sequence[float] | np.ndarray, sizes: Sequence[int | np.ndarray]) -> float | np.ndarray:
    """Return the mean over the examples; added up in order, as by hand, to the last bit."""
    total = 0.0
    for value, size in zip(losses, sizes, strict=True):
        total += value * size
    return total / sum(sizes)


def _seeds(seed: int | Sequence[int], members: int | None) -> list[int]:
    """Return the seed, or that of each member."""
    if not is_per_member(seed):
        return [whole_number("seed", seed, at_least=0)] * (members or 1)
    if members is None:
        raise TypeError(f"seed is {seed!r}; give one number, or train an Ensemble with one per member")
    if len(seed) != members:
        raise ValueError(f"seed holds {len(seed)} numbers; give one, or {members}, one per member")
    return [whole_number("a seed", one, at_least=0) for one in seed]


def _describe(
    model: nn.Module,
    loss: Measure,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    batch_size: int | None,
    seeds: Sequence[int],
    data: Mapping[str, Examples],
) -> dict[str, str]:
    """Return what two runs must have in common for one to go on where the other has ended."""
    described = {
        "model": ", ".join(f"{name} {tuple(values.shape)}" for name, values in model.state_dict().items()),
        "modules": " ".join(repr(model).split()),
        "loss": getattr(loss, "__name__", repr(loss)),
        "optimizer": f"{type(optimizer).__name__} {optimizer.defaults}",
        "lr": str(np.asarray(recipe.lr).tolist()),
        "weight_decay": str(np.asarray(recipe.weight_decay).tolist()),
        "batch_size": str(batch_size),
        "seed": f"{sorted(set(seeds))}, base seed {base_seed()}",
    }
    return described | {name: values.describe() for name, values in data.items()}


def _metrics(metrics: str | Sequence[str] | Mapping[str, Measure]) -> dict[str, Measure]:
    """Return the metrics as functions by name."""
    if isinstance(metrics, Mapping):
        for name, metric in metrics.items():
            if not isinstance(name, str) or not callable(metric) or name == "loss" or name.startswith("val_"):
                raise TypeError(
                    f"metrics holds {name!r}: {metric!r}; give functions (output, y) -> number by name, "
                    "other than 'loss' and 'val_…'"
                )
        return dict(metrics)
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in METRICS:
            raise ValueError(
                f"metric {name!r} is not known; there are {', '.join(METRICS)}; "
                "give a function of your own by name, as metrics={'error': error}"
            )
    return {name: METRICS[name] for name in names}
