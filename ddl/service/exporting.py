"""A network as a file that runs without the code that it was written in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn


@dataclass(frozen=True)
class Exported:
    """What was written, and how it was checked."""

    path: Path
    """The file."""
    size: int
    """In bytes."""
    input_shape: tuple[int, ...]
    """Of one example, without the batch."""
    batch_sizes: tuple[int, ...]
    """For which the file's outputs were compared with the network's."""
    largest_difference: float
    """Between two outputs."""

    def __repr__(self) -> str:
        batches = ", ".join(map(str, self.batch_sizes))
        shape = ", ".join(map(str, ("batch", *self.input_shape)))
        return (
            f"{self.path.name}: [{self.size:,}] bytes, input ({shape}), outputs equal the network's in "
            f"batches of {batches} [largest difference {self.largest_difference:.1g}]"
        )


def export(module: nn.Module, example: torch.Tensor, path: str | os.PathLike[str]) -> Exported:
    """Write a network's computation and its parameters to a file, and check what the file computes.

    With ``torch.export``: operations are recorded, not code, for batches of any size, as in evaluation.

    Parameters
    ----------
    module
        Takes one tensor and returns one.
    example
        At least two examples of its input, shape (n, ...).
    path
        Where to write; by custom it ends in ``.pt2``.

    Returns
    -------
    Exported
        Size of the file and how well the outputs agree.

    Raises
    ------
    ValueError
        If there are fewer than two examples, or the outputs of the file differ from those of the network, as
        where it draws random numbers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = export(nn.Linear(3, 2), torch.randn(4, 3), Path(folder) / "line.pt2")
    ...     load(written.path)(torch.randn(7, 3)).shape
    torch.Size([7, 2])
    """
    if example.ndim < 2 or len(example) < 2:
        raise ValueError(f"example has shape {tuple(example.shape)}; give at least two examples, (n, ...)")
    n, modes = len(example), {part: part.training for part in module.modules()}
    module.eval()
    try:
        batch = torch.export.Dim("batch")
        torch.export.save(torch.export.export(module, (example,), dynamic_shapes=({0: batch},)), path)
        loaded, sizes, largest = load(path), (1, 2, n + 1, 5 * n), 0.0
        for size in sizes:
            x = example[torch.arange(size) % n]
            with torch.no_grad():
                wanted, found = module(x), loaded(x)
            if found.shape != wanted.shape or not torch.allclose(found, wanted, rtol=1e-4, atol=1e-5):
                raise ValueError(
                    f"in a batch of {size}, {Path(path).name} gives other outputs than the network; does it "
                    "draw random numbers, or depend on the batch?"
                )
            largest = max(largest, (found - wanted).abs().max().item())
    finally:
        for part, training in modes.items():
            part.training = training
    return Exported(Path(path), os.path.getsize(path), tuple(example.shape[1:]), sizes, largest)


def load(path: str | os.PathLike[str]) -> nn.Module:
    """Return the network in a file that :func:`export` has written; load only files that you trust.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    torch.nn.Module
        For predictions; it cannot be switched to training.
    """
    return torch.export.load(path).module()
