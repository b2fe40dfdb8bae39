"""Checks of the evaluation, and of whether a run can be repeated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from ddl.diagnosis.case import Case
from ddl.diagnosis.checks.steps import listed
from ddl.diagnosis.errors import Unavailable, describe
from ddl.diagnosis.examples import fingerprints
from ddl.diagnosis.report import Finding
from ddl.diagnosis.state import seed_everything
from ddl.diagnosis.watching import Seen, differing, watching


def check_evaluation(case: Case) -> Iterator[Finding]:
    """Find an evaluation in training mode, on training data, or one that changes the model."""
    if case.evaluate is None:
        raise Unavailable("there is no evaluation; pass evaluate=…")
    with case.fresh():
        if case.step is not None:
            # In the mode that the step leaves the model in, which is how the evaluation will find it.
            with watching(case.model):
                case.step(*case.data.batch)
        before, gradients = _values(case.model), _gradients(case.model)
        with watching(case.model) as seen:
            seen.returned = case.evaluate()
        after = _values(case.model)
        left = [
            name for name, gradient in _gradients(case.model).items() if not _same(gradient, gradients[name])
        ]
        evaluating = not case.model.training
    if seen.error is not None:
        yield Finding(
            "evaluation-fails",
            "error",
            f"evaluate() raised {describe(seen.error)}.",
            "Which line raises it?",
            "Run the evaluation by itself on a few examples.",
            {},
        )
        return
    yield from _mode(case, seen)
    changed = [name for name, value in after.items() if not _same(value, before[name])]
    parameters = [name for name in changed if name in dict(case.model.named_parameters())]
    if changed:
        yield Finding(
            "stateful-evaluation",
            "error",
            f"evaluate() changes {listed(parameters or changed)}"
            + (": it trains the model" if parameters else ": it adds the examples to running statistics")
            + ".",
            "Which call in the evaluation is one of training: step(), a forward pass in training mode?",
            "Evaluate after model.eval(), under torch.no_grad(), without an optimiser.",
            {"changed": changed},
        )
    elif left and "backward" in seen.events:
        yield Finding(
            "stateful-evaluation",
            "warning",
            f"evaluate() leaves gradients behind in {listed(left)}: a step that adds to them would train on "
            "them.",
            "Why does the evaluation call backward()?",
            "Evaluate under torch.no_grad(), and clear gradients before each backward().",
            {"gradients": left},
        )
    if seen.broadcasts:
        yield Finding(
            "broadcast-shapes",
            "error",
            f"In the evaluation shapes {seen.broadcasts[0]} meet, and are broadcast: every output is "
            "compared with every target.",
            "What are the shapes of the predictions and of the targets?",
            "Make them equal: y[:, None] or output.squeeze(1).",
            {"shapes": seen.broadcasts[0]},
        )
    yield from _rows(case, seen)
    yield from _leaves_in_eval(case, evaluating)


def check_always_random(case: Case) -> Finding | None:
    """Find outputs that depend on chance in evaluation mode too."""
    outputs, x = [], case.batch[0]
    for other in (0, 1):
        with case.fresh(), torch.no_grad():
            seed_everything(case.seed + other)
            case.model.eval()
            with watching(case.model) as seen:
                outputs.append(case.model(x))
        if seen.error is not None or not isinstance(outputs[-1], torch.Tensor):
            raise Unavailable("the model puts out no tensor")
    change = (outputs[0] - outputs[1]).abs().max().item()
    if not change > 1e-6 * outputs[0].abs().max().item():
        return None
    why = f"{seen.random[0]}() drops in evaluation mode too" if seen.random else "it draws random numbers"
    return Finding(
        "evaluation-in-train-mode",
        "error" if seen.random else "warning",
        f"In evaluation mode two passes of the same inputs differ by up to {change:.3g}, where outputs are "
        f"up to {outputs[0].abs().max():.3g}: {why}.",
        "Which layer does not know of eval()?",
        "Use nn.Dropout, or functional.dropout(…, training=self.training).",
        {"change": change},
    )


def check_not_seeded(case: Case) -> Finding | None:
    """Find a model that is another one each time that it is built."""
    if case.build is None:
        raise Unavailable("whether a run can be repeated shows in building the model twice; pass build=…")
    built = []
    for other in (1, 2):
        with case.fresh():
            seed_everything(case.seed + 7919 * other)  # what came before differs from run to run
            model = case.call("build()", case.build)
            if not isinstance(model, nn.Module):
                raise Unavailable(f"build() returned {type(model).__name__}, not a model")
            built.append(_values(model))
    differ = [
        name for name, value in built[0].items() if name not in built[1] or not _same(value, built[1][name])
    ]
    if not differ:
        return None
    return Finding(
        "not-seeded",
        "warning",
        f"Built twice, the model differs in {len(differ)} of {len(built[0])} tensors: {listed(differ)}.",
        "Could you tell whether a change of the code, or chance, changed the result?",
        "Call torch.manual_seed(…) at the beginning of build(), and give data loaders a generator of their "
        "own.",
        {"differ": differ},
    )


CHECKS = (check_evaluation, check_always_random, check_not_seeded)


def _mode(case: Case, seen: Seen) -> Iterator[Finding]:
    """Find dropout that drops, and batch norm that learns, while the model is evaluated."""
    training = sorted({name for forward in seen.forwards for name in forward.training})
    if not training:
        return
    yield Finding(
        "evaluation-in-train-mode",
        "error",
        f"While evaluate() runs, {listed(training)} {'is' if len(training) == 1 else 'are'} in training "
        "mode: dropout drops, batch norm uses the statistics of each batch, and the number depends on "
        "chance and on the batches.",
        "Where does the evaluation call model.eval()?",
        "Call model.eval() before evaluating and model.train() after it.",
        {"modules": training},
    )


def _rows(case: Case, seen: Seen) -> Iterator[Finding]:
    """Find an evaluation that measures on what the model is trained on."""
    inputs = [forward.x for forward in seen.forwards if isinstance(forward.x, torch.Tensor)]
    inputs = [x for x in inputs if x.shape[1:] == case.data.x.shape[1:] and x.dtype == case.data.x.dtype]
    if not inputs:
        return
    used, train = np.unique(np.concatenate([fingerprints(x) for x in inputs])), fingerprints(case.data.x)
    twins = 1 - len(np.unique(train)) / len(train)
    share = np.isin(used, train).mean()
    if twins > 0.5 or share < 0.9 or len(used) < 3:
        return
    yield Finding(
        "evaluation-on-training-data",
        "error" if case.validation is not None else "warning",
        f"{share:.0%} of the {len(used)} examples that evaluate() gives to the model are training examples"
        + (", although there are validation data." if case.validation is not None else "."),
        "What does this number say about examples that the model has not seen?",
        "Evaluate on data that were split off before training.",
        {"share": float(share), "examples": len(used)},
    )


def _leaves_in_eval(case: Case, evaluating: bool) -> Iterator[Finding]:
    """Find an evaluation after which training goes on in evaluation mode."""
    parts = differing(case.model)
    if not (evaluating and parts and case.own_step and case.working.seen.forwards):
        return
    if not any(forward.training for forward in case.working.seen.forwards if forward.records):
        return  # it is in evaluation mode anyway, which is another finding
    with case.fresh():
        case.model.eval()
        with watching(case.model) as seen:
            case.step(*case.data.batch)
    forwards = [forward for forward in seen.forwards if forward.records]
    if forwards and not forwards[0].training:
        yield Finding(
            "training-in-eval-mode",
            "warning",
            "evaluate() leaves the model in evaluation mode, and the step does not set training mode again: "
            f"after the first evaluation {listed(sorted(parts))} would stay switched off.",
            "Is there a model.train() in your loop, after the evaluation?",
            "Call model.train() at the beginning of each epoch, or of the step.",
            {"modules": sorted(parts)},
        )


def _values(model: nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: value.detach().clone() for name, value in (*model.named_parameters(), *model.named_buffers())
    }


def _gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the gradients, zeros where there are none."""
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()
        for name, parameter in model.named_parameters()
    }


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and bool(((first == second) | (first.isnan() & second.isnan())).all())
