"""The sparse mixture of experts: a layer of which each example uses a few parts only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from ddl.checks import size, whole_number
from ddl.models.experts import Experts
from ddl.models.feedforward import MLP, seeded
from ddl.models.routing import Routing, places_in_order


class MixtureOfExperts(nn.Module):
    """A layer of E small networks, of which a router chooses k for each example.

    With the router's logits h = W x and probabilities p = softmax(h), the output is Σ p_e · expert_e(x) over
    the k experts with the largest probabilities. The parameters grow with E, the work for an example with k.

    Parameters
    ----------
    sizes
        Width of each layer of an expert, as :class:`MLP` takes them: (d, …, d_out).
    experts
        Number of experts E.
    top_k
        Number of experts k that an example goes to.
    activation
        What makes the activation of the experts; elementwise and without parameters.
    renormalize
        Whether the k weights of an example are divided by their sum. This is the softmax over the k largest
        logits alone, as in Shazeer et al. With k = 1 the weight is then always 1, so that the router learns
        nothing from the task. Default: they are probabilities among all E, as in the Switch Transformer.
    noise
        Standard deviation of normal noise that is added to the logits in training mode, drawn from PyTorch's
        global state; or ``"learned"`` for softplus(V x), one for each expert and example, with a matrix V
        that is learned (Shazeer et al., equation 4).
    capacity_factor
        An expert takes at most C = ⌈factor · k · n / E⌉ of n examples, in training and in evaluation. All
        first choices come before all second choices, and so on; within them, earlier examples come first.
        Who finds no place is dropped: that choice contributes zero, and the other weights do not change. That
        x itself goes past the layer, as in x + layer(x), is left to the caller. Default: no limit.
    shared
        Number of experts that every example goes to besides, with weight 1 (Dai et al.).
    balance, z
        Weights of :attr:`Routing.balance_loss` and :attr:`Routing.z_loss` in training; see the notes.
    seed
        Seed of the initial weights; the global random state is then neither used nor changed. Default: draw
        from the global state.

    Attributes
    ----------
    router : torch.nn.Linear
        From d to E, without bias.
    noise_router : torch.nn.Linear or None
        V, zero at first; None unless the noise is learned.
    experts : Experts
        The experts, with stacked weights.
    shared : MLP or None
        The shared experts side by side in one network: their outputs are added up.

    Raises
    ------
    TypeError
        If a number is of the wrong kind.
    ValueError
        If a number is out of range, such as ``top_k`` above ``experts``.

    Notes
    -----
    A loss such as ``loss(output, y)`` sees nothing of the routing. The layer therefore adds the auxiliary
    losses on the way back: in training mode, the gradient of ``balance * balance_loss + z * z_loss`` is
    added, with factor 1, to the gradient of whatever is computed from the output. The loss that is reported
    stays that of the task. The same by hand, with ``balance=0`` in the layer::

        routing = layer.route(x)
        loss = task(layer.mix(x, routing), y) + 0.01 * routing.balance_loss

    All examples that one call receives compete for the places, and are counted in the losses, whatever the
    leading shape. Without a limit, each expert is given as many places as the fullest one needs, so that a
    router that sends everything to one expert makes the layer E/k times slower.

    References
    ----------
    N. Shazeer et al., Outrageously large neural networks: the sparsely-gated mixture-of-experts layer,
    *ICLR*, 2017. W. Fedus, B. Zoph and N. Shazeer, Switch Transformers, *JMLR* 23, 2022. D. Dai et al.,
    DeepSeekMoE, *ACL*, 2024.

    Examples
    --------
    >>> layer = MixtureOfExperts((16, 32, 16), experts=8, top_k=2, balance=0.01, seed=0)
    >>> x = torch.randn(4, 10, 16)  # 4 texts of 10 tokens: 40 examples
    >>> layer(x).shape
    torch.Size([4, 10, 16])
    >>> layer.route(x)
    Routing(40 examples to 2 of 8 experts)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        experts: int,
        top_k: int = 2,
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        renormalize: bool = False,
        noise: float | Literal["learned"] = 0.0,
        capacity_factor: float | None = None,
        shared: int = 0,
        balance: float = 0.0,
        z: float = 0.0,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if whole_number("top_k", top_k, at_least=1) > whole_number("experts", experts, at_least=1):
            raise ValueError(f"top_k is {top_k} of {experts} experts; it can be at most {experts}")
        if noise != "learned":
            size("noise", noise, zero=True)
        if capacity_factor is not None:
            size("capacity_factor", capacity_factor)
        size("balance", balance, zero=True)
        size("z", z, zero=True)
        shared = whole_number("shared", shared, at_least=0)
        self.top_k, self.renormalize, self.noise = top_k, bool(renormalize), noise
        self.capacity_factor, self.balance, self.z = capacity_factor, balance, z
        with seeded(seed):
            self.experts = Experts(experts, sizes, activation)
            sizes = self.experts.sizes
            self.router = nn.Linear(sizes[0], experts, bias=False)
            side_by_side = (sizes[0], *(shared * width for width in sizes[1:-1]), sizes[-1])
            self.shared = MLP(side_by_side, activation) if shared else None
            self.noise_router = nn.Linear(sizes[0], experts, bias=False) if noise == "learned" else None
        if self.noise_router is not None:
            nn.init.zeros_(self.noise_router.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (…, d_out) of inputs (…, d)."""
        routing = self.route(x)
        output = self.mix(x, routing)
        if self.training and (self.balance or self.z):
            output = _WithGradientOf.apply(
                output, self.balance * routing.balance_loss + self.z * routing.z_loss
            )
        return output

    def route(self, x: torch.Tensor) -> Routing:
        """Decide which experts each example goes to; nothing is remembered.

        Parameters
        ----------
        x
            Inputs, shape (…, d).

        Returns
        -------
        Routing
            The choices with their weights, computed in single precision at least.

        Raises
        ------
        ValueError
            If x has another width.
        """
        if x.ndim < 1 or x.shape[-1] != self.experts.sizes[0]:
            raise ValueError(f"x has shape {tuple(x.shape)}; give (…, {self.experts.sizes[0]})")
        logits = self.router(x)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if self.training and self.noise:
            spread = F.softplus(self.noise_router(x)) if self.noise == "learned" else self.noise
            logits = logits + spread * torch.randn_like(logits)
        probabilities = logits.softmax(-1)
        weights, chosen = probabilities.topk(self.top_k, dim=-1)
        if self.renormalize:
            weights = weights / weights.sum(-1, keepdim=True)
        choices = chosen.reshape(-1, self.top_k)
        places = places_in_order(choices, self.router.out_features).reshape(chosen.shape)
        capacity = self.capacity(x.shape[:-1].numel())
        kept = places < capacity
        return Routing(logits, probabilities, chosen, weights * kept, kept, places, capacity)

    def mix(self, x: torch.Tensor, routing: Routing) -> torch.Tensor:
        """Send each example to the experts chosen for it, and add up their weighted outputs.

        Parameters
        ----------
        x
            Inputs, shape (…, d).
        routing
            What :meth:`route` says of them.

        Returns
        -------
        torch.Tensor
            Shape (…, d_out).
        """
        E, d, k = self.experts.count, x.shape[-1], routing.chosen.shape[-1]
        rows = x.reshape(-1, d)  # (n, d)
        n = len(rows)
        choices = routing.chosen, routing.kept, routing.places
        chosen, kept, places = (part.reshape(n, k) for part in choices)
        C = routing.capacity if routing.capacity < n else fullest(places)
        slots = torch.where(kept, chosen * C + places, E * C)  # (n, k); the last slot is for the dropped
        sent = rows.repeat_interleave(k, dim=0, output_size=n * k)
        answers = self.experts.at(slots.flatten(), sent, C).reshape(n, k, self.experts.sizes[-1])
        output = (routing.weights.reshape(n, k, 1).to(answers.dtype) * answers).sum(1)  # (n, d_out)
        if self.shared is not None:
            output = output + self.shared(rows)
        return output.reshape(*x.shape[:-1], output.shape[-1])

    def capacity(self, examples: int) -> int:
        """Return how many of so many examples an expert takes at most."""
        if self.capacity_factor is None:
            return examples
        wanted = self.capacity_factor * self.top_k * examples / self.router.out_features
        return min(examples, math.ceil(wanted))

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        settings = [f"top_k={self.top_k}"]
        for name in ("renormalize", "noise", "capacity_factor", "balance", "z"):
            if getattr(self, name):
                settings.append(f"{name}={getattr(self, name)}")
        return ", ".join(settings)


def fullest(places: torch.Tensor) -> int:
    """Return how many examples the fullest expert gets."""
    if not len(places):
        return 0
    try:
        return int(places.max()) + 1
    except RuntimeError:  # under vmap the number differs between members: the most that it can be
        return len(places)


class _WithGradientOf(torch.autograd.Function):
    """The first tensor as it is; on the way back, the second one receives the gradient 1."""

    generate_vmap_rule = True

    @staticmethod
    def forward(output: torch.Tensor, auxiliary: torch.Tensor) -> torch.Tensor:
        return output.clone()

    @staticmethod
    def setup_context(
        ctx: torch.autograd.function.FunctionCtx, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return gradient, torch.ones_like(ctx.saved_tensors[0])
