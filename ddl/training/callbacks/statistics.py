"""How far parameters move, how large their gradients are, and what goes through the layers."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from ddl.datasets import Dataset
from ddl.training.activations import ACTIVATIONS, Measured, inputs, measure
from ddl.training.callbacks.base import Callback, Run
from ddl.training.callbacks.due import Due
from ddl.training.ensemble import PREFIX

if TYPE_CHECKING:
    import pandas as pd

NORMS = ("gradient", "parameter", "update")
"""What is measured of each tensor of parameters."""


class Statistics(Callback):
    """Norms of gradients, parameters and updates, layer by layer, as a run goes on.

    They are measured at the beginning of an epoch: epoch 1 is the model as it was initialised.

    Parameters
    ----------
    every
        Measure in epoch 1 and every so many epochs after it: with 10 in epochs 1, 11, 21, …
    at
        Measure in each of these epochs instead.
    activations
        Inputs, or a data set, for which to measure also what the layers put out, as
        :func:`ddl.training.activation_statistics` does. Not for an ensemble.

    Raises
    ------
    TypeError
        If both or neither of ``every`` and ``at`` are given, or ``activations`` are no inputs; when the run
        starts, if they are to be measured for an ensemble.
    ValueError
        If ``every`` is below 1, or an epoch of ``at`` is not one of the run.

    Notes
    -----
    All norms are Euclidean, and all belong to one step, the first of the epoch: ``gradient`` is that of its
    batch, ``parameter`` is before the step, ``update`` is the difference that the step makes, whatever the
    optimiser does with the gradient, and ``ratio`` is update/parameter. An epoch that diverges before its
    first step is not measured. Of a member of an ensemble whose run has ended all are NaN.

    The other epochs cost nothing.

    Examples
    --------
    >>> import ddl
    >>> from torch import nn
    >>> moons = ddl.datasets.moons(100, rng=ddl.rng(1))
    >>> model, statistics = ddl.models.MLP((2, 8, 2), seed=1), Statistics(every=5, activations=moons)
    >>> _ = ddl.fit(model, moons, loss=nn.CrossEntropyLoss(), epochs=20, lr=0.1, callbacks=statistics)
    >>> statistics.epochs
    (1, 6, 11, 16)
    >>> statistics.names
    ('hidden1.weight', 'hidden1.bias', 'output.weight', 'output.bias')
    >>> statistics["ratio"].shape
    (4, 4)
    >>> statistics.to_frame().columns.tolist()
    ['epoch', 'name', 'gradient', 'parameter', 'update', 'ratio']
    >>> statistics.to_frame("activations").query("module == 'activation1'")["saturated"].tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        *,
        every: int | None = None,
        at: Iterable[int] | None = None,
        activations: Dataset | torch.Tensor | None = None,
    ) -> None:
        self.due = Due("statistics", 1, every=every, at=at)
        self.inputs = None if activations is None else inputs(activations)
        self._run: Run | None = None
        self._names: tuple[str, ...] = ()
        self._members: int | None = None
        self._rows: dict[int, dict[str, Any]] = {}
        self._hooks: list[RemovableHandle] = []
        self._before: list[torch.Tensor] = []
        self._activations: Measured = {}

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that were measured."""
        return tuple(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, of a member if an ensemble was trained."""
        return self._names

    @property
    def modules(self) -> tuple[str, ...]:
        """The names of the modules whose activations were measured."""
        return tuple(dict.fromkeys(name for row in self._rows.values() for name in row["activations"]))

    def __getitem__(self, what: str) -> np.ndarray:
        """Return what was measured.

        Parameters
        ----------
        what
            ``"gradient"``, ``"parameter"``, ``"update"`` or ``"ratio"``: shape (epochs, parameters), or
            (epochs, parameters, members). Or ``"mean"``, ``"std"``, ``"saturated"`` or ``"dead"``: shape
            (epochs, modules).
        """
        if what == "ratio":
            with np.errstate(divide="ignore", invalid="ignore"):
                return self["update"] / self["parameter"]
        rows = self._rows.values()
        if what in NORMS:
            shape = (len(rows), len(self._names), *([] if self._members is None else [self._members]))
            return np.array([row[what] for row in rows], dtype=float).reshape(shape)
        if what not in ACTIVATIONS:
            raise KeyError(
                f"{what!r} is not measured; there are {', '.join((*NORMS, 'ratio', *ACTIVATIONS))}"
            )
        if self.inputs is None:
            raise KeyError(f"{what!r} was not measured; Statistics(…, activations=data.x) does")
        values = [[row["activations"].get(name, {}).get(what) for name in self.modules] for row in rows]
        return np.array(values, dtype=float).reshape(len(rows), len(self.modules))

    def to_frame(self, of: Literal["parameters", "activations"] = "parameters") -> pd.DataFrame:
        """Return what was measured as a tidy table.

        Parameters
        ----------
        of
            ``"parameters"``: a row for each epoch, tensor of parameters, and member if an ensemble was
            trained. ``"activations"``: a row for each epoch and module.
        """
        import pandas as pd

        if of == "parameters":
            columns, axes = (*NORMS, "ratio"), {"epoch": self.epochs, "name": self.names}
            if self._members is not None:
                axes["member"] = range(self._members)
        elif of == "activations":
            columns, axes = ACTIVATIONS, {"epoch": self.epochs, "module": self.modules}
        else:
            raise ValueError(f'a table of {of!r} is not known; give "parameters" or "activations"')
        index = pd.MultiIndex.from_product(axes.values(), names=axes.keys())
        return pd.DataFrame({name: self[name].ravel() for name in columns}, index=index).reset_index()

    def on_start(self, run: Run) -> None:
        """Forget an earlier run; measure epoch 1 if it is due."""
        self.due.check(run.epochs)
        if self.inputs is not None:
            measure(run.model, self.inputs[:1])  # what cannot be measured is refused now, not when it is due
        self._names = tuple(name_in_member(run, name) for name, _ in run.model.named_parameters())
        self._run, self._members, self._rows = run, run.members, {}
        self._arm()

    def on_epoch_end(self, run: Run) -> None:
        """Measure the next epoch if it is due."""
        self._arm()

    def on_exit(self, run: Run) -> None:
        """Leave no hooks behind."""
        self._disarm()
        self._run = None

    def _arm(self) -> None:
        """Be there at the first step of the next epoch, if that is due."""
        self._disarm()
        run = self._run
        epoch = run.epoch + 1
        if epoch not in self.due or epoch > run.epochs or not run.history.going_on.any():
            return
        if self.inputs is not None:
            self._activations = measure(run.model, self.inputs)
        self._hooks = [
            # Among the hooks before a step those of all optimisers come first: one of this optimiser may be
            # what applies the members' own weight decays, and these are a part of the update.
            register_optimizer_step_pre_hook(functools.partial(self._before_step, epoch)),
            run.optimizer.register_step_post_hook(functools.partial(self._after_step, epoch)),
        ]

    def _disarm(self) -> None:
        """Measure no step."""
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._before, self._activations = [], [], {}

    @torch.no_grad()
    def _before_step(self, epoch: int, *_: object) -> None:
        """Keep the parameters before the first step."""
        if epoch not in self._rows:
            self._before = [parameter.clone() for parameter in self._run.model.parameters()]

    @torch.no_grad()
    def _after_step(self, epoch: int, *_: object) -> None:
        """Measure the first step."""
        if epoch in self._rows:
            return
        changes = [
            after - before for after, before in zip(self._run.model.parameters(), self._before, strict=True)
        ]
        gradients = self._run.gradients().values()
        norms = torch.stack([self._norms(tensors) for tensors in (gradients, self._before, changes)])
        norms = np.where(self._run.history.going_on, norms.cpu().numpy(), np.nan).tolist()
        self._rows[epoch] = {**dict(zip(NORMS, norms, strict=True)), "activations": self._activations}
        self._before = []

    def _norms(self, tensors: Iterable[torch.Tensor | None]) -> torch.Tensor:
        """Return the norms of tensors, NaN where there is none: shape (tensors,) or (tensors, members)."""
        members = self._run.history.going_on.shape
        none = torch.full(members, torch.nan, device=self._before[0].device)
        return torch.stack(
            [
                none
                if tensor is None
                else torch.linalg.vector_norm(tensor.to_dense().reshape(*members, -1), dim=-1)
                for tensor in tensors
            ]
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what was measured."""
        return {"rows": self._rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self._rows = state["rows"]
        self._arm()


def name_in_member(run: Run, name: str) -> str:
    """Return the name of a parameter as a single model has it."""
    return name if run.members is None else name.removeprefix(PREFIX)
