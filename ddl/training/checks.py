"""What :func:`ddl.fit` refuses before it starts, each with the value, the shape and the remedy."""

from __future__ import annotations

import warnings

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
                f"{letter} of {name} is {type(values).__name__}; make it a tensor, as torch.as_tensor({letter}) does"
            )
        if values.ndim == 0 or len(values) == 0:
            raise ValueError(f"{letter} of {name} has shape {tuple(values.shape)}; give at least one example")
    x, y = data
    if len(x) != len(y):
        raise ValueError(
            f"x of {name} has shape {tuple(x.shape)} and y {tuple(y.shape)}: {len(x)} examples but {len(y)} targets; "
            "give one target per example"
        )
    for letter, values in zip("xy", data, strict=True):
        if not values.isfinite().all():
            where = tuple((~values.isfinite()).nonzero()[0].tolist())
            raise ValueError(
                f"{letter}[{', '.join(map(str, where))}] of {name} is {values[where].item()}; "
                "remove such examples or fill the gaps before training"
            )
    return x, y


def same_kind(train: Pair, validation: Pair) -> None:
    """Refuse validation data of other shapes or dtypes than the training data."""
    for letter, ours, theirs in zip("xy", train, validation, strict=True):
        if ours.shape[1:] != theirs.shape[1:] or ours.dtype != theirs.dtype:
            raise ValueError(
                f"{letter} of the training data is {ours.dtype} of shape {tuple(ours.shape)}, but of the validation "
                f"data {theirs.dtype} of shape {tuple(theirs.shape)}; they may differ in the number of examples only"
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
        if not values.isfinite().all():
            raise ValueError(
                f"{name} of {type(model).__name__} is not finite before training; initialise it anew"
            )
    return trainable


def fitting(model: nn.Module, loss: Measure, data: Pair) -> None:
    """Refuse a model, a loss and data that do not fit together, by trying them on two examples.

    The model must be in evaluation mode, so that trying leaves no trace in it.
    """
    x, y = (values[:2] for values in data)
    dtype = next(model.parameters()).dtype
    if x.is_floating_point() and x.dtype != dtype:
        raise TypeError(
            f"x is {x.dtype} but the model's parameters are {dtype}; convert x with x.to({dtype})"
        )
    try:
        output = model(x)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{type(model).__name__} cannot take x of shape {tuple(data[0].shape)} and {x.dtype}: {error}"
        ) from error
    if isinstance(output, torch.Tensor):
        _targets(output, data[1], loss)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Using a target size")  # PyTorch's own word on broadcasting
        try:
            value = loss(output, y)
        except (RuntimeError, ValueError, IndexError, TypeError, UserWarning) as error:
            shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise ValueError(
                f"the loss {_name(loss)} cannot compare an output of shape {shape} with y of shape {tuple(y.shape)} "
                f"and {y.dtype}: {error}"
            ) from error
    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f"the loss {_name(loss)} returns {type(value).__name__}; it must return a scalar tensor"
        )
    if value.ndim:
        raise ValueError(
            f"the loss {_name(loss)} returns shape {tuple(value.shape)}, not one number; "
            "average over the examples, as reduction='mean' does"
        )
    if not value.requires_grad:
        raise ValueError(
            f"the loss {_name(loss)} does not depend on the parameters by way of gradients; "
            "compute it from the output with differentiable operations, without detach() or item()"
        )


def _targets(output: torch.Tensor, y: torch.Tensor, loss: Measure) -> None:
    """Refuse targets whose shape or values do not fit the output, though broadcasting might hide it."""
    one_column = output.ndim == 2 and output.shape[1] == 1
    if y.is_floating_point():
        if output.ndim != y.ndim:
            raise ValueError(
                f"the output has shape (n{''.join(f', {size}' for size in output.shape[1:])}) but y {tuple(y.shape)}: "
                "broadcasting would compare every output with every target; "
                "make y (n, 1) with y[:, None], or y.long() if these are class labels"
            )
        return
    if y.ndim != 1 or output.ndim > 2:
        return
    classes = 2 if one_column or output.ndim == 1 else output.shape[1]
    if not 0 <= y.min() <= y.max() < classes:
        wrong = int(((y < 0) | (y >= classes)).nonzero()[0])
        raise ValueError(
            f"y[{wrong}] is {y[wrong]}, but an output of shape (n{''.join(f', {size}' for size in output.shape[1:])}) "
            f"knows labels 0 to {classes - 1}; relabel the classes or widen the last layer"
        )
    if one_column:
        scores = output.new_tensor([[-1.3], [2.1]])
        labels = y.new_tensor([0, 1])
        if torch.isclose(loss(scores, labels), loss(scores, labels.flip(0))):
            raise ValueError(
                f"the loss {_name(loss)} gives the same for an output of shape (n, 1) whichever label belongs to which "
                "example: broadcasting against y of shape (n,) compares all with all; "
                "compare with y[:, None], or take ddl.training.binary_cross_entropy"
            )


def _name(loss: Measure) -> str:
    """Return what to call a loss in a message."""
    return getattr(loss, "__name__", type(loss).__name__)
