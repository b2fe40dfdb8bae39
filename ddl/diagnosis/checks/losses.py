"""Checks of how the output, the loss and the targets fit together."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ddl.diagnosis.case import Case
from ddl.diagnosis.checks.inputs import class_counts
from ddl.diagnosis.checks.outputs import final_operation
from ddl.diagnosis.errors import Unavailable
from ddl.diagnosis.report import Finding
from ddl.diagnosis.values import number
from ddl.diagnosis.watching import Compared

ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")

REACH = {"relu": (0.0, float("inf")), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softmax": (0.0, 1.0)}
"""The least and the largest number that a last activation puts out."""

LOGITS = ("cross_entropy", "binary_cross_entropy_with_logits")
"""The losses that take scores of any size."""


def compared(case: Case) -> list[tuple[str, Compared]]:
    """Return the calls of PyTorch's losses, in the loss and in the step, each with the place."""
    calls = [("the loss", call) for call in case.forward_seen.losses]
    if case.own_step:
        calls += [("the step", call) for call in case.first.seen.losses]
    return calls


def check_double_softmax(case: Case) -> Finding | None:
    """Find probabilities given to a loss that makes probabilities of scores itself."""
    for place, call in compared(case):
        output = call.output.detach()
        if call.function != "cross_entropy" or output.ndim < 2 or output.shape[1] < 2:
            continue
        sums_to_one = output.min() >= 0 and (output.sum(1) - 1).abs().max() < 1e-3
        if sums_to_one or final_operation(call.output) == "softmax":
            classes = output.shape[1]
            least = torch.tensor(1 + (classes - 1) / torch.e).log().item()
            return Finding(
                "double-softmax",
                "error",
                f"In {place} cross_entropy, which applies a softmax itself, gets {classes} numbers per "
                "example that come from a softmax already: it is applied twice. The loss cannot fall below "
                f"{least:.2f}.",
                "Where is the first softmax: at the end of the model, or before the loss?",
                "Give the loss the scores before the softmax; apply softmax only to show probabilities.",
                {"classes": classes, "least": least},
            )
    return None


def check_double_sigmoid(case: Case) -> Finding | None:
    """Find probabilities given to a loss that applies a sigmoid itself."""
    for place, call in compared(case):
        if call.function != "binary_cross_entropy_with_logits":
            continue
        last, output = final_operation(call.output), call.output.detach()
        if last == "sigmoid" or (last == "softmax" and output.min() >= 0):
            return Finding(
                "double-sigmoid",
                "error",
                f"In {place} binary_cross_entropy_with_logits, which applies a sigmoid itself, gets what a "
                f"{last} puts out, from {output.min():.2f} to {output.max():.2f}: its predictions stay "
                "between 0.5 and 0.73.",
                "Where is the first sigmoid: at the end of the model, or before the loss?",
                "Give this loss the scores before the sigmoid; or take binary_cross_entropy for "
                "probabilities.",
                {"smallest": output.min().item(), "largest": output.max().item()},
            )
    return None


def check_missing_activation(case: Case) -> Finding | None:
    """Find scores given to a loss that wants probabilities or their logarithms."""
    for place, call in compared(case):
        output = call.output.detach()
        numbers = {"smallest": output.min().item(), "largest": output.max().item()}
        span = f"from {output.min():.3g} to {output.max():.3g}"
        if call.function == "binary_cross_entropy":
            outside = ((output < 0) | (output > 1)).float().mean().item()
            if outside > 0 or final_operation(call.output) == "linear":
                return Finding(
                    "missing-activation",
                    "error",
                    f"In {place} binary_cross_entropy wants probabilities, and gets numbers {span}, "
                    f"{outside:.0%} of them outside 0 to 1.",
                    "Does the model end in a sigmoid?",
                    "Take binary_cross_entropy_with_logits, which applies the sigmoid itself; or end in a "
                    "sigmoid.",
                    numbers | {"outside": outside},
                )
        if call.function in ("nll_loss", "kl_div") and output.ndim > 1:
            if final_operation(call.output) == "softmax":
                return Finding(
                    "final-activation",
                    "error",
                    f"In {place} {call.function} wants logarithms of probabilities, and gets probabilities, "
                    f"{span}: the last activation is a softmax.",
                    "Which activation does this loss go with?",
                    "Take log_softmax in place of softmax; or scores and cross_entropy.",
                    numbers,
                )
            sums = min(output.logsumexp(axis).abs().max().item() for axis in {1, output.ndim - 1})
            if sums > 1e-2:
                return Finding(
                    "missing-activation",
                    "error",
                    f"In {place} {call.function} wants logarithms of probabilities, and gets numbers {span} "
                    f"whose exponentials do not sum to 1 (the logarithm of their sum is up to {sums:.3g} "
                    "away from 0).",
                    "Does the model end in a log_softmax?",
                    "Take cross_entropy, which applies the log_softmax itself; or end in "
                    "log_softmax(output, 1).",
                    numbers,
                )
    return _refuses_scores(case)


