"""Checks of the data: what stands in the inputs and the targets, and how they belong together."""

from __future__ import annotations

import numpy as np
import torch

from ddl.diagnosis.case import Case
from ddl.diagnosis.errors import Unavailable, describe
from ddl.diagnosis.examples import fingerprints
from ddl.diagnosis.report import Finding
from ddl.training.checks import finite, first_gap

LARGE = 10.0
"""Root mean square of inputs, or ratio of their mean to their spread, beyond which they are not scaled."""

UNEVEN = 100.0
"""Ratio of the largest spread of a feature to the smallest beyond which they are not scaled."""


def check_inputs_not_finite(case: Case) -> Finding | None:
    """Find numbers that are none."""
    for letter, values in (("x", case.data.x), ("y", case.data.y)):
        if finite(values):
            continue
        place, value = first_gap(values)
        gaps = (~values.isfinite()).reshape(len(values), -1).any(1)
        rows = int(gaps.sum())
        return Finding(
            "inputs-not-finite",
            "note" if _takes_gaps(case, gaps) else "error",
            f"{rows} of {len(values)} examples hold {value} or the like; the first is {letter}[{place}].",
            "Which step of the preparation makes them: a gap in the file, a division by zero, a logarithm?",
            "Remove these examples, or fill the gaps with the feature's mean over the training data.",
            {"rows": rows, "examples": len(values)},
        )
    return None


def _takes_gaps(case: Case, gaps: torch.Tensor) -> bool:
    """Return whether model and loss are made for gaps, as when they mask them."""
    rows = torch.cat([gaps.nonzero()[:16, 0], (~gaps).nonzero()[:16, 0]])
    x, y = case.to_model((case.data.x[rows], case.data.y[rows]))
    try:
        with case.fresh(), torch.no_grad():
            case.model.eval()
            output = case.call("the model", case.model, x)
            loss = case.call("the loss", case.loss, output, y)
    except Unavailable:
        return False
    return isinstance(loss, torch.Tensor) and bool(loss.isfinite().all())


def check_inputs_constant(case: Case) -> Finding | None:
    """Find inputs that do not tell the examples apart."""
    x = case.data.sample[0].reshape(len(case.data.sample[0]), -1)
    if len(x) < 3:
        raise Unavailable("there are fewer than three examples")
    constant = (x == x[0]).all(0)
    share, features = constant.float().mean().item(), x.shape[1]
    numbers = {"constant": int(constant.sum()), "features": features}
    question = "Which step of the preparation made them equal: an integer division, a wrong axis, a mask?"
    remedy = "Print some rows of x as the model gets them, and compare them with the raw data."
    if share == 1:
        evidence = f"All {len(x)} examples looked at have the same input, {_shown(x[0])}."
        return Finding("inputs-constant", "error", evidence, question, remedy, numbers)
    if share > 0.9 or (features <= 64 and share > 0.5):
        evidence = f"{int(constant.sum())} of {features} features are the same in all {len(x)} examples."
        return Finding("inputs-constant", "warning", evidence, question, remedy, numbers)
    return None


