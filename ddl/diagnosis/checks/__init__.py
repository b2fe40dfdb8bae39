"""The checks: each looks at a case and returns what it found, if anything."""

from ddl.diagnosis.checks import steps

ALL = (*steps.CHECKS,)
"""All checks, in the order in which they are made."""

__all__ = ["ALL"]
