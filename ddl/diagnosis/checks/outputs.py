"""Checks of the output: what it depends on, and what it can say."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ddl.diagnosis.case import Case
from ddl.diagnosis.checks.inputs import class_counts
from ddl.diagnosis.checks.steps import listed
from ddl.diagnosis.errors import Unavailable
from ddl.diagnosis.report import Finding

MOST_PLACES = 64
"""Features that are exchanged one by one, to see whether they matter."""

SHAPES = (
    "View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Transpose", "Permute", "Select", "Slice",
    "Clone", "Expand", "ToCopy", "Alias", "T", "Index", "Contiguous", "Flatten",
)  # fmt: skip
"""Operations that leave the numbers as they are."""

OPERATIONS = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softmax": "softmax", "LogSoftmax": "log_softmax",
    "Addmm": "linear", "Mm": "linear", "Convolution": "linear", "Bmm": "linear", "Mv": "linear",
    "Linear": "linear",
}  # fmt: skip


def final_operation(output: torch.Tensor) -> str:
    """Return what computed a tensor last, views aside: ``"relu"``, ``"linear"``, …; else PyTorch's name.

    Examples
    --------
    >>> scores = torch.zeros(2, 3, requires_grad=True)
    >>> final_operation(scores.softmax(1)[:, 0])
    'softmax'
    """
    node = output.grad_fn if isinstance(output, torch.Tensor) else None
    while node is not None:
        name = node.name().removesuffix(node.name()[-1]).removesuffix("Backward")
        if name not in SHAPES or not node.next_functions:
            return OPERATIONS.get(name, name)
        node = node.next_functions[0][0]
    return ""


def check_labels_out_of_range(case: Case) -> Iterator[Finding]:
    """Find labels that the output or the loss has no place for."""
    y = case.data.y
    functions = {call.function for call in case.forward_seen.losses}
    if y.is_floating_point() or y.dtype == torch.bool:
        yield from _one_column(case)
        if functions & {"binary_cross_entropy", "binary_cross_entropy_with_logits"}:
            yield from _not_probabilities(y)
        return
    yield from _one_column(case)
    classes = _classes(case)
    if classes is None or classes == 1:
        return
    labels = y[y != -100]  # the label that PyTorch's losses leave out
    if not labels.numel():
        return
    low, high = int(labels.min()), int(labels.max())
    numbers = {"smallest": low, "largest": high, "outputs": classes}
    wrong = int(((labels < 0) | (labels >= classes)).sum())
    if not wrong:
        used = len(labels.unique())
        # Of as many examples per class as this, all classes would have been seen.
        many = len(labels) >= 30 * classes
        if high + 1 < classes and (many or classes >= 2 * (high + 1)) and y.ndim == 1:
            yield Finding(
                "output-size",
                "note",
                f"The output has {classes} scores per example, but the labels are {low} to {high}, {used} of "
                "them.",
                "How many classes are there?",
                "Make the last layer as wide as there are classes.",
                numbers,
            )
        return
    shifted = low >= 1 and high - low < classes
    too_narrow = low >= 0 and not shifted
    yield Finding(
        "output-size" if too_narrow else "labels-out-of-range",
        "error",
        f"{wrong} of {labels.numel()} labels are not among 0 to {classes - 1}, for which the output has "
        f"scores: they go from {low} to {high}.",
        "Do the labels count from 1, or is the last layer narrower than the number of classes?",
        f"Make the last layer {high + 1} wide." if too_narrow else f"Number the classes from 0: y - {low}.",
        numbers,
    )


def check_mixes_examples(case: Case) -> Finding | None:
    """Find outputs that depend on the other examples of the batch."""
    x, other = case.batch[0], case.to_model(case.data.other)[0]
    # A number that is no other size of the output shows which axis is that of the examples.
    rows = next(rows for rows in (12, 11, 13, 7) if rows not in case.output.shape[1:])
    rows = min(len(x), len(other) + 1, rows)
    if rows < 2 or x.shape[1:] != other.shape[1:]:
        raise Unavailable("there are too few examples")
    # The first and the last stay where they are, one at a time: recurrence over the examples runs one way.
    mixed = torch.cat([x[:1], other[: rows - 1]]), torch.cat([other[: rows - 1], x[rows - 1 : rows]])
    alone = _by_example(case.predict(x[:rows]), rows)
    if alone is None:
        shape = tuple(case.predict(x[:rows]).shape)
        return Finding(
            "mixes-examples",
            "error",
            f"For {rows} examples the output has shape {shape}: not one row for each.",
            "Which operation reduces or reshapes over the axis of the examples?",
            "Keep the first axis as it is: flatten(1), x.reshape(len(x), -1).",
            {"shape": shape},
        )
    first, last = (_by_example(case.predict(mixed[at]), rows)[-at] for at in (0, 1))
    change = max((alone[0] - first).abs().max().item(), (alone[-1] - last).abs().max().item())
    scale = alone.float().abs().max().item() + 1e-12
    if not change > 1e-3 * scale:
        return None
    recurrent = [m for m in case.model.modules() if isinstance(m, nn.RNNBase) and not m.batch_first]
    hint = (
        "; its recurrent layer has batch_first=False, and takes the first axis for time" if recurrent else ""
    )
    return Finding(
        "mixes-examples",
        "error",
        f"The output for one example changes by {change:.3g}, where outputs are up to {scale:.3g}, when the "
        f"others in the batch are exchanged, in evaluation mode{hint}.",
        "Which operation works along the axis of the examples: a softmax, a mean, a norm, a reshape?",
        "Name the axis in each reduction and softmax (dim=1), keep the first axis in each reshape; "
        "batch_first=True for recurrent layers and attention.",
        {"change": change, "scale": scale},
    )


def _by_example(output: torch.Tensor, rows: int) -> torch.Tensor | None:
    """Return an output with one row for each example, also if places or time come first in it."""
    if output.ndim and len(output) == rows:
        return output
    if output.ndim > 1 and output.shape[1] == rows:
        return output.transpose(0, 1)
    if output.ndim and len(output) > rows and len(output) % rows == 0:
        return output.reshape(rows, -1)
    return None


def check_output_is_linear(case: Case) -> Finding | None:
    """Find several layers that together are no more than one, for want of an activation."""
    x = case.batch[0]
    layers = [
        name
        for name, module in case.model.named_modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and name in case.forward_seen.called
    ]
    if not x.is_floating_point() or len(layers) < 2 or len(x) < 4:
        return None
    first, second = x, -3 * x.flip(0)
    outputs = [case.predict(values).double() for values in (first, second, (first + second) / 2)]
    spread = (outputs[0] - outputs[1]).abs().mean().item()
    bend = (outputs[2] - (outputs[0] + outputs[1]) / 2).abs().mean().item()
    if not spread > 1e-6 or bend > 1e-4 * spread:
        return None
    return Finding(
        "missing-activation",
        "warning",
        "The output is a linear function of the inputs: half-way between two inputs it is half-way between "
        f"their outputs, to {bend / spread:.1g} of their difference, although there are {len(layers)} layers "
        "with weights.",
        "What stands between the layers?",
        "Put an activation, such as nn.ReLU(), after each layer but the last.",
        {"bend": bend, "spread": spread, "layers": len(layers)},
    )


def check_ignored_features(case: Case) -> Finding | None:
    """Find features, or places of a sequence, that the output does not depend on."""
    x = case.batch[0]
    places = x.shape[1] if x.ndim in (2, 3) else 0
    if not 2 <= places <= MOST_PLACES or len(x) < 8:
        return None
    original, order = case.predict(x), torch.arange(len(x), device=x.device).roll(1)
    ignored, varying = [], 0
    for place in range(places):
        changed = x.clone()
        changed[:, place] = x[order, place]
        if torch.equal(changed, x):
            continue
        varying += 1
        if torch.equal(case.predict(changed), original):
            ignored.append(place)
    if not ignored or len(ignored) == varying:
        return None  # of an output that depends on nothing at all, there is more to say after training
    what = "features" if x.ndim == 2 and x.is_floating_point() else "places of the sequence"
    return Finding(
        "ignores-input",
        "warning",
        f"The output stays the same, to the last bit, when {len(ignored)} of {varying} {what} are exchanged "
        f"between examples: {listed([str(place) for place in ignored])}.",
        "Where in forward() are these left out: a slice, a reshape, a last step that forgets the ones "
        "before?",
        "Print the shape after each layer, and follow one of these features through it.",
        {"ignored": ignored, "varying": varying},
    )


CHECKS = (check_labels_out_of_range, check_mixes_examples, check_output_is_linear, check_ignored_features)


def _classes(case: Case) -> int | None:
    """Return for how many classes the output has scores, if it has."""
    for call in case.forward_seen.losses:
        whole = not call.target.is_floating_point()
        if call.function in ("cross_entropy", "nll_loss", "multi_margin_loss") and whole:
            return call.output.shape[1] if call.output.ndim > 1 else call.output.shape[0]
        if call.function.startswith("binary_cross_entropy"):
            return 2
    # A loss of one's own may be about something else than classes, unless it fails on them.
    failed = isinstance(case.forward_seen.error, IndexError | RuntimeError)
    if failed and case.data.y.ndim == 1 and case.output.ndim == 2 and case.output.shape[1] > 1:
        return case.output.shape[1] if class_counts(case) is not None else None
    return None


def _one_column(case: Case) -> Iterator[Finding]:
    """Find several classes for which the output has one number."""
    for call in case.forward_seen.losses:
        if (
            call.function in ("cross_entropy", "nll_loss")
            and call.output.ndim > 1
            and call.output.shape[1] == 1
        ):
            yield Finding(
                "output-size",
                "error",
                f"{call.function} gets one score per example. A softmax over one score is 1, and its loss 0, "
                "whatever the output is.",
                "How many classes are there?",
                "Give each class a score of its own; or, for two classes, take "
                "binary_cross_entropy_with_logits.",
                {"outputs": 1},
            )
            return
        counts = class_counts(case)
        labels = case.data.y
        if call.function not in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss") or counts is None:
            continue
        if (
            labels.is_floating_point()
            or not 3 <= len(counts) <= 100
            or call.output.numel() != len(call.output)
        ):
            continue
        if int(labels.min()) == 0 and int(labels.max()) == len(counts) - 1 and counts.min() >= 5:
            yield Finding(
                "output-size",
                "warning",
                f"The targets are whole numbers from 0 to {len(counts) - 1}, as the numbers of classes are, "
                f"and {call.function} compares them with one output as quantities: class 0 is then nearer to "
                f"class 1 than to class {len(counts) - 1}.",
                "Are these classes, or quantities?",
                f"For classes: {len(counts)} outputs and cross_entropy.",
                {"outputs": 1, "classes": len(counts)},
            )
            return


def _not_probabilities(y: torch.Tensor) -> Iterator[Finding]:
    """Find targets of a binary cross entropy that are no probabilities."""
    values = y.float()
    wrong = int(((values < 0) | (values > 1)).sum())
    if wrong:
        yield Finding(
            "labels-out-of-range",
            "error",
            f"{wrong} of {values.numel()} targets of a binary cross entropy are not between 0 and 1: they go "
            f"from {values.min():.3g} to {values.max():.3g}.",
            "How are the two classes coded?",
            "Code them as 0 and 1, as (y > 0).float() does.",
            {"wrong": wrong, "smallest": values.min().item(), "largest": values.max().item()},
        )
