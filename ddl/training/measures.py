"""Losses and metrics that PyTorch does not have in the form that the book needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor | float]


def binary_cross_entropy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean of −log p(y), where p(1) is the sigmoid of the logit.

    PyTorch's ``nn.BCEWithLogitsLoss`` for labels as the data sets have them.

    Parameters
    ----------
    logits
        Output of the network, shape (n, 1) or (n,).
    y
        Labels 0 and 1, shape (n,) or (n, 1), of any dtype.

    Returns
    -------
    torch.Tensor
        A scalar, in nats.

    Raises
    ------
    ValueError
        If the shapes are not these.

    Examples
    --------
    >>> binary_cross_entropy(torch.zeros(4, 1), torch.tensor([0, 1, 1, 0]))  # knows nothing: log 2
    tensor(0.6931)
    """
    one_column = (logits.shape[0],) if logits.ndim else None
    if logits.shape not in (one_column, (*(one_column or ()), 1)) or y.shape not in (
        one_column,
        (len(logits), 1),
    ):
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and y {tuple(y.shape)}; give (n, 1) or (n,) and the n "
            "labels. For three or more classes take nn.CrossEntropyLoss()"
        )
    logits = logits.reshape(-1)
    return F.binary_cross_entropy_with_logits(logits, y.reshape(-1).to(logits.dtype))


def accuracy(output: torch.Tensor, y: torch.Tensor) -> float:
    """Return the share of the examples whose class is predicted rightly.

    Parameters
    ----------
    output
        Logits or scores. Shape (n, classes): the prediction is the largest. Shape (n, 1) or (n,): the
        prediction is class 1 where the logit is above 0, else class 0.
    y
        Labels, shape (n,); or (n, 1).

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are no examples.

    Examples
    --------
    >>> accuracy(torch.tensor([[2.0], [-1.0], [0.5], [0.1]]), torch.tensor([1, 0, 0, 1]))
    0.75
    """
    n = y.numel()
    if n == 0 or y.shape not in ((n,), (n, 1)) or output.ndim not in (1, 2) or len(output) != n:
        raise ValueError(
            f"output has shape {tuple(output.shape)} and y {tuple(y.shape)}; give (n, classes), (n, 1) or "
            "(n,) and the n labels, at least one"
        )
    several = output.ndim == 2 and output.shape[1] > 1
    predicted = output.argmax(1) if several else (output.reshape(-1) > 0)
    return (predicted == y.reshape(-1)).sum().item() / n


METRICS: dict[str, Measure] = {"accuracy": accuracy}
"""The metrics that :func:`ddl.fit` knows by name."""
