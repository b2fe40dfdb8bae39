"""Checks of the first loss: whether it is what it should be before anything is learned, and a number."""

from __future__ import annotations

import torch

from ddl.diagnosis.case import Case
from ddl.diagnosis.checks.losses import LOGITS, compared
from ddl.diagnosis.errors import Unavailable
from ddl.diagnosis.report import Finding


def check_initial_loss(case: Case) -> Finding | None:
    """Find a first loss that is far above that of knowing nothing."""
    if not any(call.function in LOGITS for _, call in compared(case)):
        return _initial_error(case)
    expected = case.loss_of_output(torch.zeros_like(case.output))
    measured = case.initial_loss
    if not measured > 1.5 * expected + 0.3:
        return None
    return Finding(
        "initial-loss",
        "error" if measured > 8 * expected and not _learns(case) else "warning",
        f"The first loss is {measured:.3g}; that of the same score for every class is {expected:.3g}. The "
        f"scores have a standard deviation of {case.output.float().std():.3g}: the model is sure of what it "
        "cannot know.",
        "How are the weights, those of the last layer above all, initialised, and how large are the inputs?",
        "Take PyTorch's own initialisation, or scale the weights of the last layer down; standardise the "
        "inputs.",
        {"measured": measured, "expected": expected},
    )


def check_loss_not_finite(case: Case) -> Finding | None:
    """Find a loss, or gradients, that are not finite from the first step on."""
    loss = case.backward.loss
    bad = [
        name for name, g in case.backward.gradients.items() if g is not None and not bool(g.isfinite().all())
    ]
    if torch.isfinite(torch.tensor(loss)) and not bad:
        return None
    output = case.backward.output.detach()
    what = f"The loss of the first batch is {loss}"
    if not bool(output.isfinite().all()):
        what += "; the output itself is not finite"
    elif bad and torch.isfinite(torch.tensor(loss)):
        what = f"The loss of the first batch is {loss:.3g}, but the gradients of {bad[0]} are not finite"
    return Finding(
        "loss-not-finite",
        "error",
        f"{what}, with inputs that are.",
        "Which operation makes it: the logarithm or the root of 0, a division by 0, an exponential?",
        "Use PyTorch's losses of scores, which avoid it; or add a small number under the root or the "
        "logarithm.",
        {"loss": loss, "tensors": bad},
    )


CHECKS = (check_initial_loss, check_loss_not_finite)


def _initial_error(case: Case) -> Finding | None:
    """Find a first loss of a regression that is far above that of one output for all examples."""
    if case.constant is None or case.floor is None or not case.constant > 1e-6:
        raise Unavailable("what a first loss should be is not known for this loss")
    measured = case.initial_loss
    ratio = (measured - case.floor) / max(case.constant - case.floor, 1e-12)
    if not ratio > 50:
        return None
    return Finding(
        "initial-loss",
        "error" if ratio > 1000 and not _learns(case) else "warning",
        f"The first loss is {measured:.3g}; the best single output for all examples would have "
        f"{case.constant:.3g}. The outputs have a standard deviation of {case.output.float().std():.3g}.",
        "How are the weights initialised, and how large are the inputs and the targets?",
        "Take PyTorch's own initialisation, or scale the weights of the last layer down; standardise both.",
        {"measured": measured, "expected": case.constant},
    )


def _learns(case: Case) -> bool:
    """Return whether the step lowers the loss of a batch all the same."""
    try:
        return case.progress(case.at(1.0)) > 0.3
    except Unavailable:
        return False
