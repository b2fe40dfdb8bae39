"""Mistakes in measuring: modes, leaks, and what cannot be repeated."""

from .entry import Bug

EVALUATION: tuple[Bug, ...] = ()
