"""Leaving no trace: everything that a training step may change is remembered and put back."""

from __future__ import annotations

import collections
import functools
import random
import types
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

Container = list | dict | set | collections.deque

LARGEST_TENSOR = 100_000
"""Tensors that functions close over are remembered up to this many numbers; larger ones are data."""

LIBRARIES = ("builtins", "matplotlib", "numpy", "pandas", "sklearn", "torch", "tqdm")
"""What functions of these change besides their arguments is the global random state at most."""

DEEPEST = 3
"""How far is followed what a function uses: functions, objects and their attributes."""


class TensorState:
    """A tensor's memory and values, its gradient, and whether it wants one."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor, self.data, self.values = tensor, tensor.data, tensor.detach().clone()
        self.wants = tensor.requires_grad
        self.gradient = tensor.grad if tensor.is_leaf else None
        self.gradient_values = None if self.gradient is None else self.gradient.detach().clone()

    def restore(self, gradients: bool = True) -> None:
        """Put it back; leave the gradient as it is if asked to."""
        if self.tensor.data_ptr() != self.data.data_ptr() or self.tensor.shape != self.data.shape:
            self.tensor.data = self.data
        if not self.tensor.is_inference():
            self.data.copy_(self.values)
        if self.tensor.is_leaf:
            self.tensor.requires_grad_(self.wants)
            if gradients:
                self.tensor.grad = self.gradient
                if self.gradient is not None:
                    self.gradient.data.copy_(self.gradient_values)


class ContentState:
    """What stands in a list, a dictionary, a set or a deque."""

    def __init__(self, container: Container) -> None:
        self.container, self.content = container, container.copy()

    def restore(self) -> None:
        """Put it back."""
        if isinstance(self.container, list):
            self.container[:] = self.content
        elif isinstance(self.container, collections.deque):
            self.container.clear()
            self.container.extend(self.content)
        else:
            self.container.clear()
            self.container.update(self.content)


class BindingState:
    """What a name of a function's surroundings stands for."""

    def __init__(self, get: Callable[[], object], put: Callable[[object], None]) -> None:
        self.get, self.put, self.value = get, put, get()

    def restore(self) -> None:
        """Put it back."""
        if self.get() is not self.value:
            self.put(self.value)


class GeneratorState:
    """The state of a source of random numbers."""

    def __init__(self, generator: torch.Generator | np.random.Generator | random.Random) -> None:
        self.generator = generator
        if isinstance(generator, torch.Generator):
            self.state = generator.get_state()
        elif isinstance(generator, random.Random):
            self.state = generator.getstate()
        else:
            self.state = generator.bit_generator.state

    def restore(self) -> None:
        """Put it back."""
        if isinstance(self.generator, torch.Generator):
            self.generator.set_state(self.state)
        elif isinstance(self.generator, random.Random):
            self.generator.setstate(self.state)
        else:
            self.generator.bit_generator.state = self.state


class GlobalState:
    """The global random states, and whether gradients are recorded."""

    def __init__(self) -> None:
        self.torch, self.numpy, self.python = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
        self.cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        self.records = torch.is_grad_enabled()

    def restore(self) -> None:
        """Put them back."""
        torch.set_rng_state(self.torch)
        np.random.set_state(self.numpy)  # noqa: NPY002 - the reader's own state
        random.setstate(self.python)
        if self.cuda is not None:
            torch.cuda.set_rng_state_all(self.cuda)
        torch.set_grad_enabled(self.records)


