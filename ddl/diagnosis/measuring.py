"""Gradients, updates and activations, layer by layer: the numbers that a report draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ddl.diagnosis.case import Case
from ddl.diagnosis.errors import Unavailable
from ddl.training.activations import ACTIVATIONS
from ddl.training.activations import measure as activations


@dataclass(frozen=True)
class ParameterRow:
    """One tensor of parameters in one step on one batch; NaN where something was not measured."""

    name: str
    gradient: float
    """Norm of the loss's gradient."""
    parameter: float
    """Norm before the step."""
    update: float
    """Norm of the difference that the step makes."""

    @property
    def ratio(self) -> float:
        """Update over parameter."""
        return self.update / self.parameter if self.parameter else math.nan


@dataclass(frozen=True)
class LayerRow:
    """What one module puts out in evaluation mode, over the examples of the batch."""

    name: str
    mean: float
    std: float
    saturated: float
    """The share beyond ±0.97 of a tanh, below 0.03 or above 0.97 of a sigmoid; NaN for others."""
    dead: float
    """The share of the units of a ReLU that are 0 for all examples; NaN for others."""


@dataclass(frozen=True)
class Measured:
    """The numbers behind the figures of a report."""

    parameters: tuple[ParameterRow, ...]
    layers: tuple[LayerRow, ...]


def measure(case: Case) -> Measured:
    """Measure what can be measured."""
    try:
        gradients = case.backward.gradients
    except Unavailable:
        gradients = {}
    try:
        moved = case.working.moved
    except Unavailable:
        moved = {}
    rows = tuple(
        ParameterRow(name, _norm(gradients.get(name)), _norm(parameter), _norm(moved.get(name)))
        for name, parameter in case.model.named_parameters()
    )
    try:
        with case.fresh():
            layers = activations(case.model, case.batch[0])
    except (ValueError, TypeError, StopIteration):  # the model cannot take its inputs, which is a finding
        layers = {}
    return Measured(
        rows, tuple(LayerRow(name, *(values[of] for of in ACTIVATIONS)) for name, values in layers.items())
    )


def _norm(values: torch.Tensor | None) -> float:
    return math.nan if values is None else values.detach().float().norm().item()
