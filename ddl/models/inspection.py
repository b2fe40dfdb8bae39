"""What a model costs, and what its routers do."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ddl.checks import generator, whole_number
from ddl.models.densities import Constant
from ddl.models.experts import Experts
from ddl.models.routing import Routing
from ddl.models.sparse import MixtureOfExperts

WITHOUT_PRODUCTS = (
    nn.Embedding, nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._BatchNorm, nn.PReLU, Constant,
)  # fmt: skip
"""Modules with parameters that multiply no matrices."""


class Cost(NamedTuple):
    """The size of a model and its work for one example."""

    parameters: int
    """All that can be learned."""
    active: int
    """Without those of the experts that an example is not sent to."""
    flops: int
    """Floating-point operations of the matrix products for one example: two for each multiply-add."""


def cost(module: nn.Module) -> Cost:
    """Count the parameters of a model, those that take part in one example, and its operations.

    Parameters
    ----------
    module
        Any nesting of linear layers, embeddings, norms, activations, :class:`MixtureOfExperts` and the other
        modules of the book. Each part is taken to be applied once to each example (to each token, where the
        examples are tokens).

    Returns
    -------
    Cost
        The counts. Biases, norms, activations and the choice of the experts are not among the operations, nor
        are products of activations with each other, as in attention. A router counts; noise does not.

    Raises
    ------
    TypeError
        If a part has parameters and is of another kind.

    Examples
    --------
    >>> from ddl.models import MLP
    >>> cost(MLP((64, 128, 64)))
    Cost(parameters=16576, active=16576, flops=32768)
    >>> cost(MixtureOfExperts((64, 128, 64), experts=8, top_k=1))  # eight such networks and a router
    Cost(parameters=133120, active=17088, flops=33792)
    """
    idle, flops = _idle_and_flops(module)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Cost(parameters, parameters - idle, flops)


def _idle_and_flops(module: nn.Module) -> tuple[int, int]:
    """Return the number of parameters that one example does not use, and the operations for it."""
    if isinstance(module, nn.Linear):
        return 0, 2 * module.in_features * module.out_features
    if isinstance(module, Experts):
        return 0, module.count * module.flops_each
    if isinstance(module, MixtureOfExperts):
        experts, idle = module.experts, module.experts.count - module.top_k
        parts = [_idle_and_flops(part) for part in (module.router, module.shared) if part is not None]
        only_in_training = 0 if module.noise_router is None else module.noise_router.weight.numel()
        flops = module.top_k * experts.flops_each + sum(flops for _, flops in parts)
        return idle * experts.parameters_each + only_in_training, flops
    if next(module.parameters(recurse=False), None) is not None and not isinstance(module, WITHOUT_PRODUCTS):
        raise TypeError(
            f"cannot count the operations of {type(module).__name__}, which has parameters of its own; "
            "make it of linear layers, embeddings and norms"
        )
    parts = [_idle_and_flops(part) for part in module._modules.values() if part is not None]
    return sum(idle for idle, _ in parts), sum(flops for _, flops in parts)


def routings(model: nn.Module, x: torch.Tensor) -> dict[str, Routing]:
    """Return what the routers of a model do with some inputs.

    Parameters
    ----------
    model
        A module with :class:`MixtureOfExperts` anywhere inside, or one itself. It is used in evaluation mode,
        without gradients, and left as it is.
    x
        Its inputs.

    Returns
    -------
    dict of str to Routing
        For each such layer, by its name in the model, in the order of the calls; of a layer that is called
        several times, the last one.

    Raises
    ------
    ValueError
        If the model has no such layer.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 8), MixtureOfExperts((8, 16, 3), experts=4))
    >>> routings(model, torch.randn(50, 2))
    {'1': Routing(50 examples to 2 of 4 experts)}
    """
    layers = {name: part for name, part in model.named_modules() if isinstance(part, MixtureOfExperts)}
    if not layers:
        raise ValueError(f"{type(model).__name__} holds no MixtureOfExperts, so it has no router to look at")
    found: dict[str, Routing] = {}
    modes = {module: module.training for module in model.modules()}
    with contextlib.ExitStack() as hooks, torch.no_grad():
        for name, layer in layers.items():

            def look(layer: MixtureOfExperts, inputs: tuple[torch.Tensor], name: str = name) -> None:
                found[name] = layer.route(inputs[0])

            hooks.callback(layer.register_forward_pre_hook(look).remove)
        try:
            model.eval()
            model(x)
        finally:
            for module, training in modes.items():
                module.training = training
    return found


class MutualInformation(NamedTuple):
    """How much the choice of an expert says of a label, in nats."""

    value: float
    """The plug-in estimate, from the frequencies of the pairs."""
    shuffled: float
    """The mean of the same with the labels shuffled among the examples: what chance alone gives."""
    most: float
    """The entropy of the labels: what it would be if the expert told the label."""


def mutual_information(
    experts: torch.Tensor, labels: torch.Tensor, *, rng: np.random.Generator, shuffles: int = 20
) -> MutualInformation:
    """Measure how far experts are specialised in labels such as classes, positions or languages.

    Parameters
    ----------
    experts
        Which expert each example went to, whole numbers of the shape (…) of the labels; or (…, k) with
        several choices, which then all count.
    labels
        Whole numbers, shape (…).
    rng
        Source of the shuffles.
    shuffles
        How many.

    Returns
    -------
    MutualInformation
        Computed by scikit-learn's ``mutual_info_score``.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are no examples.

    Examples
    --------
    >>> labels = torch.arange(300) % 3
    >>> told = mutual_information(labels, labels, rng=np.random.default_rng(0))
    >>> f"{told.value:.3f} of {told.most:.3f}"
    '1.099 of 1.099'
    """
    from sklearn.metrics import mutual_info_score

    generator(rng)
    whole_number("shuffles", shuffles, at_least=1)
    experts, labels = (torch.as_tensor(values).numpy(force=True) for values in (experts, labels))
    if experts.shape[: labels.ndim] != labels.shape or experts.ndim > labels.ndim + 1 or not labels.size:
        raise ValueError(
            f"experts have shape {experts.shape} and labels {labels.shape}; give one label for each example, "
            "and for each example one expert or k of them"
        )
    labels = labels.ravel()
    experts = experts.reshape(len(labels), -1)

    def score(labels: np.ndarray) -> float:
        return float(mutual_info_score(np.repeat(labels, experts.shape[1]), experts.ravel()))

    shuffled = float(np.mean([score(rng.permutation(labels)) for _ in range(shuffles)]))
    return MutualInformation(score(labels), shuffled, float(mutual_info_score(labels, labels)))
