"""The checks: each looks at a case and returns what it found, if anything."""

from ddl.diagnosis.checks import (
    alignment,
    evaluating,
    first_loss,
    gradients,
    inputs,
    learning,
    loading,
    losses,
    outputs,
    steps,
)

ALL = (
    *inputs.CHECKS,
    *alignment.CHECKS,
    *loading.CHECKS,
    *outputs.CHECKS,
    *losses.CHECKS,
    *first_loss.CHECKS,
    *steps.CHECKS,
    *gradients.CHECKS,
    *learning.CHECKS,
    *evaluating.CHECKS,
)
"""All checks, in the order in which they are made."""

__all__ = ["ALL"]
