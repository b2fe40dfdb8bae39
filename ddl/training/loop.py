"""The training loop."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from ddl.checks import size, whole_number
from ddl.datasets import Dataset
from ddl.environment import base_seed
from ddl.progress import progress
from ddl.training import checks
from ddl.training.callbacks import Callback, Run
from ddl.training.history import History
from ddl.training.measures import METRICS, Measure

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

Batches = Callable[[], Iterator[checks.Pair]]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "nesterov": functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
}
"""The optimisers that :func:`fit` knows by name; momentum is 0.9, the rest is PyTorch's default."""

EVALUATION_ROWS = 4096


def fit(
    model: nn.Module,
    train: Dataset | checks.Pair,
    *,
    loss: Measure,
    epochs: int,
    lr: float | None = None,
    optimizer: str | OptimizerFactory = "sgd",
    weight_decay: float = 0.0,
    batch_size: int | None = None,
    validation: Dataset | checks.Pair | None = None,
    metrics: str | Sequence[str] | Mapping[str, Measure] = (),
    callbacks: Callback | Sequence[Callback] = (),
    seed: int = 0,
    device: torch.device | str | None = None,
) -> History:
    """Train a model, in place.

    The same steps as the loop that everybody writes: for each batch of a fresh permutation, clear the
    gradients, compute output and loss, go backward, step.

    Parameters
    ----------
    model
        The module to train. It is left in the mode (training or evaluation) that it is in, without gradients.
    train
        Data set, or a pair of tensors (x, y).
    loss
        ``loss(output, y)`` returns a scalar tensor.
    epochs
        Number of passes over the data.
    lr
        Learning rate.
    optimizer
        A name of :data:`OPTIMIZERS`; or a function from the parameters to an optimiser, which then sets
        learning rate and weight decay itself.
    weight_decay
        Strength of the decay, as PyTorch defines it for the optimiser. (0 also for ``"adamw"``.)
    batch_size
        Number of examples per step; the last batch of an epoch may be smaller. Default: all, in order.
    validation
        Data whose loss and metrics are measured after every epoch, as ``val_loss``, ``val_accuracy``, ….
    metrics
        Names of :data:`ddl.training.METRICS`, or functions ``metric(output, y)`` by name, measured after
        every epoch on all training data.
    callbacks
        One or several, called in this order; see :class:`Callback`.
    seed
        Chooses the permutations, together with the book's base seed. No global random state is used, except
        by layers that draw from PyTorch's, such as dropout.
    device
        Where to train; the model stays there. Default: where the model is. The data are moved there once.

    Returns
    -------
    History
        ``history["loss"]`` is the mean of the batches' losses, each measured before its step, with dropout
        and the like at work; all other values are measured after the epoch, in evaluation mode.

        The run ends, without an exception, when a loss is not finite: that step is not taken, and
        ``history.diverged`` says in which epoch. If a step has made the parameters themselves infinite or
        NaN, they are set back to the beginning of that epoch, so that they are always finite.

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
    parameters = checks.parameters(model)
    epochs = whole_number("epochs", epochs, at_least=1)
    seed = whole_number("seed", seed, at_least=0)
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
    data = {"train": checks.pair("train", train)}
    if validation is not None:
        data["validation"] = checks.pair("validation", validation)
        checks.same_kind(data["train"], data["validation"])

    device = next(model.parameters()).device if device is None else torch.device(device)
    model.to(device)
    data = {name: (x.to(device), y.to(device)) for name, (x, y) in data.items()}
    stepper = _optimizer(optimizer, parameters, lr, weight_decay)

    names = ["loss", *metrics]
    if validation is not None:
        names += ["val_loss", *(f"val_{name}" for name in metrics)]
    run = Run(model, stepper, History(names), epochs)
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        for x_y in data.values():
            checks.fitting(model, loss, x_y)
        batches = _batches(*data["train"], batch_size, np.random.default_rng([base_seed(), seed]))
        _train(run, data, loss, metrics, callbacks, batches)
    finally:
        stepper.zero_grad()
        for module, training in modes.items():
            module.training = training
    return run.history


def _train(
    run: Run,
    data: Mapping[str, checks.Pair],
    loss: Measure,
    metrics: Mapping[str, Measure],
    callbacks: Sequence[Callback],
    batches: Batches,
) -> None:
    """Run the epochs with their callbacks."""
    for callback in callbacks:
        callback.on_start(run)
    values = _Values(run.model)
    with progress(run.epochs, "training", unit="epoch") as bar:
        while run.epoch < run.epochs and run.history.stopped is None:
            before = values.copy()
            run.model.train()
            value = _epoch(run.model, run.optimizer, loss, batches)
            run.model.eval()
            run.epoch += 1
            finite = bool(values.copy().isfinite().all())
            if not finite:
                values.restore(before)
            if not finite or not math.isfinite(value):
                run.history.diverged = run.epoch
                run.history.append({"loss": value})
                break
            run.history.append({"loss": value, **_measure(run.model, data, loss, metrics)})
            for callback in callbacks:
                callback.on_epoch_end(run)
            bar.set_postfix_str(f"loss {value:.4g}", refresh=False)
            bar.update()
    for callback in callbacks:
        callback.on_end(run)


def _batches(x: torch.Tensor, y: torch.Tensor, batch_size: int | None, rng: np.random.Generator) -> Batches:
    """Return a function that deals out the batches of one epoch."""

    def deal() -> Iterator[checks.Pair]:
        if batch_size is None or batch_size >= len(x):
            yield x, y
            return
        order = torch.from_numpy(rng.permutation(len(x))).to(x.device)
        for rows in order.split(batch_size):
            yield x[rows], y[rows]

    return deal


def _epoch(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Measure, batches: Batches) -> float:
    """Take the steps of one epoch; return the mean loss, or the first loss that is not finite."""
    total, examples = 0.0, 0
    for x, y in batches():
        optimizer.zero_grad()
        value = loss(model(x), y)
        number = value.item()
        if not math.isfinite(number):
            return number
        value.backward()
        optimizer.step()
        total += number * len(x)
        examples += len(x)
    return total / examples


@torch.no_grad()
def _measure(
    model: nn.Module, data: Mapping[str, checks.Pair], loss: Measure, metrics: Mapping[str, Measure]
) -> dict[str, float]:
    """Return the validation loss and all metrics of a model in evaluation mode."""
    measured = {}
    for name, (x, y) in data.items():
        wanted = metrics if name == "train" else {"loss": loss, **metrics}
        if wanted:
            output = torch.cat([model(rows) for rows in x.split(EVALUATION_ROWS)])
            prefix = "" if name == "train" else "val_"
            measured |= {prefix + metric: float(measure(output, y)) for metric, measure in wanted.items()}
    return measured


class _Values:
    """The real-valued parameters and buffers of a model, copied and checked in one row, which is fast."""

    def __init__(self, model: nn.Module) -> None:
        tensors = (*model.parameters(), *model.buffers())
        self.tensors = [tensor.detach() for tensor in tensors if tensor.is_floating_point()]

    def copy(self) -> torch.Tensor:
        """Return the present values."""
        return torch.cat([tensor.reshape(-1) for tensor in self.tensors])

    def restore(self, values: torch.Tensor) -> None:
        """Set the model back to a copy."""
        parts = values.split([tensor.numel() for tensor in self.tensors])
        for tensor, part in zip(self.tensors, parts, strict=True):
            tensor.copy_(part.reshape(tensor.shape))


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


def _optimizer(
    optimizer: str | OptimizerFactory, parameters: list[nn.Parameter], lr: float | None, weight_decay: float
) -> torch.optim.Optimizer:
    """Make the optimiser of a name or of a function."""
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer {optimizer!r} is not known; there are {', '.join(OPTIMIZERS)}; "
                "or give a function from the parameters to an optimiser"
            )
        if lr is None:
            raise TypeError(f"lr is missing; give the learning rate of {optimizer!r}, as lr=0.1")
        size("lr", lr)
        size("weight_decay", weight_decay, zero=True)
        return OPTIMIZERS[optimizer](parameters, lr=lr, weight_decay=weight_decay)
    if not callable(optimizer):
        raise TypeError(
            f"optimizer is {optimizer!r}; give a name or a function from the parameters to an optimiser"
        )
    if lr is not None or weight_decay:
        raise ValueError(
            f"lr is {lr} and weight_decay {weight_decay}, but the function given as optimizer sets both; "
            "leave them out"
        )
    made = optimizer(parameters)
    if not isinstance(made, torch.optim.Optimizer):
        raise TypeError(f"optimizer returned {made!r}; give a function that returns a torch.optim.Optimizer")
    return made
