"""Checks of which target belongs to which input, and of inputs that give the target away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ddl.diagnosis.association import Association
from ddl.diagnosis.case import Case
from ddl.diagnosis.checks.inputs import class_counts
from ddl.diagnosis.errors import Unavailable
from ddl.diagnosis.report import Finding

FEWEST = 60
"""Examples of which can be said whether targets belong to their inputs."""

FEW = 300
"""Examples that are asked first: where targets belong to their inputs, they mostly say so, in less time."""

SHIFTS = (-3, -2, -1, 1, 2, 3)
"""By how many rows targets are moved, to see whether they then belong."""


def check_labels_misaligned(case: Case) -> Iterator[Finding]:
    """Find targets that do not belong to their inputs."""
    moved = _reordered_in_step(case)
    if moved is not None:
        yield Finding(
            "labels-misaligned",
            "error",
            "The step compares the outputs with the targets of other examples: the targets that reach its "
            f"loss are those of the batch in another order, {moved:.0%} of them differ.",
            "Where are inputs or targets shuffled, sorted or shifted by themselves?",
            "Index inputs and targets with one and the same permutation.",
            {"differ": moved},
        )
        return
    x, y = case.data.x, case.data.y
    target = _column(case)
    if target is None or len(x) < FEWEST:
        raise Unavailable("too few examples, or targets that are not one number or one class for each")
    rows = (
        np.arange(len(x))
        if len(x) <= 1000
        else np.sort(np.random.default_rng(case.seed).permutation(len(x))[:1000])
    )
    finite = (x.isfinite().reshape(len(x), -1).all(1) & y.isfinite().reshape(len(y), -1).all(1)).cpu().numpy()
    rows = rows[finite[rows]]
    if len(rows) < FEWEST:
        raise Unavailable(f"there are fewer than {FEWEST} examples without gaps")
    for stride in sorted({max(1, len(rows) // FEW), 1}, reverse=True):
        some = rows[::stride]
        belonging = Association(x[torch.from_numpy(some)])
        here = belonging.deviations(target[some], case.seed)
        if here > (3 if stride == 1 else 6):
            return
    for shift in SHIFTS:
        there = belonging.deviations(np.roll(target, shift)[rows], case.seed)
        if there > 6:
            yield Finding(
                "labels-misaligned",
                "error",
                f"Moved by {shift} row{'s' * (abs(shift) != 1)} the targets belong to the inputs: they can "
                f"be predicted {there:.0f} standard deviations better than shuffled ones; as they are, "
                f"{here:.1f}.",
                "Where was a row dropped or added in only one of the two?",
                "Read inputs and targets from one table, and drop rows in both at once.",
                {"shift": shift, "here": here, "there": there},
            )
            return
    elsewhere = _validation_deviations(case)
    known = elsewhere is not None and elsewhere > 6
    also = f"; in the validation data they do, by {elsewhere:.0f} standard deviations" if known else ""
    yield Finding(
        "labels-misaligned",
        "error" if known else "warning",
        "The targets seem to have nothing to do with the inputs: from neighbours, and from a linear model, "
        f"they are predicted {max(here, 0):.1f} standard deviations better than shuffled targets at the "
        f"most{also}.",
        "Do the rows of x and y still belong together, and can you tell a few targets from their inputs by "
        "eye?",
        "Look at some examples with their targets; index inputs and targets with one and the same "
        "permutation.",
        {"deviations": here},
    )


def check_target_leakage(case: Case) -> Iterator[Finding]:
    """Find inputs in which the target stands written."""
    x, y = case.data.x, case.data.y
    if not x.is_floating_point() and x.shape == y.shape and x.ndim == 2 and not y.is_floating_point():
        yield from _tokens(case)
        return
    if x.is_floating_point() and x.ndim == 3 and y.ndim >= 2:
        return
    target = _column(case)
    if target is None or len(x) < 20 or not x.is_floating_point():
        return
    rows = np.random.default_rng(case.seed).permutation(len(x))[:1000]
    features = x.reshape(len(x), -1)[torch.from_numpy(rows)].double().cpu().numpy()
    target = target[rows]
    if features.shape[1] < 2 or features.shape[1] > 5000 or np.ptp(target) == 0:
        return
    classes = class_counts(case) is not None
    scores = _told_by_one(features, target, classes)
    best = int(np.argmax(scores))
    rest = np.delete(scores, best)
    told = np.flatnonzero(scores > 0.999)
    few = len(told) <= max(1, len(np.unique(target)) if classes else 1)
    others = scores[scores <= 0.999]
    if scores[best] > 0.9999 and few and others.max(initial=0.0) < 0.95:
        severity = "error"
    elif scores[best] > 0.98 and np.sort(rest)[-1] < 0.9 * scores[best]:
        severity = "warning"
    else:
        return
    yield Finding(
        "target-leakage",
        severity,
        f"Feature {best} alone tells the target: it accounts for {scores[best]:.2%} of its variance; the "
        f"next best for {np.sort(rest)[-1]:.0%}.",
        "Is this feature known at the time of the prediction, or is it made from the target?",
        "Leave out what is computed from the target or known only after it.",
        {"feature": best, "told": float(scores[best])},
    )


CHECKS = (check_labels_misaligned, check_target_leakage)


def _tokens(case: Case) -> Iterator[Finding]:
    """Find sequence models that see what they are to predict."""
    x, y = case.batch
    if bool((x == y).all()):
        yield Finding(
            "target-leakage",
            "warning",
            "The targets of the sequences are the inputs themselves, place by place: copying them is enough.",
            "Is each target the token after the one at its place?",
            "Shift them by one: x = tokens[:, :-1], y = tokens[:, 1:].",
            {},
        )
        return
    length = x.shape[1]
    if length < 3 or not bool((y[:, :-1] == x[:, 1:]).all()):
        return
    middle = length // 2
    changed = x.clone()
    later = x[:, middle:]
    changed[:, middle:] = later.flip(0) if bool((later.flip(0) != later).any()) else later.roll(1, 1)
    outputs = case.predict(x), case.predict(changed)
    if outputs[0].ndim != 3:
        return
    # The loss of PyTorch has the classes on axis 1; whoever flattens for it has them on the last.
    by_class = any(call.output.shape == outputs[0].shape for call in case.forward_seen.losses)
    axis = 2 if by_class else 1
    if outputs[0].shape[axis] != length:
        return
    before = [output.narrow(axis, 0, middle) for output in outputs]
    change = (before[0] - before[1]).abs().max().item()
    if change > 1e-4 * outputs[0].abs().max().item():
        yield Finding(
            "target-leakage",
            "error",
            f"The targets are the next tokens, and the outputs at places 0 to {middle - 1} change by "
            f"{change:.3g} when the tokens from place {middle} on are exchanged: the model sees what it is "
            "to predict.",
            "Which layer looks ahead: attention without a causal mask, or a recurrent layer in both "
            "directions?",
            "Mask the attention (is_causal=True), or make the recurrent layer go in one direction only.",
            {"change": change},
        )


def _reordered_in_step(case: Case) -> float | None:
    """Return which share of the targets that the step compares with are not those of their example."""
    if not case.own_step:
        return None
    y = case.data.batch[1]
    differing = []
    for call in case.first.seen.losses:
        given = call.target.detach().reshape(-1)
        if given.numel() != y.numel() or y.ndim > 2:
            continue
        wanted = y.reshape(-1).to(given.device, given.dtype)
        differ = (given != wanted).float().mean().item()
        if differ == 0:
            return None
        if torch.equal(given.sort().values, wanted.sort().values):
            differing.append(differ)
    inputs, x = case.first.seen.forwards, case.data.batch[0]
    same = not inputs or (isinstance(inputs[0].x, torch.Tensor) and torch.equal(inputs[0].x.to(x.device), x))
    return max(differing) if differing and same else None


def _column(case: Case) -> np.ndarray | None:
    """Return one number per example: the target, or its class."""
    y = case.data.y
    if y.numel() != len(y):
        return None
    return y.reshape(-1).double().cpu().numpy()


def _validation_deviations(case: Case) -> float | None:
    """Return by how many standard deviations the validation targets belong to their inputs."""
    data = case.validation
    if data is None or len(data) < FEWEST or data.y.numel() != len(data):
        return None
    rows = np.random.default_rng(case.seed).permutation(len(data))[:1000]
    belonging = Association(data.x[torch.from_numpy(rows)])
    return belonging.deviations(data.y.reshape(-1).double().cpu().numpy()[rows], case.seed)


def _told_by_one(features: np.ndarray, target: np.ndarray, classes: bool) -> np.ndarray:
    """Return for each feature which part of the target's variance it accounts for, linearly or by its rank.

    Of classes: of the variance of belonging to one of them, of the one that it tells best.
    """
    columns = [target == value for value in np.unique(target)] if classes else []
    if len(columns) != 2:
        columns.append(target)
    told = np.max([_shared_variance(features, column) for column in columns], 0)
    if not classes:
        from scipy.stats import rankdata  # slow to import

        ranks = [rankdata(values, axis=0) for values in (features, target)]
        constant = np.ptp(features, 0) == 0
        told = np.maximum(told, np.where(constant, 0, _shared_variance(*ranks)))
    return told


def _shared_variance(features: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return the squared correlations of features with a column; 0 for constant ones."""
    centred, values = features - features.mean(0), column - column.mean()
    spread = np.sqrt((centred**2).sum(0))
    size = np.sqrt((values**2).sum())
    return (
        values @ centred / np.where(spread > 1e-9 * (1 + np.abs(features).max(0)), spread * size, np.inf)
    ) ** 2
