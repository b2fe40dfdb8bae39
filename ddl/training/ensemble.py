"""Many models of one shape, trained as one."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence

import torch
from torch import nn
from torch.func import functional_call, vmap

from ddl.models import Heaviside

PREFIX = "stacked."
"""What the names of a member's parameters begin with in the ensemble."""

ELEMENTWISE = (
    nn.CELU,
    nn.Dropout,
    nn.ELU,
    nn.GELU,
    nn.Hardtanh,
    nn.Identity,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Softsign,
    nn.Tanh,
    nn.Tanhshrink,
    Heaviside,
)
"""Modules that do the same to one number wherever it stands, so that a member axis does not matter."""


MOST_WEIGHTS = 65536
"""Members with a larger weight matrix than this are trained one by one."""

MOST_ACTIVATIONS = 65536
"""Members with a layer whose outputs for one batch are more numbers than this are trained one by one."""

SETTINGS = (bool, int, float, complex, str, bytes, tuple, type, type(None), Callable, torch.dtype)
"""Types of attributes that can be compared."""


class Ensemble(nn.Module):
    """Many models of one shape as one module, for :func:`ddl.fit` to train them all at once.

    Each member keeps its own parameters and buffers, stacked along a new first axis, and learns exactly as it
    would alone: the losses of the members are summed, never averaged, so that no gradient depends on another
    member. For small models this is many times faster, since a step of PyTorch costs about the same for
    sixty-four of them as for one.

    Parameters
    ----------
    models
        At least one module; all of the same shape, that is of the same classes with the same settings and the
        same names, shapes and dtypes of parameters and buffers. They are copied.
    batched
        Whether all members go through PyTorch together. Default: where they can and it pays, see the notes.
        False: one after the other. True: it is an error if they cannot.

    Attributes
    ----------
    members : int
        Number of members.
    batched : bool or None
        As given.

    Raises
    ------
    TypeError
        If ``models`` holds anything else than modules.
    ValueError
        If there are none, or their shapes differ.

    Notes
    -----
    Stacks of linear layers and elementwise functions go through batched matrix products, all other models
    through :func:`torch.func.vmap`. Where a single step takes long there is nothing to gain from taking many
    at once, and the larger tensors no longer fit into the processor's caches. Measured with Adam on one core,
    64 members are 16 times faster than one by one with layers of 16 units and 32 examples a step, 6 times
    with 256 examples, 3 times with 128 units and 32 examples; with 256 units and 256 examples they are even,
    with 128 units and 1024 examples a fifth slower.

    Without ``batched``, :func:`ddl.fit` therefore takes members one by one that have a weight matrix of more
    than 65536 numbers (256 × 256), or a layer with more than 65536 outputs for one batch. So it does where
    members have different numbers of examples, where an optimiser that it does not know might mix the members
    that share a tensor, and where vmap refuses the model.

    Examples
    --------
    >>> import ddl
    >>> ensemble = Ensemble([ddl.models.MLP((2, 16, 2), seed=seed) for seed in range(8)])
    >>> moons = ddl.datasets.moons(100, rng=ddl.rng(1))
    >>> history = ddl.fit(
    ...     ensemble, moons, loss=nn.CrossEntropyLoss(), epochs=5, lr=0.1, metrics="accuracy"
    ... )
    >>> history["loss"].shape
    (5, 8)
    >>> ensemble(moons.x).shape
    torch.Size([8, 100, 2])
    >>> ensemble.member(3)
    MLP(
      2 → 16 → 2, 82 parameters
      (hidden1): Linear(in_features=2, out_features=16, bias=True)
      (activation1): Tanh()
      (output): Linear(in_features=16, out_features=2, bias=True)
    )
    """

    def __init__(self, models: Sequence[nn.Module], *, batched: bool | None = None) -> None:
        super().__init__()
        models = list(models)
        check_models(models)
        # In a tuple, so that it is not taken for a part of this module.
        self._template = (copy.deepcopy(models[0]),)
        self.stacked = copy.deepcopy(models[0])
        self.members = len(models)
        values = [_tensors(model) for model in models]
        for name, tensor in _tensors(self.stacked).items():
            tensor.data = torch.stack([of_one[name].detach() for of_one in values]).contiguous()
        self.batched = batched

    def __len__(self) -> int:
        return self.members

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs of all members for the same inputs (n, …), shape (members, n, …)."""
        return self.outputs(x, each=False)

    def outputs(self, x: torch.Tensor, *, each: bool) -> torch.Tensor:
        """Return the outputs of all members.

        Parameters
        ----------
        x
            Inputs, shape (n, …); or (members, n, …).
        each
            Whether each member has inputs of its own, which is the second of these shapes.

        Returns
        -------
        torch.Tensor
            Shape (members, n, …).
        """
        if self.batched is False:
            inputs = x if each else [x] * self.members
            return torch.stack([self._of_one(self.state_of(i), inputs[i]) for i in range(self.members)])
        layers = _layers(self.stacked) if x.ndim == 2 + each else None
        if layers is None:
            return vmap(self._of_one, in_dims=(0, 0 if each else None), randomness="different")(
                _tensors(self.stacked), x
            )
        if not each:
            x = x.expand(self.members, -1, -1)
        for layer in layers:
            x = _linear(layer, x) if isinstance(layer, nn.Linear) else layer(x)
        return x

    def _of_one(self, state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Return the output of a member with these parameters and buffers."""
        return functional_call(self.stacked, state, (x,))

    def state_of(self, index: int) -> dict[str, torch.Tensor]:
        """Return views of one member's parameters and buffers, by the names that they have in a member."""
        return {name: values[index] for name, values in _tensors(self.stacked).items()}

    def member(self, index: int) -> nn.Module:
        """Return one member as an ordinary module, with copies of its parameters and buffers.

        Raises
        ------
        IndexError
            If there is no such member.
        """
        if not -self.members <= index < self.members:
            raise IndexError(f"member {index} of {self.members}; they are counted from 0")
        module = copy.deepcopy(self._template[0])
        self.copy_to(module, index)
        for ours, theirs in zip(self.stacked.modules(), module.modules(), strict=True):
            theirs.training = ours.training
        return module

    def copy_to(self, model: nn.Module, index: int) -> None:
        """Give a model of the members' shape the parameters and buffers of one of them, on their device."""
        _set(model, {name: values.clone() for name, values in self.state_of(index).items()})

    def views(self) -> list[nn.Module]:
        """Return the members as modules in the memory of the ensemble: training one changes it."""
        modules = [copy.deepcopy(self._template[0]) for _ in range(self.members)]
        for index, module in enumerate(modules):
            _set(module, self.state_of(index))
        return modules

    def __iter__(self) -> Iterator[nn.Module]:
        return (self.member(index) for index in range(self.members))

    def extra_repr(self) -> str:
        """Return the number of members, for ``repr``."""
        return f"{self.members} members"


