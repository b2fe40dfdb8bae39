"""Watching a piece of the reader's code: what it asks of the model, the loss and the optimiser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

LOSSES = frozenset(
    {
        "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss",
        "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "poisson_nll_loss", "gaussian_nll_loss",
        "multi_margin_loss", "soft_margin_loss", "multilabel_soft_margin_loss",
    }
)  # fmt: skip
"""PyTorch's functions that compare an output with targets."""

CUTS = {
    "detach": "detach()", "detach_": "detach_()", "numpy": "numpy()", "item": "item()", "tolist": "tolist()",
    "tensor": "torch.tensor(…)", "argmax": "argmax()", "round": "round()", "sign": "sign()",
}  # fmt: skip
"""Functions through which no gradient passes."""

PAIRED = frozenset(
    {"sub", "rsub", "add", "mul", "eq", "ne", "div", "true_divide", "gt", "lt", "ge", "le", "pow", "__eq__",
     "__sub__", "__rsub__", "__mul__", "__rmul__", "__ne__"}
)  # fmt: skip
"""Functions that compare two tensors number by number."""

DROPOUTS = frozenset(
    {"dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d"}
)

ACTIVATIONS = {
    "relu": "relu", "relu_": "relu", "relu6": "relu", "tanh": "tanh", "tanh_": "tanh", "sigmoid": "sigmoid",
    "sigmoid_": "sigmoid",
}  # fmt: skip
"""The activations whose dead or saturated units are counted, by the names of PyTorch's functions."""


@dataclass
class Forward:
    """One call of the model."""

    x: object
    training: tuple[str, ...]
    """The modules in it that behave otherwise in training and are in training mode."""
    evaluating: tuple[str, ...]
    """Those that are in evaluation mode."""
    records: bool
    """Whether gradients were recorded."""
    output: object = None


@dataclass
class Compared:
    """One call of a loss of PyTorch."""

    function: str
    output: torch.Tensor
    target: torch.Tensor
    options: dict[str, object]


@dataclass
class Seen:
    """What was seen while some code ran."""

    events: list[str] = field(default_factory=list)
    """``"forward"``, ``"loss"``, ``"backward"`` and ``"step"``, as they came."""
    forwards: list[Forward] = field(default_factory=list)
    losses: list[Compared] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    """Calls within the model through which no gradient passes."""
    outer_cuts: list[str] = field(default_factory=list)
    """Those outside it, before the gradients were computed."""
    broadcasts: list[str] = field(default_factory=list)
    """Shapes (n, 1) and (n,) that met outside the model."""
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)
    """Those that stepped."""
    gradients: dict[str, torch.Tensor | None] = field(default_factory=dict)
    """Of the parameters by name, when an optimiser stepped first; after the code if none did."""
    activations: list[tuple[str, str, torch.Tensor]] = field(default_factory=list)
    """Within the model: the module, the activation, and what it put out."""
    called: set[str] = field(default_factory=set)
    """The names of the modules that were called."""
    reached: bool = False
    """Whether some parameter had a gradient right after they were computed."""
    random: list[str] = field(default_factory=list)
    """Calls of dropout within the model that drop."""
    error: Exception | None = None
    returned: object = None