def _refuses_scores(case: Case) -> Finding | None:
    """Find a loss of one's own that is no number for scores, though the model puts out scores."""
    classes = class_counts(case)
    if final_operation(case.backward.output) != "linear" or classes is None or len(classes) > 1000:
        return None
    wide = case.output.ndim > 1 and case.output.shape[1] > 1
    likely = torch.full_like(case.output, 1 / case.output.shape[1] if wide else 0.5)
    values = {}
    for name, output in (("probabilities", likely), ("below", likely - 1.5), ("above", likely + 1.5)):
        try:
            values[name] = case.loss_of_output(output)
        except Unavailable:
            values[name] = math.nan
    if not math.isfinite(values["probabilities"]) or math.isfinite(values["below"]):
        return None
    return Finding(
        "missing-activation",
        "error",
        f"The loss is {values['probabilities']:.3g} for probabilities, and no number for an output of "
        f"{likely.min() - 1.5:.2g}; but the model ends in a linear layer, which puts out numbers of any "
        "size.",
        "Does the loss want probabilities, and what makes them of the scores?",
        "Take cross_entropy or binary_cross_entropy_with_logits, which take scores; or end in a softmax or "
        "sigmoid.",
        values,
    )


def check_final_activation(case: Case) -> Finding | None:
    """Find a last activation that keeps the output from the targets."""
    for place, call in compared(case):
        last, output, target = final_operation(call.output), call.output.detach(), call.target.detach()
        if last not in REACH:
            continue
        low, high = REACH[last]
        if last == "softmax" and output.ndim == 2 and output.shape[1] == 1:
            evidence = "a softmax over one column is 1 for every example"
            numbers: dict[str, object] = {"columns": 1}
        elif (call.function in LOGITS and last in ("relu", "tanh")) or (call.function, last) == (
            LOGITS[0],
            "sigmoid",
        ):
            evidence = f"{call.function} wants scores of any size, but a {last} puts out {low:g} to {high:g}"
            numbers = {"low": low, "high": high}
        elif call.function in ELEMENTWISE and target.shape == output.shape:
            values = case.data.y.float() if case.data.y.shape[1:] == target.shape[1:] else target.float()
            margin = 0.02 * (values.max() - values.min()).item()
            outside = ((values < low - margin) | (values > high + margin)).float().mean().item()
            if outside < 0.01:
                continue
            evidence = (
                f"{outside:.0%} of the targets, from {values.min():.3g} to {values.max():.3g}, are out of "
                f"the reach of a {last}, which puts out {low:g} to {high:g}"
            )
            numbers = {"outside": outside, "low": low, "high": high}
        else:
            continue
        return Finding(
            "final-activation",
            "error",
            f"The output that {place} gets comes from a {last}: {evidence}.",
            "Which values must the output be able to take?",
            "Leave out the activation after the last layer.",
            numbers,
        )
    return None


def check_broadcast_shapes(case: Case) -> Iterator[Finding]:
    """Find outputs that are compared with the targets of other examples."""
    shapes = None
    for place, call in compared(case):
        if call.function in ELEMENTWISE and call.output.shape != call.target.shape:
            if call.output.ndim == call.target.ndim == 2 and len(call.output) == len(call.target):
                yield _wrong_width(place, call)
                return
            shapes = f"in {place}, {call.function} compares an output of shape {tuple(call.output.shape)} "
            shapes += f"with targets of shape {tuple(call.target.shape)}"
            break
    if shapes is None and _ignores_order(case):
        shapes = f"the loss of an output of shape {tuple(case.output.shape)} and targets of shape "
        shapes += (
            f"{tuple(case.batch[1].shape)} stays the same when the targets are dealt out in another order"
        )
    if shapes is None and case.own_step and case.first.seen.broadcasts:
        shapes = f"in the step, shapes {case.first.seen.broadcasts[0]} meet"
    if shapes is None:
        return
    yield Finding(
        "broadcast-shapes",
        "error",
        f"Shapes are broadcast: {shapes}. Every output is compared with every target, and the best that the "
        "model can do is one output for all.",
        "What are the shapes of the output and of the targets, just before the loss?",
        "Make them equal: y[:, None] or output.squeeze(1).",
        {"output": tuple(case.output.shape), "targets": tuple(case.batch[1].shape)},
    )