def seed_torch(seed: int) -> None:
    """Set PyTorch's global random states; without a GPU many times faster than ``torch.manual_seed``."""
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def seed_everything(seed: int) -> None:
    """Set the global random states."""
    seed_torch(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the reader's step may draw from it
    random.seed(seed)


class Snapshot:
    """Everything that the functions given may change, as it is now.

    Parameters
    ----------
    model
        Its parameters, buffers, gradients, modes, hooks and attributes are remembered.
    *others
        Optimisers, loaders, and functions: what they close over or use of their module is followed.

    Notes
    -----
    What functions reach by other ways (files, attributes of attributes of objects) is not seen.
    """

    def __init__(self, model: nn.Module, *others: object) -> None:
        self.tensors: dict[int, TensorState] = {}
        self.parts: list[ContentState | BindingState | GeneratorState | GlobalState] = [GlobalState()]
        self.optimizers: list[torch.optim.Optimizer] = []
        self._seen: dict[int, object] = {}  # holds what was seen, so that no number is used again
        for thing in (model, *others):
            self.add(thing)

    def add(self, thing: object, depth: int = 0) -> None:
        """Remember one more thing, and what belongs to it."""
        if id(thing) in self._seen or depth > DEEPEST or thing is None:
            return
        self._seen[id(thing)] = thing
        if isinstance(thing, torch.Tensor):
            if thing.is_leaf and (thing.requires_grad or thing.numel() <= LARGEST_TENSOR):
                self.tensors[id(thing)] = TensorState(thing)
        elif isinstance(thing, nn.Module):
            self._add_module(thing)
        elif isinstance(thing, torch.optim.Optimizer):
            self._add_optimizer(thing)
        elif isinstance(thing, torch.Generator | np.random.Generator | random.Random):
            self.parts.append(GeneratorState(thing))
        elif isinstance(thing, functools.partial):
            self._add_all([thing.func, *thing.args, *thing.keywords.values()], depth)
        elif isinstance(thing, types.MethodType):
            self._add_all([thing.__func__, thing.__self__], depth)
        elif isinstance(thing, types.FunctionType):
            self._add_function(thing, depth)
        elif isinstance(thing, list | dict | set | collections.deque):
            self.parts.append(ContentState(thing))
            self._add_all(list(thing.values()) if isinstance(thing, dict) else list(thing)[:1000], depth)
        elif isinstance(thing, tuple):
            self._add_all(thing, depth)
        elif _is_plain_object(thing):
            self._add_attributes(thing, depth)

    def restore(self, *, gradients: bool = True) -> None:
        """Put everything back; gradients only if asked to."""
        for part in self.parts:
            part.restore()
        for tensor in self.tensors.values():
            tensor.restore(gradients)

    def _add_all(self, things: Iterable[object], depth: int) -> None:
        for thing in things:
            self.add(thing, depth + 1)

    def _add_module(self, module: nn.Module) -> None:
        for part in module.modules():
            self._seen[id(part)] = part
            # The dictionaries of parameters, buffers and hooks are among the attributes.
            self._add_attributes(part, 0)
        for tensor in (*module.parameters(), *module.buffers()):
            self._seen[id(tensor)] = tensor
            self.tensors.setdefault(id(tensor), TensorState(tensor))

    def _add_attributes(self, thing: object, depth: int) -> None:
        self.parts.append(ContentState(vars(thing)))
        self._add_all(vars(thing).values(), depth)

    def _add_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizers.append(optimizer)
        self.parts.append(ContentState(vars(optimizer)))
        for value in vars(optimizer).values():
            if isinstance(value, dict):
                self.parts.append(ContentState(value))
        self.parts.append(ContentState(optimizer.param_groups))
        for group in optimizer.param_groups:
            self.parts.append(ContentState(group))
            self.parts.append(ContentState(group["params"]))
            for tensor in group["params"]:
                self.tensors.setdefault(id(tensor), TensorState(tensor))
            self._add_all((value for name, value in group.items() if name != "params"), 0)
        for state in optimizer.state.values():
            if isinstance(state, dict):
                self.parts.append(ContentState(state))
                for value in state.values():
                    if isinstance(value, torch.Tensor):
                        self.tensors.setdefault(id(value), TensorState(value))
                    else:
                        self.add(value)

    def _add_function(self, function: types.FunctionType, depth: int) -> None:
        if (function.__module__ or "").split(".")[0] in LIBRARIES:
            return
        for cell in function.__closure__ or ():
            if _is_filled(cell):
                self._bind(
                    functools.partial(getattr, cell, "cell_contents"),
                    functools.partial(setattr, cell, "cell_contents"),
                    depth,
                )
        names = function.__globals__
        for name in _names(function.__code__):
            if name in names:
                self._bind(
                    functools.partial(names.__getitem__, name),
                    functools.partial(names.__setitem__, name),
                    depth,
                )

    def _bind(self, get: Callable[[], object], put: Callable[[object], None], depth: int) -> None:
        self.parts.append(BindingState(get, put))
        self.add(get(), depth + 1)


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asked for to see whether there is something
    except ValueError:  # a name that is not bound yet
        return False
    return True


def _names(code: types.CodeType) -> set[str]:
    """Return the names that a function and those in it use."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _is_plain_object(thing: object) -> bool:
    """Return whether it is an object with attributes, and no class, module or function itself."""
    return (
        hasattr(thing, "__dict__")
        and not isinstance(thing, type | types.ModuleType | types.BuiltinFunctionType)
        and isinstance(vars(thing), dict)
        and not type(thing).__module__.startswith(("builtins", "numpy", "pandas"))
    )
