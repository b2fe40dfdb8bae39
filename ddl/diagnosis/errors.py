"""What keeps a measurement from being made."""

from __future__ import annotations


class Unavailable(Exception):
    """A measurement cannot be made; the text says why."""


def describe(error: Exception) -> str:
    """Return kind and message of an error."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
