"""What is diagnosed, and what is measured of it: each measurement once, and everything put back after it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ddl.diagnosis import trials
from ddl.diagnosis.errors import Unavailable, describe
from ddl.diagnosis.examples import Examples, Pair
from ddl.diagnosis.state import Snapshot, seed_everything, seed_torch
from ddl.diagnosis.values import number, tensors_in
from ddl.diagnosis.watching import Seen, watching

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Step = Callable[[torch.Tensor, torch.Tensor], object]

CALLS = 30
"""Training steps on one batch by which a learning rate is judged."""

MOST_CALLS = 16
"""Calls of the step in which an optimiser has to step at least once; more than one if gradients add up."""


@dataclass
class Backward:
    """One backward pass of ours, in training mode without dropout."""

    loss: float
    output: torch.Tensor
    gradients: dict[str, torch.Tensor | None]
    layers: dict[str, float]
    """Norm of the loss's gradient with respect to what each layer puts out, in the order of the calls."""
    unrecorded: list[str]
    """Layers whose parameters want gradients, but whose output has none."""
    tracked: bool
    """Whether the loss depends on the parameters in a way that can be differentiated."""
    seen: Seen


@dataclass
class Window:
    """Calls of the step until the parameters move."""

    calls: int
    seen: Seen
    """What was seen in the first call that moved them; in the last if none did."""
    moved: dict[str, torch.Tensor]
    """Difference that it made to each parameter."""


