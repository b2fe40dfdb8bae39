"""How a step is taken and a value measured: for one model, for stacked members, for members one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from ddl.training import checks
from ddl.training.batches import Batch, Batches, Generators, Pair, Shares, of_each, of_one
from ddl.training.ensemble import PREFIX, Ensemble, pays
from ddl.training.measures import Measure
from ddl.training.memberwise import Memberwise, memberwise
from ddl.training.optimizers import ELEMENTWISE, Recipe
from ddl.training.per_member import Examples

EVALUATION_ROWS = 4096
"""As many examples go through a network at once when its values are measured."""

MEASURED_ROWS = 65536
"""As many examples of all members of an ensemble together."""

Dealt = Pair | Batch | Sequence[Pair | None]
"""One batch: of one model, of stacked members, of members one by one."""

Data = Pair | Shares | Sequence[Pair]
"""The data, likewise."""

Gradients = dict[str, torch.Tensor | None]


class Engine:
    """What :func:`ddl.fit` needs of the thing that it trains.

    Parameters
    ----------
    model
        A module, or an ensemble.
    loss
        ``loss(output, y)`` of a single model.

    Attributes
    ----------
    going_on : numpy.ndarray
        Which members are still to be trained, shape () or (members,); the others may be skipped.
    """

    def __init__(self, model: nn.Module, loss: Measure) -> None:
        self.model = model
        self.loss = loss
        self.going_on: np.ndarray = np.ones(getattr(model, "members", ()), dtype=bool)
        tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
        plain = [tensor.is_floating_point() and tensor.is_contiguous() for tensor in tensors]
        # Views, so that they show what the parameters are at any time.
        self._rows = [
            tensor.view(*self.going_on.shape, -1)
            for tensor, is_plain in zip(tensors, plain, strict=True)
            if is_plain
        ] or [torch.zeros(*self.going_on.shape, 0)]
        self._other = [tensor for tensor, is_plain in zip(tensors, plain, strict=True) if not is_plain]
        self._modes = {mode: _modes(model, training=mode) for mode in (True, False)}

    def train(self) -> None:
        """Switch to training mode."""
        self._switch(True)

    def eval(self) -> None:
        """Switch to evaluation mode."""
        self._switch(False)

    def _switch(self, training: bool) -> None:
        modes = self._modes[training]
        if modes is None:
            self.model.train(training)
            return
        # What module.train() does in the end; twice an epoch of microseconds, its own way there is too long.
        for module, mode in modes:
            module.__dict__["training"] = mode

    def optimizer(self, recipe: Recipe) -> torch.optim.Optimizer:
        """Make the optimiser."""
        raise NotImplementedError

    def batches(self, data: Data, batch_size: int | None, generators: Generators) -> Batches:
        """Return the batches that :meth:`backward` takes."""
        raise NotImplementedError

    def backward(self, batch: Dealt) -> float | torch.Tensor:
        """Compute the loss of a batch and its gradients; return the loss, shape () or (members,)."""
        raise NotImplementedError

    def measure(self, data: Data, measures: Mapping[str, Measure]) -> dict[str, float | np.ndarray]:
        """Return the values of measures by name."""
        raise NotImplementedError

    def gradients(self) -> Gradients:
        """Return the gradients of the last step by the names of the parameters."""
        return {name: parameter.grad for name, parameter in self.model.named_parameters()}

    def seeds(self, seeds: Sequence[int]) -> Sequence[int]:
        """Return the seeds of the generators that are needed."""
        return seeds

    def data(self, examples: Examples) -> Data:
        """Return the data in the form that :meth:`batches` and :meth:`measure` take."""
        raise NotImplementedError

    def values(self) -> list[torch.Tensor]:
        """Return copies of all parameters and buffers: most in one row per member, which is fast."""
        return [torch.cat(self._rows, dim=-1), *(tensor.clone() for tensor in self._other)]

    def not_finite(self, values: list[torch.Tensor], loss: float | np.ndarray) -> np.ndarray | None:
        """Return which members still going on have a loss or parameters that are not finite; None for none.

        Parameters
        ----------
        values
            A copy of the present parameters and buffers.
        loss
            Shape () or (members,).
        """
        others = [copied for copied in values[1:] if copied.is_floating_point()]
        sound = math.isfinite(loss) if isinstance(loss, float) else np.isfinite(loss).all()
        if sound and not others and checks.finite(values[0]):
            return None
        finite = np.isfinite(loss)
        for copied in (values[0], *others):
            finite = finite & copied.reshape(*self.going_on.shape, -1).isfinite().all(-1).cpu().numpy()
        wrong = self.going_on & ~finite
        return wrong if wrong.any() else None

    def restore(self, values: list[torch.Tensor], members: np.ndarray) -> None:
        """Set the model, or these members, back to a copy."""
        chosen = ... if members.all() else torch.from_numpy(members)
        parts = values[0].split([row.shape[-1] for row in self._rows], dim=-1)
        for row, part in zip(self._rows, parts, strict=True):
            row[chosen] = part[chosen]
        for tensor, copied in zip(self._other, values[1:], strict=True):
            tensor[chosen] = copied[chosen]


class Single(Engine):
    """One model."""

    def optimizer(self, recipe: Recipe) -> torch.optim.Optimizer:
        """Make the optimiser."""
        return recipe.make(_trainable(self.model))

    def data(self, examples: Examples) -> Pair:
        """Return the pair (x, y)."""
        return examples.x, examples.y

    def batches(self, data: Pair, batch_size: int | None, generators: Generators) -> Batches:
        """Return the batches (x, y)."""
        return of_one(data, batch_size, generators[0])

    def backward(self, batch: Pair) -> float | torch.Tensor:
        """Compute the loss and the gradients; on the CPU the loss as a number, which costs nothing there."""
        x, y = batch
        value = self.loss(self.model(x), y)
        if value.is_cpu:
            number = value.item()
            if math.isfinite(number):
                value.backward()
            return number
        value.backward()
        return value.detach()

    def measure(self, data: Pair, measures: Mapping[str, Measure]) -> dict[str, float]:
        """Return the values of measures by name."""
        x, y = data
        output = torch.cat([self.model(rows) for rows in x.split(EVALUATION_ROWS)])
        return {name: float(measure(output, y)) for name, measure in measures.items()}


class Stacked(Engine):
    """The members of an ensemble as one."""

    model: Ensemble

    def __init__(self, model: Ensemble, loss: Measure) -> None:
        super().__init__(model, loss)
        self._memberwise: dict[Measure, Memberwise] = {}

    def optimizer(self, recipe: Recipe) -> torch.optim.Optimizer:
        """Make one optimiser of all members."""
        return recipe.make_for_stack(_trainable(self.model))

    def seeds(self, seeds: Sequence[int]) -> Sequence[int]:
        """Return a single seed where all members have the same: they then share their batches."""
        return seeds[:1] if len(set(seeds)) == 1 else seeds

    def data(self, examples: Examples) -> Shares:
        """Return the shares of the members."""
        rows = None if examples.rows is None else torch.stack(examples.rows)
        return Shares((examples.x, examples.y), rows, own_labels=examples.own_labels)

    def batches(self, data: Shares, batch_size: int | None, generators: Generators) -> Batches:
        """Return the batches, each a :class:`Batch`."""
        return data.batches(batch_size, generators)

    def backward(self, batch: Batch) -> torch.Tensor:
        """Compute the losses of all members and their gradients."""
        output = self.model.outputs(batch.x, each=batch.own_x)
        losses = self._of_members(self.loss, output, batch.y, own_y=batch.own_y)
        losses.sum().backward()
        return losses.detach()

    def _of_members(
        self, measure: Measure, output: torch.Tensor, y: torch.Tensor, *, own_y: bool
    ) -> torch.Tensor:
        """Return a loss or metric of each member, shape (members,)."""
        if measure not in self._memberwise:
            self._memberwise[measure] = memberwise(measure, output, y, own_y=own_y)
        return self._memberwise[measure](output, y, own_y=own_y)

    def measure(self, data: Shares, measures: Mapping[str, Measure]) -> dict[str, np.ndarray]:
        """Return the values of measures by name, shape (members,)."""
        pieces = list(data.pieces(max(1, MEASURED_ROWS // self.model.members)))
        output = torch.cat([self.model.outputs(piece.x, each=piece.own_x) for piece in pieces], dim=1)
        own_y = pieces[0].own_y
        y = torch.cat([piece.y for piece in pieces], dim=1 if own_y else 0)
        return {
            name: self._of_members(measure, output, y, own_y=own_y).cpu().double().numpy()
            for name, measure in measures.items()
        }


class OneByOne(Engine):
    """The members of an ensemble, one after the other."""

    model: Ensemble

    def __init__(self, model: Ensemble, loss: Measure) -> None:
        super().__init__(model, loss)
        self.singles = [Single(module, loss) for module in model.views()]

    def _switch(self, training: bool) -> None:
        super()._switch(training)
        for single in self.singles:
            single._switch(training)

    def optimizer(self, recipe: Recipe) -> torch.optim.Optimizer:
        """Make one optimiser, with a group of parameters for each member if it has a name."""
        return recipe.make_for_groups([_trainable(single.model) for single in self.singles])

    def data(self, examples: Examples) -> list[Pair]:
        """Return a pair (x, y) for each member."""
        return [examples.member(index) for index in range(self.model.members)]

    def batches(self, data: Sequence[Pair], batch_size: int | None, generators: Generators) -> Batches:
        """Return the batches, each a list with a pair for each member."""
        return of_each(data, batch_size, generators)

    def backward(self, batch: Sequence[Pair | None]) -> torch.Tensor:
        """Compute the losses and gradients of the members that have a batch; the loss of the others is 0."""
        losses = torch.zeros(self.model.members)
        for index, (single, pair) in enumerate(zip(self.singles, batch, strict=True)):
            if pair is not None and self.going_on[index]:
                losses[index] = single.backward(pair)
        return losses

    def measure(self, data: Sequence[Pair], measures: Mapping[str, Measure]) -> dict[str, np.ndarray]:
        """Return the values of measures by name, shape (members,)."""
        each = [single.measure(pair, measures) for single, pair in zip(self.singles, data, strict=True)]
        return {name: np.array([values[name] for values in each]) for name in measures}

    def gradients(self) -> Gradients:
        """Return the gradients of the last step, with the members first; 0 for members without one."""
        named = [dict(single.model.named_parameters()) for single in self.singles]
        gradients: Gradients = {}
        for name, first in named[0].items():
            of_each = [parameters[name].grad for parameters in named]
            known = [torch.zeros_like(first) if gradient is None else gradient for gradient in of_each]
            gradients[PREFIX + name] = torch.stack(known) if first.requires_grad else None
        return gradients


def prepare(
    model: nn.Module, loss: Measure, data: Sequence[Examples], recipe: Recipe, batch_size: int | None
) -> tuple[Engine, torch.optim.Optimizer]:
    """Return what trains a model, and its optimiser.

    The members of an ensemble are stacked where they can be and it pays, or where that was asked for.
    """
    if not isinstance(model, Ensemble):
        engine = Single(model, loss)
        return engine, engine.optimizer(recipe)
    rows = min(batch_size or math.inf, data[0].most_examples)
    if model.batched or (model.batched is None and pays(model.member(0), data[0].x[:2], rows)):
        engine = Stacked(model, loss)
        obstacle = _obstacle(engine, data)
        if obstacle is None:
            stepper = engine.optimizer(recipe)
            if type(stepper) in ELEMENTWISE or model.batched:
                return engine, stepper
        elif model.batched:
            raise ValueError(
                f"batched is True, but {obstacle}; leave it out, and the members are trained one by one"
            )
    engine = OneByOne(model, loss)
    return engine, engine.optimizer(recipe)


def _obstacle(engine: Stacked, data: Sequence[Examples]) -> str | None:
    """Return what keeps the members of an ensemble from being trained as one."""
    for examples in data:
        sizes = {len(rows) for rows in examples.rows or ()}
        if len(sizes) > 1:
            return f"its members have {min(sizes)} to {max(sizes)} examples"
    x = data[0].x[:2]
    before = engine.values()
    try:
        engine.train()
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            engine.model.outputs(x, each=False)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        return f"torch.func.vmap cannot take its model: {error}"
    finally:
        engine.eval()
        engine.restore(before, engine.going_on)
    return None


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are not frozen."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _modes(model: nn.Module, *, training: bool) -> list[tuple[nn.Module, bool]] | None:
    """Return the mode that each module gets; None if one of them does more than setting its mode."""
    plain = nn.Module.train, nn.Module.eval
    if any((type(module).train, type(module).eval) != plain for module in model.modules()):
        return None
    return [(module, training) for module in model.modules()]
