"""Learning rates that change as a run goes on."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from ddl.checks import whole_number
from ddl.training.callbacks.base import Callback, Run

SchedulerFactory = Callable[..., LRScheduler]

SCHEDULES: dict[str, SchedulerFactory] = {
    "constant": functools.partial(lr_scheduler.ConstantLR, factor=1.0),
    "cosine": lr_scheduler.CosineAnnealingLR,
    "exponential": lr_scheduler.ExponentialLR,
    "linear": functools.partial(lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.0),
    "multistep": lr_scheduler.MultiStepLR,
    "polynomial": lr_scheduler.PolynomialLR,
    "step": lr_scheduler.StepLR,
}
"""The schedules that :class:`Schedule` knows by name; their options are PyTorch's."""

LENGTHS = {"cosine": "T_max", "linear": "total_iters", "polynomial": "total_iters"}
"""The option in which a schedule is told its length, where it is not given: what the warm-up leaves."""


class Schedule(Callback):
    """A learning rate that changes after every epoch, or after every step, as PyTorch's schedulers change it.

    Parameters
    ----------
    schedule
        A name of :data:`SCHEDULES`: ``"cosine"``, ``"linear"`` and ``"polynomial"`` go down to 0 at the end
        of the run; ``"step"``, ``"multistep"`` and ``"exponential"`` multiply the rate by ``gamma`` now and
        then; ``"constant"`` is for a warm-up alone. Or a function from the optimiser to a scheduler, such as
        a class of :mod:`torch.optim.lr_scheduler`.
    warmup
        For so many epochs, or steps, the rate first goes up in equal steps. The schedule begins after it.
        Where it is 4, the rates are 1/5, 2/5, 3/5, 4/5 of the full one, and then the full one.
    per
        ``"epoch"`` or ``"step"``: when the rate changes, and what the warm-up and all options count.
    **options
        What PyTorch's scheduler takes, by its names: ``Schedule("step", step_size=30, gamma=0.1)``.

    Attributes
    ----------
    rates : ndarray
        The learning rate of each epoch, or of each step, of the last run. Where groups of parameters or
        members of an ensemble have rates of their own: the largest.

    Raises
    ------
    TypeError
        If ``schedule`` is neither a name nor a function, PyTorch's scheduler does not take the options, or
        the function returns no scheduler, or one that goes by a measured value.
    ValueError
        If the name or ``per`` is unknown. When the run starts: if it is too short for the warm-up, or
        there is another schedule. When it goes on: if the rate becomes negative or infinite, or those of an
        ensemble's members change by different factors.

    Notes
    -----
    The first rate is the ``lr`` of :func:`ddl.fit`; for an ensemble those of all members are multiplied by
    the same factor. The optimiser is left with the last rate, as by a loop written by hand.

    Examples
    --------
    >>> import ddl
    >>> from torch import nn
    >>> model, schedule = nn.Linear(1, 1), Schedule("cosine", warmup=2)
    >>> data, loss = ddl.datasets.ten_points(), nn.MSELoss()
    >>> history = ddl.fit(model, data, loss=loss, epochs=6, lr=0.03, callbacks=schedule)
    >>> schedule.rates.round(3)
    array([0.01 , 0.02 , 0.03 , 0.026, 0.015, 0.004])
    """

    order = 1

    def __init__(
        self, schedule: str | SchedulerFactory, *, warmup: int = 0, per: str = "epoch", **options: object
    ) -> None:
        if isinstance(schedule, str) and schedule not in SCHEDULES:
            raise ValueError(
                f"schedule {schedule!r} is not known; there are {', '.join(SCHEDULES)}; or give a function "
                "from the optimiser to a scheduler"
            )
        if not isinstance(schedule, str) and not callable(schedule):
            raise TypeError(
                f"schedule is {schedule!r}; give a name, as 'cosine', or a function from the optimiser to a "
                "scheduler"
            )
        if per not in ("epoch", "step"):
            raise ValueError(f'per is {per!r}; give "epoch" or "step"')
        self.schedule, self.per, self.options = schedule, per, options
        self.warmup = whole_number(f"warmup, in {per}s,", warmup, at_least=0)
        self._scheduler: LRScheduler | None = None
        self._rates: list[float] = []
        self._kind = ""
        if isinstance(schedule, str):
            self._try()

    def _try(self) -> None:
        """Refuse options that the scheduler does not take, before there is a run."""
        try:
            self._make(torch.optim.SGD([torch.zeros(1)]), length=1)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"the schedule {self.schedule!r} cannot take the options {self.options}: {error}; see "
                f"torch.optim.lr_scheduler.{_name(SCHEDULES[self.schedule])}"
            ) from error

    @property
    def rates(self) -> np.ndarray:
        """The learning rate of each epoch, or of each step."""
        return np.array(self._rates)

    def on_start(self, run: Run) -> None:
        """Make the scheduler, which sets the first rate."""
        schedules = sum(isinstance(callback, Schedule) for callback in run.callbacks)
        if schedules > 1:
            raise ValueError(
                f"callbacks holds {schedules} schedules; give one, from a function that returns a "
                "torch.optim.lr_scheduler.ChainedScheduler"
            )
        length = run.epochs * (run.steps_per_epoch if self.per == "step" else 1)
        fills_the_run = self.schedule in LENGTHS and LENGTHS[self.schedule] not in self.options
        if self.warmup + fills_the_run > length:
            raise ValueError(
                f"warmup is {self.warmup} {self.per}s, but the run has {length}; make it shorter, or train "
                "longer"
            )
        self._rates = []
        self._scheduler = self._sequence(run.optimizer, length - self.warmup)
        self._check(run)
        words = [_name(self.schedule), f"per {self.per}", f"warmup {self.warmup}"]
        words += [f"{name} {_name(value)}" for name, value in self.options.items()]
        if fills_the_run:
            words.append(f"{length} {self.per}s")
        self._kind = ", ".join(words)

    def _sequence(self, optimizer: torch.optim.Optimizer, length: int) -> LRScheduler:
        """Return the warm-up and the schedule as one."""
        if not self.warmup:
            return self._make(optimizer, length)
        warmup = lr_scheduler.LinearLR(optimizer, start_factor=1 / (self.warmup + 1), total_iters=self.warmup)
        after = self._make(optimizer, length)
        return lr_scheduler.SequentialLR(optimizer, [warmup, after], milestones=[self.warmup])

    def _make(self, optimizer: torch.optim.Optimizer, length: int) -> LRScheduler:
        """Return the schedule without a warm-up."""
        if isinstance(self.schedule, str):
            known = {LENGTHS[self.schedule]: length} if self.schedule in LENGTHS else {}
            return SCHEDULES[self.schedule](optimizer, **known | self.options)
        made = self.schedule(optimizer, **self.options)
        if isinstance(made, lr_scheduler.ReduceLROnPlateau):
            raise TypeError(
                "ReduceLROnPlateau goes by a measured value; call it from a callback of your own, as "
                'self.scheduler.step(run.history.final("val_loss")) in on_epoch_end'
            )
        if not isinstance(made, LRScheduler):
            raise TypeError(
                f"schedule returned {made!r}; give a function that returns a torch.optim.lr_scheduler"
            )
        return made

    def on_step_end(self, run: Run) -> None:
        """Go on to the rate of the next step, except after the last of an epoch."""
        if self.per == "step" and run.step % run.steps_per_epoch:
            self._advance(run)

    def on_epoch_end(self, run: Run) -> None:
        """Go on to the rate of the next epoch or step, after all others have seen that of the last."""
        self._advance(run)

    def on_end(self, run: Run) -> None:
        """Record the rate of an epoch that diverged."""
        if len(self._rates) < (run.history.epochs if self.per == "epoch" else run.step):
            self._rates.append(largest_rate(run))

    def _advance(self, run: Run) -> None:
        """Record the present rate, and go on to the next."""
        self._rates.append(largest_rate(run))
        self._scheduler.step()
        self._check(run)

    def _check(self, run: Run) -> None:
        """Refuse rates that no optimiser can take, and those that a stacked ensemble could not have."""
        groups = run.optimizer.param_groups
        rate = largest_rate(run)
        if not 0 <= rate < math.inf:
            raise ValueError(
                f"the schedule makes the learning rate {rate} after epoch {run.epoch} and step {run.step}; "
                "change its options, so that it stays positive"
            )
        if run.members is None or len(groups) == 1:
            return
        factors = [float(group["lr"] / group["initial_lr"]) for group in groups]
        if not math.isclose(min(factors), max(factors), rel_tol=1e-6):
            raise ValueError(
                f"the schedule multiplies the learning rates of the members by {min(factors):.4g} to "
                f"{max(factors):.4g}; leave out options that are rates, such as eta_min, or give all members "
                "the same lr"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the scheduler, and the rates so far."""
        return {
            "kind": self._kind,
            "rates": torch.tensor(self._rates, dtype=torch.float64),
            "scheduler": self._scheduler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned for the same schedule."""
        if state["kind"] != self._kind:
            raise ValueError(
                f"the schedule was ({state['kind']}), now it is ({self._kind}); go on with the same, or "
                "begin anew with resume=False"
            )
        self._rates = state["rates"].tolist()
        self._scheduler.load_state_dict(state["scheduler"])


def largest_rate(run: Run) -> float:
    """Return the largest learning rate."""
    return max(float(group["lr"]) for group in run.optimizer.param_groups)


def _name(value: object) -> str:
    """Return the name of a function or class, and what else there is as it is written."""
    value = value.func if isinstance(value, functools.partial) else value
    return getattr(value, "__name__", None) or str(value)