def _wrong_width(place: str, call: Compared) -> Finding:
    """Return the finding of an output with more or fewer columns than the targets."""
    columns = call.output.shape[1], call.target.shape[1]
    return Finding(
        "output-size",
        "error",
        f"In {place} {call.function} compares {columns[0]} outputs per example with {columns[1]} targets: "
        "the narrower is repeated.",
        "How many numbers are to be predicted for each example?",
        f"Make the last layer {columns[1]} wide.",
        {"outputs": columns[0], "targets": columns[1]},
    )


def check_loss_reduction(case: Case) -> Finding | None:
    """Find a loss that is no number, or grows or shrinks with the number of examples."""
    raw = case.raw_loss
    question = "What becomes of the loss, and of the gradient, if the batch is twice as large?"
    if isinstance(raw, torch.Tensor) and raw.numel() > 1:
        if case.own_step and case.first.seen.error is None:
            return None  # the step averages
        return Finding(
            "loss-reduction",
            "error",
            f"The loss of {len(case.batch[0])} examples has shape {tuple(raw.shape)}; backward() needs one "
            "number.",
            "Which reduction does the loss use?",
            "Average over the examples: reduction='mean', or .mean().",
            {"shape": tuple(raw.shape)},
        )
    n = len(case.batch[0])
    if n < 4:
        raise Unavailable("there are fewer than four examples")
    once, twice = _loss_of_repeated(case)
    ratio = twice / once if once else 1.0
    scale = _scale_of_step(case)
    if abs(ratio - 2) < 0.01:
        return Finding(
            "loss-reduction",
            "warning",
            f"The loss is a sum over the examples: {once:.4g} for {n} examples, {twice:.4g} for the same "
            "twice. The gradient grows with the batch, and the learning rate with it.",
            question,
            "Average over the examples (reduction='mean'), so that the learning rate does not depend on the "
            "batch.",
            {"once": once, "twice": twice},
        )
    if abs(ratio - 0.5) < 0.0025:
        return Finding(
            "loss-reduction",
            "warning",
            f"The loss shrinks with the number of examples: {once:.4g} for {n} examples, {twice:.4g} for the "
            "same twice. It is divided by their number once too often.",
            question,
            "Divide by the number of examples once: reduction='mean' does.",
            {"once": once, "twice": twice},
        )
    for factor, word in ((float(n), "times"), (1 / n, "of")):
        if scale is not None and abs(scale / factor - 1) < 0.02:
            return Finding(
                "loss-reduction",
                "warning",
                f"The gradient in the step is {scale:.4g} {word} that of the loss, and the batch has {n} "
                "examples: the step multiplies or divides by their number.",
                question,
                "Average over the examples once.",
                {"scale": scale, "examples": n},
            )
    return None


CHECKS = (
    check_double_softmax,
    check_double_sigmoid,
    check_missing_activation,
    check_final_activation,
    check_broadcast_shapes,
    check_loss_reduction,
)


def _ignores_order(case: Case) -> bool:
    """Return whether the loss does not depend on which target belongs to which output.

    So it is after broadcasting (n, 1) against (n,) to (n, n), which no loss means to do.
    """
    output, y = case.output, case.batch[1]
    if output.shape == y.shape or {output.ndim, y.ndim} != {1, 2} or output.numel() != y.numel():
        return False
    if len(y) < 3 or not len(y.unique()) > 1:
        return False
    scores = torch.linspace(-1, 1, output.numel(), device=output.device).reshape(output.shape)
    order = y.reshape(-1).argsort().reshape(y.shape[:1])
    values = [case.loss_of_output(scores, targets) for targets in (y[order], y[order.flip(0)])]
    return abs(values[0] - values[1]) <= 1e-5 * max(abs(values[0]), 1e-6)


def _loss_of_repeated(case: Case) -> tuple[float, float]:
    """Return the loss of the batch, and of the batch twice."""
    output, y = case.output, case.batch[1]
    return case.loss_of_output(output), case.loss_of_output(torch.cat([output, output]), torch.cat([y, y]))


def _scale_of_step(case: Case) -> float | None:
    """Return how much longer the gradient in the step is than the loss's, if they point the same way."""
    if not case.own_step or case.first.seen.error is not None or case.first.calls != 1:
        return None
    own, theirs = case.backward.gradients, case.first.seen.gradients
    names = [name for name in own if own[name] is not None and theirs.get(name) is not None]
    if not names:
        return None
    a, b = (torch.cat([gradients[name].reshape(-1).float() for name in names]) for gradients in (own, theirs))
    if torch.cosine_similarity(a, b, 0).item() < 0.999:
        return None
    return number((a @ b) / (a @ a))
