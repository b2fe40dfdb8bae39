"""The way from a model, its data and its training to a report."""

from __future__ import annotations

import contextlib
import inspect
import io
import time
import warnings
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from ddl.checks import whole_number
from ddl.diagnosis import checks
from ddl.diagnosis.case import Case, Loss, Step
from ddl.diagnosis.errors import Unavailable, describe
from ddl.diagnosis.examples import Data, examples
from ddl.diagnosis.measuring import measure
from ddl.diagnosis.ranking import ranked
from ddl.diagnosis.report import Finding, Report
from ddl.diagnosis.state import Snapshot, seed_everything

SLOW = 0.1
"""Seconds that a forward pass on the batch may take; slower models get a smaller batch."""

FEWEST = 8
"""Rows that the batch of a slow model still has, if there are as many."""


def diagnose(
    model: nn.Module,
    data: Data,
    *,
    loss: Loss,
    optimizer: torch.optim.Optimizer | None = None,
    step: Step | None = None,
    validation: Data | None = None,
    evaluate: Callable[[], object] | None = None,
    build: Callable[[], nn.Module] | None = None,
    seed: int = 0,
) -> Report:
    """Look at a model, its data and its training, and say what is wrong with them.

    The model is run and trained for some steps on a few examples; then everything is put back.

    Parameters
    ----------
    model
        The model, as it is before training; one that is trained is no trouble.
    data
        Training data: a pair of tensors (x, y) with n examples each, a data set, or what yields such pairs
        batch by batch as often as it is asked, such as a ``DataLoader``.
    loss
        Takes the model's output and the targets, and returns the loss, a scalar.
    optimizer
        Yours. With it and no ``step``, the usual step is diagnosed.
    step
        Your training step: takes the inputs and targets of a batch, and trains the model.
    validation
        Validation data, like ``data``.
    evaluate
        Your evaluation: takes nothing and returns a number.
    build
        Your way of making the model: takes nothing, seeds what you seed, and returns a model.
    seed
        Seed of what is drawn to diagnose.

    Returns
    -------
    Report
        Its findings, the most probable root cause first. What could not be checked is in ``skipped``, with
        what to pass.

    Raises
    ------
    TypeError
        If an argument is not what it should be.
    ValueError
        If there are no examples, or as many inputs as targets are not there.

    Notes
    -----
    Errors in the model, the loss, the step or the evaluation are findings; they are not raised. What they
    print is not shown. Statistics are computed of up to 1000 rows that are drawn at random, training is
    tried on a batch: up to 64 rows of tensors, or the first batch of a loader (of which up to 20 000 rows are
    read), and fewer for a model that is slow. All rows of tensors are looked at for numbers that are not
    finite and for rows that occur again.

    Parameters, buffers, gradients, modes, hooks, optimisers, the global random states, and what your
    functions close over or use of their module are put back, also after an error. What they change elsewhere,
    such as files, is not.

    Examples
    --------
    A step that forgets to clear the gradients:

    >>> import ddl
    >>> model, moons = ddl.models.MLP((2, 16, 2), seed=0), ddl.datasets.moons(100, rng=ddl.rng(1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> cross_entropy = nn.CrossEntropyLoss()
    >>> def step(x, y):
    ...     loss = cross_entropy(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    >>> report = ddl.diagnose(model, moons, loss=cross_entropy, optimizer=optimizer, step=step)
    >>> report.names
    ('gradients-not-zeroed',)
    >>> print(report["gradients-not-zeroed"].remedy)
    Call optimizer.zero_grad() once before each backward(), or right after optimizer.step().
    """
    _check_arguments(model, loss, optimizer, step, evaluate, build)
    seed = whole_number("seed", seed, at_least=0)
    snapshot = Snapshot(model, optimizer, loss, step, evaluate, build, data, validation)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.enable_grad():
            warnings.simplefilter("ignore")
            seed_everything(seed)
            case = Case(
                model=model,
                data=examples("data", data, seed),
                validation=None if validation is None else examples("validation", validation, seed),
                loss=loss,
                optimizer=optimizer,
                step=step if step is not None else _usual_step(model, loss, optimizer),
                own_step=step is not None,
                evaluate=evaluate,
                build=build,
                seed=seed,
                snapshot=snapshot,
            )
            snapshot.restore()
            _keep_it_short(case)
            findings, checked, skipped = run(case, checks.ALL)
            return Report(ranked(findings), checked, skipped, measure(case))
    finally:
        snapshot.restore()


def _keep_it_short(case: Case) -> None:
    """Take a smaller batch for a model that is slow: it is run some hundred times."""
    x, y = case.data.batch
    seconds = []
    try:
        for _ in range(2):  # the first call of a process prepares more than itself
            start = time.perf_counter()
            case.predict(case.batch[0])
            seconds.append(time.perf_counter() - start)
    except Unavailable:
        return
    if min(seconds) > SLOW and len(x) > FEWEST:
        rows = max(FEWEST, int(len(x) * SLOW / min(seconds)))
        case.data.batch = x[:rows], y[:rows]
        case.data.other = tuple(values[:rows] for values in case.data.other)
        del case.batch


def run(
    case: Case, every: Iterable[Callable[[Case], object]]
) -> tuple[list[Finding], tuple[str, ...], dict[str, str]]:
    """Make the checks.

    Returns
    -------
    tuple
        The findings, the names of the checks that were made, and the reasons why the others were not.
    """
    findings: list[Finding] = []
    checked: list[str] = []
    skipped: dict[str, str] = {}
    for check in every:
        name = check.__name__.removeprefix("check_").replace("_", "-")
        try:
            found = check(case)
            found = [found] if isinstance(found, Finding) else list(found or ())
        except Unavailable as reason:
            skipped[name] = str(reason)
        except Exception as error:  # one check that cannot take a model must not hide the others
            skipped[name] = f"the check itself raised {describe(error)}"
        else:
            checked.append(name)
            findings += found
    return findings, tuple(checked), skipped


def _usual_step(model: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer | None) -> Step | None:
    """Return the training step that everybody writes, if there is an optimiser for it."""
    if optimizer is None:
        return None

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        model.train()
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return step


def _check_arguments(
    model: object, loss: object, optimizer: object, step: object, evaluate: object, build: object
) -> None:
    """Refuse what is not what it should be."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {model!r}; give an nn.Module, and an instance, not a class")
    if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
        raise ValueError(
            f"{type(model).__name__} has lazy layers that do not know their inputs yet; call the model once "
            "on a batch"
        )
    if inspect.isclass(loss) or not callable(loss):
        raise TypeError(
            f"loss is {loss!r}; give a function of the output and the targets, as nn.CrossEntropyLoss() with "
            "its parentheses"
        )
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer is {optimizer!r}; give a torch.optim.Optimizer, or leave it out")
    for name, function, use in (
        ("step", step, "a function of the inputs and targets of a batch"),
        ("evaluate", evaluate, "a function without arguments that returns a number"),
        ("build", build, "a function without arguments that returns the model"),
    ):
        if function is not None and (not callable(function) or isinstance(function, torch.optim.Optimizer)):
            raise TypeError(f"{name} is {function!r}; give {use}, or leave it out")