@dataclass
class Case:
    """A model, its data and its training, with everything measured of them on demand.

    Parameters
    ----------
    model, data, validation, loss, optimizer, step, evaluate, build, seed
        As given to :func:`ddl.diagnose`; ``step`` is made from the optimiser if there is none.
    own_step
        Whether the step is the reader's own.
    snapshot
        Everything as it was.
    """

    model: nn.Module
    data: Examples
    validation: Examples | None
    loss: Loss
    optimizer: torch.optim.Optimizer | None
    step: Step | None
    own_step: bool
    evaluate: Callable[[], object] | None
    build: Callable[[], nn.Module] | None
    seed: int
    snapshot: Snapshot
    _curves: dict[float, list[float]] = field(default_factory=dict)

    # Running the reader's code

    @contextlib.contextmanager
    def fresh(self, *, notice: bool = True) -> Iterator[None]:
        """Seed everything, and put everything back after the block, also after an error in it.

        Optimisers of the reader's that nobody passed are noticed, and remembered before their first step.
        """
        handle = register_optimizer_step_pre_hook(
            lambda optimizer, *_: self.snapshot.add(optimizer) if notice else None
        )
        seed_everything(self.seed)
        try:
            yield
        finally:
            handle.remove()
            self.snapshot.restore()

    def call(self, what: str, function: Callable[..., object], *args: object) -> object:
        """Call the reader's code; what it raises makes the measurement unavailable."""
        try:
            return function(*args)
        except Exception as error:  # whatever the reader's code raises
            raise Unavailable(f"{what} raised {describe(error)}") from error

    def to_model(self, pair: Pair) -> Pair:
        """Return inputs and targets on the model's device."""
        place = next(self.model.parameters(), torch.empty(0)).device
        return pair[0].to(place), pair[1].to(place)

    def quiet(self) -> None:
        """Set the model to training mode, but for dropout."""
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.eval()

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output in evaluation mode, without gradients."""
        with self.fresh(), torch.no_grad():
            self.model.eval()
            output = self.call("the model", self.model, x)
        if not isinstance(output, torch.Tensor):
            raise Unavailable(f"the model returns {type(output).__name__}, not a tensor")
        return output

    def value(self, pair: Pair) -> float:
        """Return the loss at the present parameters, in training mode without dropout; buffers are kept."""
        modes = {module: module.training for module in self.model.modules()}
        buffers = {buffer: buffer.clone() for buffer in self.model.buffers()}
        self.quiet()
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                seed_torch(self.seed)
                x, y = self.to_model(pair)
                result = self.call("the loss", self.loss, self.call("the model", self.model, x), y)
        finally:
            for module, mode in modes.items():
                module.training = mode
            for buffer, values in buffers.items():
                buffer.data.copy_(values)
        return number(result)

    # The output and the loss

    @cached_property
    def batch(self) -> Pair:
        """The batch that training is tried on, on the model's device."""
        return self.to_model(self.data.batch)

    @cached_property
    def output(self) -> torch.Tensor:
        """The output for the batch, in evaluation mode."""
        return self.predict(self.batch[0])

    @cached_property
    def forward_seen(self) -> Seen:
        """What the model and the loss call for the batch, be it that they raise."""
        with self.fresh():
            self.quiet()
            with watching(self.model) as seen:
                x, y = self.batch
                seen.returned = self.loss(self.model(x), y)
        return seen

    @property
    def raw_loss(self) -> object:
        """What the loss returns for the batch."""
        if self.forward_seen.error is not None:
            raise Unavailable(f"the model or the loss raised {describe(self.forward_seen.error)}")
        return self.forward_seen.returned

    def loss_of_output(self, output: torch.Tensor, y: torch.Tensor | None = None) -> float:
        """Return the loss of an output for the batch, or for other targets."""
        with self.fresh(), torch.no_grad():
            return number(self.call("the loss", self.loss, output, self.batch[1] if y is None else y))

    @cached_property
    def initial_loss(self) -> float:
        """The loss of the batch: of a model built anew, if there is a way to; else of the model as it is."""
        if self.build is None:
            with self.fresh():
                return self.value(self.data.batch)
        with self.fresh(), torch.no_grad():
            fresh = self.call("build()", self.build)
            if not isinstance(fresh, nn.Module):
                raise Unavailable(f"build() returned {type(fresh).__name__}, not a model")
            x, y = self.to_model(self.data.batch)
            return number(self.call("the loss", self.loss, self.call("the model", fresh, x), y))

    @cached_property
    def activations(self) -> list[tuple[str, str, torch.Tensor]]:
        """What activations put out for the sample: module, kind, values; in training mode without dropout."""
        with self.fresh(), torch.no_grad():
            self.quiet()
            with watching(self.model, activations=True) as seen:
                self.model(self.to_model(self.data.sample)[0][:512])
        if seen.error is not None:
            raise Unavailable(f"the model raised {describe(seen.error)}")
        return seen.activations

    @cached_property
    def backward(self) -> Backward:
        """The loss of the batch and its gradients."""
        unrecorded: list[str] = []
        squares: dict[str, float] = {}

        def keep(name: str, output: object) -> None:
            outputs = [part for part in tensors_in(output) if part.is_floating_point()]
            recorded = [part for part in outputs if part.requires_grad]
            if outputs and not recorded:
                unrecorded.append(name)
            if not recorded or name in squares:
                return
            squares[name] = 0.0
            for part in recorded:
                part.register_hook(lambda gradient: add(name, gradient))

        def add(name: str, gradient: torch.Tensor | None) -> None:
            if gradient is not None:  # of what a layer puts out, some may not be used
                squares[name] += number(gradient.double().square().sum())

        handles = [
            module.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
            for name, module in self.model.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        ]
        with self.fresh(), contextlib.ExitStack() as stack:
            for handle in handles:
                stack.callback(handle.remove)
            self.quiet()
            self.model.zero_grad(set_to_none=True)
            with watching(self.model, activations=True) as seen:
                x, y = self.batch
                output = self.model(x)
                loss = self.loss(output, y)
            if seen.error is not None:
                raise Unavailable(f"the model or the loss raised {describe(seen.error)}")
            if isinstance(loss, torch.Tensor) and loss.requires_grad:
                self.call("backward()", loss.mean().backward)
            gradients = {
                name: None if parameter.grad is None else parameter.grad.detach().clone()
                for name, parameter in self.model.named_parameters()
            }
        in_order = {name: math.sqrt(square) for name, square in squares.items()}
        tracked = isinstance(loss, torch.Tensor) and loss.requires_grad
        unrecorded = [
            name
            for name in unrecorded
            if any(p.requires_grad for p in self.model.get_submodule(name).parameters(recurse=False))
        ]
        return Backward(number(loss), output, gradients, in_order, unrecorded, tracked, seen)

    @cached_property
    def floor(self) -> float | None:
        """The least loss that any outputs for the batch can have."""
        return trials.least_loss(self, self.output, self.batch[1])

    @cached_property
    def constant(self) -> float | None:
        """The least loss that one output for all examples of the batch can have."""
        return trials.least_loss(self, self.output, self.batch[1], same=True)

    # Training that is not the reader's

    @cached_property
    def trained(self) -> trials.Trained:
        """The model after training on up to 32 examples."""
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise Unavailable("no parameter wants a gradient")
        x, y = self.data.batch
        return trials.learn_by_heart(self, (x[:32], y[:32]))

    # The reader's step

    def require_step(self) -> Step:
        """Return the step, or say that there is none."""
        if self.step is None:
            raise Unavailable("there is no training step; pass optimizer=… or step=…")
        return self.step

    def window(self, pair: Pair | None = None, *, gradients_from: Pair | None = None) -> Window:
        """Call the step until the parameters move, once.

        Parameters
        ----------
        pair
            Inputs and targets; default: the batch.
        gradients_from
            Do the same with these before, and put back everything but the gradients that it leaves.
        """
        step = self.require_step()
        with self.fresh():
            if gradients_from is not None:
                self._move(step, gradients_from)
                self.snapshot.restore(gradients=False)
                seed_everything(self.seed)
            else:
                for parameter in self.model.parameters():
                    parameter.grad = None
            return self._move(step, pair or self.data.batch)

    def _move(self, step: Step, pair: Pair) -> Window:
        before = {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}
        calls = 0
        while calls < MOST_CALLS:
            calls += 1
            with watching(self.model) as seen:
                seen.returned = step(*pair)
            moved = {
                name: parameter.detach() - before[name] for name, parameter in self.model.named_parameters()
            }
            if seen.error is not None or any(bool(difference.any()) for difference in moved.values()):
                break
        return Window(calls, seen, moved)

    @cached_property
    def first(self) -> Window:
        """The first window on the batch, without gradients from before."""
        return self.window()

    @property
    def working(self) -> Window:
        """The first window, of a step that raises nothing."""
        if self.first.seen.error is not None:
            raise Unavailable(f"the step raised {describe(self.first.seen.error)}")
        return self.first

    def curve(
        self,
        factor: float = 1.0,
        calls: int = CALLS,
        prepare: Callable[[], None] | None = None,
        pair: Pair | None = None,
    ) -> list[float]:
        """Return the loss of the batch over calls of the step, each of whose moves is multiplied by a factor.

        Parameters
        ----------
        factor
            1 is the step as it is, 10 as if its learning rate were ten times as large.
        calls
            Number of moves.
        prepare
            Called before the first step.
        pair
            Inputs and targets; default: the batch.

        Returns
        -------
        list of float
            The loss before, and after some of the calls, the last five among them.
        """
        step, pair = self.require_step(), pair or self.data.batch
        period = self.working.calls
        with self.fresh():
            if prepare is not None:
                prepare()
            losses = [self.value(pair)]
            for call in range(1, calls + 1):
                before = [parameter.detach().clone() for parameter in self.model.parameters()]
                for _ in range(period):
                    self.call("the step", step, *pair)
                if factor != 1:
                    for parameter, old in zip(self.model.parameters(), before, strict=True):
                        parameter.data.copy_(old + factor * (parameter.detach() - old))
                if call in (1, 2, 4, 8, 16) or call > calls - 5:
                    losses.append(self.value(pair))
                    if not math.isfinite(losses[-1]):
                        break
        return losses

    def at(self, factor: float) -> list[float]:
        """Return the losses over steps that are so many times as long, measured once."""
        if factor not in self._curves:
            try:
                self._curves[factor] = self.curve(factor)
            except Unavailable:
                if factor == 1:
                    raise
                self._curves[factor] = [self.at(1.0)[0], math.nan]  # as where the step refuses a loss of NaN
        return self._curves[factor]

    def progress(self, losses: list[float]) -> float:
        """Return which part of the way to the least possible loss was made; negative if the loss rose."""
        start, end = losses[0], float(torch.tensor(losses[-5:]).median())
        floor = self.floor if self.floor is not None else min(0.0, start)
        if not math.isfinite(end):
            return -math.inf
        return (start - end) / max(start - floor, 1e-12)
