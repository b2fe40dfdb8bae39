"""Tensors and numbers among what the reader's code returns."""

from __future__ import annotations

import math

import torch


def number(value: object) -> float:
    """Return what a loss returned as a number; NaN if it is none."""
    if isinstance(value, torch.Tensor):
        return value.detach().float().mean().item() if value.numel() else math.nan
    return float(value) if isinstance(value, int | float) else math.nan


def tensors_in(output: object) -> list[torch.Tensor]:
    """Return the tensors among what a layer puts out, such as a recurrent layer's output and state."""
    if isinstance(output, torch.Tensor):
        return [output]
    return (
        [part for inner in output for part in tensors_in(inner)] if isinstance(output, tuple | list) else []
    )
