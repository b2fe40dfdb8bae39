"""What the tests of exercises ask of a verdict, and answers of unusual kinds."""

from __future__ import annotations

import torch
from torch import nn

from ddl.exercises import Verdict


def is_right(verdict):
    assert isinstance(verdict, Verdict)
    return verdict.right and verdict.attempted and str(verdict).startswith("✓ Right")


def assert_hint(verdict, words):
    """The answer is judged wrong, with these words."""
    assert isinstance(verdict, Verdict)
    assert (verdict.right, verdict.attempted) == (False, True), verdict
    assert words in verdict.message
    assert str(verdict) == f"✗ {verdict.message}"


def parameter(values):
    """Numbers that carry gradients, as those of a module do."""
    return nn.Parameter(torch.tensor(values))