class Watch(TorchFunctionMode):
    """Writes down the functions of PyTorch that are called."""

    def __init__(self, seen: Seen, parameters: list[nn.Parameter], keep_activations: bool) -> None:
        super().__init__()
        self.parameters = parameters
        self.seen, self.keep_activations = seen, keep_activations
        self.modules: list[str] = []  # the modules that are being called, from the outside in

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Call the function and write it down."""
        kwargs = kwargs or {}
        name, seen = getattr(func, "__name__", ""), self.seen
        if name in LOSSES:  # written down before it may raise
            given = dict(zip(("input", "target"), args, strict=False)) | kwargs
            if isinstance(given.get("input"), torch.Tensor) and isinstance(given.get("target"), torch.Tensor):
                options = {key: value for key, value in given.items() if key not in ("input", "target")}
                seen.losses.append(Compared(name, given["input"], given["target"], options))
                seen.events.append("loss")
        result = func(*args, **kwargs)
        if name == "backward" or func is torch.autograd.grad:
            seen.events.append("backward")
            seen.reached = seen.reached or name == "grad" or any(p.grad is not None for p in self.parameters)
        elif name in CUTS or (name == "__get__" and _is_data(func)):
            if self.modules:
                seen.cuts.append(CUTS.get(name, ".data"))
            elif "backward" not in seen.events:
                seen.outer_cuts.append(CUTS.get(name, ".data"))
        elif name in PAIRED and not self.modules:
            self._pair(args)
        elif name in DROPOUTS and self.modules:
            drops = kwargs.get("training", args[2] if len(args) > 2 else True)
            if drops and kwargs.get("p", args[1] if len(args) > 1 else 0.5) > 0:
                seen.random.append(name)
        elif name in ACTIVATIONS and self.modules and self.keep_activations:
            # A copy: what follows may change it in place.
            seen.activations.append((self.modules[-1], ACTIVATIONS[name], result.detach().clone()))
        return result

    def _pair(self, args: tuple) -> None:
        shapes = sorted((tuple(a.shape) for a in args[:2] if isinstance(a, torch.Tensor)), key=len)
        if len(shapes) == 2 and len(shapes[0]) == 1 and shapes[1] == (*shapes[0], 1) and shapes[0][0] > 1:
            self.seen.broadcasts.append(f"{shapes[1]} with {shapes[0]}")


def _is_data(function: Callable) -> bool:
    return getattr(getattr(function, "__self__", None), "__name__", "") == "data"


def differing(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that behave otherwise in training than in evaluation: dropout, batch norm."""
    return {
        name or type(module).__name__: module
        for name, module in model.named_modules()
        if (isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0)
        or isinstance(module, nn.modules.batchnorm._BatchNorm)
        or (isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0)
    }


@contextlib.contextmanager
def watching(model: nn.Module, *, activations: bool = False) -> Iterator[Seen]:
    """Watch what is done in the block; errors in it are written down and not raised.

    Parameters
    ----------
    model
        Its calls are written down.
    activations
        Whether to keep what its activations put out.
    """
    seen = Seen()
    watch = Watch(seen, list(model.parameters()), activations)
    named, other = dict(model.named_modules()), differing(model)
    handles = []

    def enter(name: str, module: nn.Module, args: tuple) -> None:
        watch.modules.append(name)
        seen.called.add(name)
        if module is model:
            modes = {True: [], False: []}
            for label, part in other.items():
                modes[part.training].append(label)
            seen.events.append("forward")
            seen.forwards.append(
                Forward(
                    args[0] if args else None,
                    tuple(modes[True]),
                    tuple(modes[False]),
                    torch.is_grad_enabled(),
                )
            )

    def leave(module: nn.Module, output: object) -> None:
        if watch.modules:
            watch.modules.pop()
        if module is model and seen.forwards:
            seen.forwards[-1].output = output

    def gradients() -> dict[str, torch.Tensor | None]:
        return {
            name: None if parameter.grad is None else parameter.grad.detach().clone()
            for name, parameter in model.named_parameters()
        }

    def stepping(optimizer: torch.optim.Optimizer, *_: object) -> None:
        if not any(optimizer is known for known in seen.optimizers):
            seen.optimizers.append(optimizer)
        if "step" not in seen.events:
            seen.gradients = gradients()
        seen.events.append("step")

    for name, module in named.items():
        handles.append(module.register_forward_pre_hook(lambda m, a, name=name: enter(name, m, a)))
        handles.append(module.register_forward_hook(lambda m, a, output: leave(m, output), always_call=True))
    handles.append(register_optimizer_step_pre_hook(stepping))
    try:
        with watch:
            yield seen
    except Exception as error:  # whatever the reader's code raises is a finding
        seen.error = error
    finally:
        for handle in handles:
            handle.remove()
        if "step" not in seen.events:
            seen.gradients = gradients()