def check_inputs_not_scaled(case: Case) -> Finding | None:
    """Find inputs that are large, far from zero, or of very different spread."""
    x = case.data.sample[0]
    if not x.is_floating_point():
        raise Unavailable("the inputs are whole numbers, such as tokens")
    if len(x) < 3 or _starts_with_norm(case):
        return None
    axes = [axis for axis in range(x.ndim) if axis != 1] if x.ndim > 2 else [0]
    values = x.double()
    mean, spread = values.mean(axes), values.std(axes, correction=0)
    spread = spread.masked_fill(values.amax(axes) == values.amin(axes), 0)
    size = values.square().mean().sqrt().item()
    vary = spread > 0
    if not vary.any():
        return None
    uneven = (spread[vary].max() / spread[vary].min()).item() if x.ndim == 2 and x.shape[1] <= 100 else 1.0
    offset = (mean[vary].abs() / spread[vary]).median().item()
    large = size > LARGE or (uneven > UNEVEN and spread.max() > LARGE)
    suspicious = large or offset > 3 or size > 5 or size < 0.03
    if not suspicious:
        return None
    gain = _gain_by_scaling(case)
    # What does not learn, and would with other inputs, is no matter of taste.
    worse = gain is not None and gain[1] > 0.2 and gain[0] < 0.25 * gain[1]
    if not (large or worse or (offset > LARGE and size > 1) or size < 0.003):
        return None
    what = f"root mean square {size:.3g}, from {values.min():.3g} to {values.max():.3g}"
    if x.ndim == 2 and x.shape[1] <= 100:
        what += f"; spreads of the features from {spread[vary].min():.3g} to {spread[vary].max():.3g}"
    numbers = {"rms": size, "smallest": values.min().item(), "largest": values.max().item()}
    if offset > 3:
        what += f"; the mean of a feature is {offset:.0f} times its spread"
    if gain is not None:
        numbers |= {"progress": gain[0], "scaled": gain[1]}
        what += (
            f". On one batch your step goes {_percent(gain[0])} of the way to the least loss, with "
            f"standardised inputs {_percent(gain[1])}"
        )
    return Finding(
        "inputs-not-scaled",
        "error" if worse else "warning",
        f"The inputs have {what}.",
        "In which units do the features come, and what does the first layer make of them?",
        "Subtract the mean and divide by the standard deviation of the training data, for validation data "
        "too: data.standardized(), or x / 255 for pixels.",
        numbers,
    )


def check_targets_not_scaled(case: Case) -> Finding | None:
    """Find targets of a regression that are far from what a new network puts out."""
    y = case.data.sample[1]
    if not y.is_floating_point() or len(y) < 3 or case.data.x.shape == case.data.y.shape:
        return None
    values = y.double()
    mean, spread = values.mean().item(), values.std().item()
    large = spread > 20 or (abs(mean) > 20 and abs(mean) > 5 * spread)
    tiny = 0 < spread < 0.003
    if not (large or tiny) or set(values.unique().tolist()[:4]) <= {-1, 0, 1, 2}:
        return None
    slow = None
    numbers = {"mean": mean, "spread": spread}
    evidence = f"The targets have mean {mean:.3g} and standard deviation {spread:.3g}"
    if case.step is not None and large:
        losses = case.at(1.0)
        slow = case.progress(losses)
        numbers["progress"] = slow
        evidence += f"; on one batch your step goes {_percent(slow)} of the way to the least loss"
        if not np.isfinite(losses[-1]):
            evidence += ", and the loss stops being finite"
    return Finding(
        "targets-not-scaled",
        "error" if slow is not None and slow < 0.02 else "warning",
        f"{evidence}.",
        "How many steps of the size that your learning rate allows does the last bias need to reach the "
        "targets?",
        "Train on (y − mean) / standard deviation, and undo it after predicting.",
        numbers,
    )


def check_class_imbalance(case: Case) -> Finding | None:
    """Find classes of which there are very few examples."""
    counts = class_counts(case)
    if counts is None or len(counts) < 2 or counts.sum() < 30:
        return None
    share, ratio = counts.max() / counts.sum(), counts.max() / counts.min()
    if share < 0.65 and ratio < 10:
        return None
    severity = "warning" if ratio >= 9 and (len(counts) <= 20 or share > 0.8) else "note"
    return Finding(
        "class-imbalance",
        severity,
        f"Of {int(counts.sum())} examples {share:.0%} belong to one class; the rarest of {len(counts)} "
        f"classes has {int(counts.min())}. Always saying the most frequent class is right for {share:.0%}.",
        "Is your accuracy better than that share, and how many of the rare class are found?",
        "Compare with that share, look at recall for each class, and weight the loss or sample the classes "
        "evenly if the rare one matters.",
        {"majority": float(share), "ratio": float(ratio), "rarest": int(counts.min())},
    )


