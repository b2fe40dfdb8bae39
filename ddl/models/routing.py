"""Which example goes to which expert, and what such a plan says about the router."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False, repr=False)
class Routing:
    """Which experts each example goes to, and with what weight: made by :meth:`MixtureOfExperts.route`.

    The leading shape … is that of the examples; E is the number of experts, k that of choices.
    """

    logits: torch.Tensor
    """Shape (…, E): what the router says, with the noise if there is any."""
    probabilities: torch.Tensor
    """Shape (…, E): the softmax of the logits over all experts."""
    chosen: torch.Tensor
    """Shape (…, k), int64: the experts with the largest probabilities, the best first."""
    weights: torch.Tensor
    """Shape (…, k): what the outputs of the chosen experts are multiplied by; zero where dropped."""
    kept: torch.Tensor
    """Shape (…, k), bool: whether the expert had a place left."""
    places: torch.Tensor
    """Shape (…, k), int64: how many came before to the same expert."""
    capacity: int
    """Number of places of each expert."""

    def __repr__(self) -> str:
        examples, experts = self.probabilities.shape[:-1].numel(), self.probabilities.shape[-1]
        return f"Routing({examples} examples to {self.chosen.shape[-1]} of {experts} experts)"

    @property
    def load(self) -> torch.Tensor:
        """Shape (E,): the share f of all choices that falls on each expert, dropped ones included."""
        return _mean_over_examples(self._choices().sum(-2)) / self.chosen.shape[-1]

    @property
    def importance(self) -> torch.Tensor:
        """Shape (E,): the mean probability P of each expert, with gradient."""
        return _mean_over_examples(self.probabilities)

    @property
    def dropped(self) -> torch.Tensor:
        """The share of choices that found no place."""
        return _mean_over_examples((~self.kept).to(self.probabilities.dtype)).mean()

    @property
    def balance_loss(self) -> torch.Tensor:
        """E Σ f P: 1 where all experts get the same, E where one gets all.

        It can fall below 1, where many examples choose an expert by a hair. Only P has a gradient.

        W. Fedus, B. Zoph and N. Shazeer, Switch Transformers, *JMLR* 23, 2022, equation 4; for k > 1 the load
        f counts all choices.
        """
        return self.probabilities.shape[-1] * (self.load * self.importance).sum()

    @property
    def z_loss(self) -> torch.Tensor:
        """The mean of (log Σ exp logits)², which keeps the logits small.

        B. Zoph et al., ST-MoE: designing stable and transferable sparse expert models, 2022, equation 5.
        """
        return _mean_over_examples(self.logits.logsumexp(-1, keepdim=True).square()).sum()

    @property
    def entropy(self) -> torch.Tensor:
        """The mean entropy of the router's probabilities for one example, in nats: 0 where it is certain."""
        return _mean_over_examples(torch.special.entr(self.probabilities)).sum()

    def _choices(self) -> torch.Tensor:
        """Return, shape (…, k, E), 1 where this choice is that expert."""
        return one_hot(self.chosen, self.probabilities)


def one_hot(chosen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return 1 at the chosen places and 0 elsewhere; shape (…, k, E) for choices (…, k) and like (…, E)."""
    experts = torch.arange(like.shape[-1], device=like.device)
    return (chosen[..., None] == experts).to(like.dtype)


def places_in_order(chosen: torch.Tensor, experts: int) -> torch.Tensor:
    """Return for each choice how many before it fell on the same expert.

    All first choices come before all second choices, and so on; within them, earlier examples come first.

    Parameters
    ----------
    chosen
        Shape (n, k).
    experts
        Number of experts.

    Returns
    -------
    torch.Tensor
        Shape (n, k), int64.

    Examples
    --------
    >>> places_in_order(torch.tensor([[0, 1], [0, 2], [1, 0]]), experts=3)
    tensor([[0, 1],
            [1, 0],
            [0, 2]])
    """
    n, k = chosen.shape
    in_turn = chosen.T.reshape(n * k, 1) == torch.arange(experts, device=chosen.device)  # (k·n, E)
    before = in_turn.long().cumsum(0) - 1
    return before.gather(1, chosen.T.reshape(n * k, 1)).reshape(k, n).T


def _mean_over_examples(values: torch.Tensor) -> torch.Tensor:
    """Return the mean over all axes but the last, in single precision at least; zeros without examples."""
    rows = values.reshape(-1, values.shape[-1])
    return rows.sum(0, dtype=torch.promote_types(values.dtype, torch.float32)) / max(len(rows), 1)
