"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


def facts(packages: Iterable[str]) -> dict[str, Any]:
    """Return what the machine is, and the versions of some packages; None for what is not installed."""
    return {
        "processor": processor(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "load": load(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def processor() -> str:
    """Return what the processor calls itself."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", path.read_text(), flags=re.MULTILINE)
        if named:
            return named[1]
    return platform.processor() or platform.machine()


def load() -> float | None:
    """Return how many processes wanted to run in the last minute, where the system says so."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def version(name: str) -> str | None:
    """Return the version of an installed package; None if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
