"""What :func:`ddl.fit` refuses before it starts, each with the value, the shape and the remedy."""

from __future__ import annotations

import cmath
import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch import nn

from ddl.datasets import Dataset
from ddl.training.measures import Measure

Pair = tuple[torch.Tensor, torch.Tensor]


def pair(name: str, data: Dataset | Pair) -> Pair:
    """Return inputs and targets, and refuse what nothing can be learned from."""
    if isinstance(data, Dataset):
        data = data.x, data.y
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"{name} is {type(data).__name__}; give a Dataset or a pair of tensors (x, y)")
    for letter, values in zip("xy", data, strict=True):
        if not isinstance(values, torch.Tensor):
            raise TypeError(
                f"{letter} of {name} is {type(values).__name__}; make it a tensor with "
                f"torch.as_tensor({letter})"
            )
        if values.ndim == 0 or len(values) == 0:
            raise ValueError(f"{letter} of {name} has shape {tuple(values.shape)}; give at least one example")
    x, y = data
    if len(x) != len(y):
        raise ValueError(
            f"x of {name} has shape {tuple(x.shape)} and y {tuple(y.shape)}: {len(x)} examples but {len(y)} "
            "targets; give one target per example"
        )
    for letter, values in zip("xy", data, strict=True):
        if not finite(values):
            place, value = first_gap(values)
            raise ValueError(
                f"{letter}[{place}] of {name} is {value}; "
                "remove such examples or fill the gaps before training"
            )
    return x, y


def finite(values: torch.Tensor) -> bool:
    """Return whether all numbers are finite."""
    if not (values.is_floating_point() or values.is_complex()):
        return True
    # A sum is finite only if all its terms are, and takes a tenth of the time. It may overflow.
    return cmath.isfinite(values.sum().item()) or bool(values.isfinite().all())


def first_gap(values: torch.Tensor) -> tuple[str, float]:
    """Return where the first number is that is not finite, as it is written in brackets, and the number."""
    where = tuple((~values.isfinite()).nonzero()[0].tolist())
    return ", ".join(map(str, where)), values[where].item()


def same_kind(train: Pair, validation: Pair) -> None:
    """Refuse validation data of other shapes or dtypes than the training data."""
    for letter, ours, theirs in zip("xy", train, validation, strict=True):
        if ours.shape[1:] != theirs.shape[1:] or ours.dtype != theirs.dtype:
            raise ValueError(
                f"{letter} of the training data has {_kind(ours)}, {letter} of the validation data "
                f"{_kind(theirs)}; they may differ in the number of examples only"
            )


def parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return what can be trained, and refuse a model without it."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {model!r}; give an nn.Module, and an instance, not a class")
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        frozen = (
            "all its parameters have requires_grad=False" if any(True for _ in model.parameters()) else "none"
        )
        raise ValueError(
            f"{type(model).__name__} has no parameters to train ({frozen}); give a model that has some"
        )
    for name, values in (*model.named_parameters(), *model.named_buffers()):
        if not finite(values):
            raise ValueError(
                f"{name} of {type(model).__name__} is not finite before training; initialise it anew"
            )
    return trainable


def fitting(model: nn.Module, loss: Measure, data: Pair) -> None:
    """Refuse a model, a loss and data that do not fit together, by trying them on two examples.

    The model must be in evaluation mode, so that trying leaves no trace in it.
    """
    (x, y), (all_x, all_y) = (values[:2] for values in data), data
    dtype = next(model.parameters()).dtype
    if x.is_floating_point() and x.dtype != dtype:
        raise TypeError(
            f"x is {x.dtype} but the model's parameters are {dtype}; convert x with x.to({dtype})"
        )
    with refusal(f"{type(model).__name__} cannot take x of shape {tuple(all_x.shape)} and {x.dtype}"):
        output = model(x)
    shape = type(output).__name__
    if isinstance(output, torch.Tensor):
        shape = f"shape {(len(all_x), *output.shape[1:])}"
        _targets(output, all_y, shape)
    name = getattr(loss, "__name__", type(loss).__name__)
    with refusal(f"the loss {name} cannot compare an output of {shape} with y of {_kind(all_y)}"):
        value = loss(output, y)
        mixing = _mixes_examples(loss, output, y)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"the loss {name} returns {type(value).__name__}; it must return a scalar tensor")
    if value.ndim:
        raise ValueError(
            f"the loss {name} returns shape {tuple(value.shape)} for two examples, not one number; "
            "average over the examples, as reduction='mean' does"
        )
    if mixing:
        raise ValueError(
            f"the loss {name} broadcasts an output of {shape} against y of {_kind(all_y)}: it compares every "
            "output with every label; compare with y[:, None], or take ddl.training.binary_cross_entropy"
        )
    if not value.requires_grad:
        raise ValueError(
            f"the loss {name} has no gradient; compute it from the output with differentiable operations, "
            "without detach(), item() or comparisons"
        )


@contextlib.contextmanager
def refusal(message: str) -> Iterator[None]:
    """Turn PyTorch's errors about shapes, and its warning of broadcasting, into a ``ValueError``."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Using a target size")
            yield
    except (RuntimeError, ValueError, TypeError, IndexError, UserWarning) as error:
        raise ValueError(f"{message}: {error}") from error


def _targets(output: torch.Tensor, y: torch.Tensor, shape: str) -> None:
    """Refuse targets whose shape or values do not fit the output."""
    if y.is_floating_point():
        if output.ndim != y.ndim:
            raise ValueError(
                f"the output has {shape} but y {_kind(y)}: broadcasting would compare every output with "
                "every target; make y (n, 1) with y[:, None], or y.long() if these are class labels"
            )
    elif y.ndim == 1 and output.ndim <= 2:
        classes = output.shape[1] if output.ndim == 2 and output.shape[1] > 1 else 2
        wrong = ((y < 0) | (y >= classes)).nonzero()
        if len(wrong):
            raise ValueError(
                f"y[{int(wrong[0])}] is {int(y[wrong[0]])}, but an output of {shape} knows labels 0 to "
                f"{classes - 1}; relabel the classes or change the width of the last layer"
            )


def _mixes_examples(loss: Measure, output: torch.Tensor, y: torch.Tensor) -> bool:
    """Return whether a loss of one column of scores ignores which label belongs to which example.

    This is what broadcasting (n, 1) against (n,) to (n, n) does, and no loss means to.
    """
    if not isinstance(output, torch.Tensor) or output.shape[1:] != (1,) or y.ndim != 1:
        return False
    scores, labels = output.new_tensor([[-1.3], [2.1]]), y.new_tensor([0, 1])
    values = [torch.as_tensor(loss(scores, order)) for order in (labels, labels.flip(0))]
    return bool(values[0].ndim == 0 and torch.isclose(*values))


def _kind(values: torch.Tensor) -> str:
    """Return shape and dtype, for a message."""
    return f"shape {tuple(values.shape)} and {values.dtype}"