def check_train_validation_overlap(case: Case) -> Finding | None:
    """Find examples of the validation data among the training data."""
    if case.validation is None:
        raise Unavailable("there are no validation data; pass validation=…")
    train, other = fingerprints(case.data.x), fingerprints(case.validation.x)
    if case.data.x.shape[1:] != case.validation.x.shape[1:]:
        return None
    shared = np.isin(other, train)
    kinds, counts = np.unique(train, return_counts=True)
    twins = counts[counts > 1].sum() / len(train)
    if len(kinds) < 3:
        return None
    share, chance = shared.mean(), _chance_of_a_twin(case.data.x)
    numbers = {"shared": int(shared.sum()), "validation": len(other), "twins": float(twins)}
    if share > 0.98 and (chance < 0.01 or twins < 0.5) and len(other) >= 0.9 * len(train):
        return Finding(
            "evaluation-on-training-data",
            "error",
            f"{int(shared.sum())} of {len(other)} validation examples are training examples: the validation "
            "data are the training data.",
            "What does this accuracy say about examples that the model has not seen?",
            "Split the data first, and keep the validation part away from training.",
            numbers,
        )
    # Inputs of few values meet by chance, about as often as within the training data.
    by_chance = 0.0 if chance < 0.01 else 3 * twins
    if shared.sum() < 2 or share < max(by_chance, 0.01):
        return None
    return Finding(
        "train-validation-overlap",
        "error" if share > 0.05 and share > 2 * by_chance else "warning",
        f"{int(shared.sum())} of {len(other)} validation examples ({share:.0%}) stand in the training data "
        f"too; within the training data {twins:.1%} have a twin.",
        "Were the data split before they were copied, augmented or cut into windows?",
        "Split first, by whatever belongs together (person, day, document), and only then copy or augment.",
        numbers,
    )


CHECKS = (
    check_inputs_not_finite,
    check_inputs_constant,
    check_inputs_not_scaled,
    check_targets_not_scaled,
    check_class_imbalance,
    check_train_validation_overlap,
)


def class_counts(case: Case) -> np.ndarray | None:
    """Return how many examples each class has, if the targets are classes."""
    y = case.data.y
    if y.is_floating_point():
        values = y.reshape(-1)
        if y.numel() != len(y) or not bool(((values == 0) | (values == 1)).all()):
            return None
    elif y.ndim > 1 and y.numel() != len(y):
        return None
    labels = y.reshape(-1).cpu().numpy()
    counts = np.unique(labels[labels >= 0], return_counts=True)[1]
    return None if len(counts) > 0.5 * len(labels) else counts


def _chance_of_a_twin(x: torch.Tensor) -> float:
    """Return how many of the training inputs would be equal to another by chance alone, about.

    Two rows agree in a column with the sum of the squared shares of its values. Columns hang together, so
    that only half of them are counted as if they were independent.
    """
    rows = x.reshape(len(x), -1)[:2000].cpu().numpy()
    logarithm = 0.0
    for column in rows.T[:2000]:
        counts = np.unique(column, return_counts=True)[1]
        logarithm += 0.5 * np.log(((counts / len(rows)) ** 2).sum())
    return len(x) * float(np.exp(logarithm))


def _gain_by_scaling(case: Case) -> tuple[float, float] | None:
    """Return the progress of the step on the batch as it is, and with standardised inputs."""
    if case.step is None:
        return None
    x, y = case.data.batch
    sample = case.data.sample[0]
    axes = [axis for axis in range(x.ndim) if axis != 1] if x.ndim > 2 else [0]
    mean, spread = sample.mean(axes, keepdim=True), sample.std(axes, correction=0, keepdim=True)
    scaled = (x - mean) / torch.where(spread > 1e-6 * mean.abs() + 1e-12, spread, 1.0)
    try:
        return case.progress(case.at(1.0)), case.progress(case.curve(pair=(scaled, y)))
    except Unavailable:
        return None


def _starts_with_norm(case: Case) -> bool:
    """Return whether the scale of the inputs does not matter to the model, as when it starts with a norm."""
    x = case.batch[0]
    try:
        with case.fresh(), torch.no_grad():
            case.quiet()
            outputs = [case.model(values) for values in (x, 3 * x)]
    except Exception as error:  # whatever the reader's model raises
        raise Unavailable(f"the model raised {describe(error)}") from error
    if not all(isinstance(output, torch.Tensor) for output in outputs):
        return False
    first, second = outputs
    spread = first.float().std().item() if first.numel() > 1 else 0.0
    return spread > 0 and (first - second).abs().max().item() < 0.05 * spread


def _percent(share: float) -> str:
    return "0%" if share < 0 else f"{share:.0%}"


def _shown(row: torch.Tensor) -> str:
    values = ", ".join(f"{value:.3g}" for value in row[:4].tolist())
    return f"({values}{', …' if len(row) > 4 else ''})"