def state_of_member(state: dict[str, torch.Tensor], index: int) -> dict[str, torch.Tensor]:
    """Return what an ensemble's ``state_dict`` holds of one member, by the names that they have there."""
    return {name.removeprefix(PREFIX): values[index] for name, values in state.items()}


def shape(model: nn.Module) -> Hashable:
    """Return what two models must have in common to be members of one ensemble.

    The class and the settings of each of their modules, and name, shape and dtype of all parameters and
    buffers. Settings are the attributes that can be compared: numbers, strings, functions and the like.
    """
    modules = tuple(
        (
            name,
            type(module),
            module.extra_repr(),
            tuple(
                (key, value)
                for key, value in sorted(vars(module).items())
                if not key.startswith("_") and isinstance(value, SETTINGS)
            ),
        )
        for name, module in model.named_modules()
    )
    tensors = tuple(
        (name, tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad)
        for name, tensor in _tensors(model).items()
    )
    return modules, tensors


def check_is_module(number: int, model: nn.Module) -> None:
    """Refuse one of several models that is none."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model {number} is {model!r}; give instances of nn.Module")


def check_models(models: Sequence[nn.Module]) -> None:
    """Refuse what is no list of modules of one shape, and say where the first two of them differ."""
    if not models:
        raise ValueError("models is empty; give at least one module")
    for number, model in enumerate(models):
        check_is_module(number, model)
    first = shape(models[0])
    for number, model in enumerate(models):
        for ours, theirs in zip(first, shape(model), strict=True):
            different = [pair for pair in itertools.zip_longest(ours, theirs) if pair[0] != pair[1]]
            if different:
                raise ValueError(
                    f"model {number} is of another shape than model 0: {different[0][1]} instead of "
                    f"{different[0][0]}; ddl.fit_many makes one ensemble for each shape"
                )


def pays(model: nn.Module, x: torch.Tensor, rows: int) -> bool:
    """Return whether members like this one are trained faster as one than one after the other.

    Parameters
    ----------
    model
        A single member.
    x
        A few inputs.
    rows
        Number of examples of a batch.
    """
    if any(parameter.numel() > MOST_WEIGHTS for parameter in model.parameters()):
        return False
    most = 0

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal most
        if isinstance(output, torch.Tensor):
            most = max(most, output.numel() // len(x))

    with contextlib.ExitStack() as hooks, torch.no_grad():
        for module in model.modules():
            hooks.callback(module.register_forward_hook(count).remove)
        model(x)
    return most * rows <= MOST_ACTIVATIONS


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters and buffers by name."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _set(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Let the parameters and buffers of a module be these tensors."""
    for name, tensor in _tensors(module).items():
        tensor.data = state[name].detach()


def _layers(module: nn.Module) -> list[nn.Module] | None:
    """Return the layers of a stack of linear maps and elementwise functions; None if it is something else.

    Exactly these classes: one that is derived from them may do something else.
    """
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    if type(module) is nn.Linear or type(module) in ELEMENTWISE:
        return [module]
    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        return None
    parts = [_layers(part) for part in module.children()]
    return None if None in parts else list(itertools.chain(*parts))


def _linear(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """Apply linear layers with stacked weights to inputs (members, n, inputs)."""
    weight = layer.weight.mT
    if layer.bias is None:
        return torch.bmm(x, weight)
    return torch.baddbmm(layer.bias.unsqueeze(1), x, weight)
