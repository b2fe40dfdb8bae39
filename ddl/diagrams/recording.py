"""Watch what a function does with tensors while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode

from ddl.diagrams.labels import operation_label

VIEWS = {"T", "mT", "H", "mH", "real", "imag"}
"""Properties of a tensor that are operations; all others only ask about it."""

BOOKKEEPING = {"requires_grad_", "retain_grad", "register_hook", "__set__"}
"""Methods that must act on the reader's tensor itself."""


@dataclass
class Use:
    """A tensor as an argument of one operation."""

    source: int
    edge: GradientEdge | None
    """Where the backward pass arrives from this operation alone."""
    in_place: bool = False
    """Whether the operation changes the tensor; then it has no edge of its own."""
    derivative: float | None = None


@dataclass
class Record:
    """One version of a tensor."""

    tensor: torch.Tensor
    kind: str
    operation: str = ""
    uses: list[Use] = field(default_factory=list)
    one_of_many: bool = False
    """Whether its operation has other results too."""
    value: torch.Tensor = field(init=False)
    edge: GradientEdge | None = field(init=False)

    def __post_init__(self) -> None:
        self.value = self.tensor.detach().clone()
        self.edge = get_gradient_edge(self.tensor) if self.tensor.requires_grad else None


class Recorder(TorchFunctionMode):
    """Sees every operation at the level at which the reader calls it: a loss is one, whatever it is made of.

    Each argument that carries gradients is handed on as a view of its own, so that the backward pass tells
    what comes back through each use of a tensor.
    """

    def __init__(self, open_linear: bool) -> None:
        super().__init__()
        self.open_linear = open_linear
        self.records: list[Record] = []
        self.latest: dict[int, int] = {}
        """Place of the newest version of a tensor by its identity, its own while records keep the tensor."""

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        owner = getattr(getattr(func, "__self__", None), "__name__", "")
        if name in BOOKKEEPING or (name == "__get__" and owner not in VIEWS):
            return func(*args, **kwargs)
        if self.open_linear and func is nn.functional.linear:
            given = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
            if given.get("bias") is not None:
                product = self._run(func, (given["input"], given["weight"]), {}, "matmul")
                return self._run(torch.add, (product, given["bias"]), {}, "+")
        return self._run(func, args, kwargs, operation_label(func, args))

    def leaf(self, tensor: torch.Tensor, kind: str) -> int:
        """Record a tensor that comes from outside, once; return its place."""
        if id(tensor) not in self.latest:
            self._add(Record(tensor, kind))
        place = self.latest[id(tensor)]
        if tensor.requires_grad and self.records[place].edge is None:  # asked for since it was recorded
            self.records[place].edge = get_gradient_edge(tensor)
        return place

    def _run(self, func: Callable, args: tuple, kwargs: dict, label: str) -> object:
        originals: dict[int, torch.Tensor] = {}
        uses: list[tuple[torch.Tensor, Use]] = []

        def lend(tensor: torch.Tensor) -> torch.Tensor:
            lent = tensor.view_as(tensor) if tensor.requires_grad and torch.is_grad_enabled() else tensor
            originals[id(lent)] = tensor
            place = self.leaf(tensor, "parameter" if tensor.requires_grad else "constant")
            uses.append((tensor, Use(place, get_gradient_edge(lent) if lent.requires_grad else None)))
            return lent

        lent_args, lent_kwargs = _mapped(lend, args), _mapped(lend, kwargs)
        versions = [tensor._version for tensor, _ in uses]
        result = func(*lent_args, **lent_kwargs)
        result = _mapped(lambda tensor: originals.get(id(tensor), tensor), result)
        changed = [
            tensor
            for (tensor, use), version in zip(uses, versions, strict=True)
            if tensor._version != version or not _same(tensor, self.records[use.source].value)
        ]
        given = list(tensors_in(result))
        for i, tensor in enumerate(given or changed):
            in_place = _is_in(tensor, changed)
            if not in_place and _is_in(tensor, [used for used, _ in uses]):
                continue  # the operation did nothing, as dropout does in evaluation
            # What an operation changes beside its result is its memory, as the running mean of batch norm.
            links = [
                Use(use.source, None, in_place=True) if used is tensor else Use(use.source, use.edge)
                for used, use in uses
                if used is tensor or not _is_in(used, changed)
            ]
            part = f" [{i}]" if len(given) > 1 else ""
            record = Record(tensor, "operation" if links else "constant", label + part, links, bool(part))
            for use in links:
                use.derivative = self._derivative(record, use)
            self._add(record)
        return result

    def _derivative(self, record: Record, use: Use) -> float | None:
        if record.value.numel() != 1 or self.records[use.source].value.numel() != 1:
            return None
        if use.edge is None or record.edge is None:
            return None
        ones = torch.ones_like(record.value)
        (found,) = torch.autograd.grad(record.tensor, [use.edge], ones, retain_graph=True, allow_unused=True)
        return None if found is None else found.item()

    def _add(self, record: Record) -> None:
        self.latest[id(record.tensor)] = len(self.records)
        self.records.append(record)


def _same(tensor: torch.Tensor, before: torch.Tensor) -> bool:
    """Return whether a tensor still has its values; some operations change their memory unannounced."""
    return tensor.requires_grad or tensor.equal(before) or bool(before.isnan().any())


def _is_in(tensor: torch.Tensor, tensors: list[torch.Tensor]) -> bool:
    return any(tensor is other for other in tensors)


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """Find the tensors in an argument or a result."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def _mapped(change: Callable[[torch.Tensor], torch.Tensor], value: object) -> object:
    """Return an argument or a result with its tensors changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(change, part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [_mapped(change, part) for part in value]
        if isinstance(value, torch.Size):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
