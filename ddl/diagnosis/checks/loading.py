"""Checks of how a loader deals out the examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import nn
from torch.utils.data import DataLoader, WeightedRandomSampler

from ddl.diagnosis.case import Case
from ddl.diagnosis.checks.inputs import class_counts
from ddl.diagnosis.errors import Unavailable
from ddl.diagnosis.examples import Loading
from ddl.diagnosis.report import Finding


def check_loader(case: Case) -> Iterator[Finding]:
    """Find a loader that repeats examples, leaves many out, or never shuffles."""
    loading = case.data.loading
    if loading is None:
        raise Unavailable("the data come as tensors, all at once; pass the loader to see what it does")
    if len(loading.again) == 0:
        yield Finding(
            "loader-repeats",
            "error",
            "The second time that the loader is read it yields nothing: every epoch but the first would be "
            "empty.",
            "Is it a generator, or something that reads a file to its end?",
            "Make the iterator anew for each epoch, as a DataLoader or a list does.",
            {},
        )
        return
    yield from _repeats(loading)
    yield from _drops(loading)
    yield from _order(case, loading)


def check_batch_of_one(case: Case) -> Finding | None:
    """Find batches of one example that batch norm takes the statistics of."""
    norms = [name for name, m in case.model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return None
    where = ""
    if case.data.loading is not None and 1 in case.data.loading.sizes:
        sizes = case.data.loading.sizes
        where = (
            f"of the loader's {len(sizes)} batches {sizes.count(1)} hold one example, the others {max(sizes)}"
        )
    elif case.own_step and len(case.data.batch[0]) > 1:
        forwards = case.first.seen.forwards
        rows = [len(f.x) for f in forwards if f.training and hasattr(f.x, "__len__")]
        if rows and min(rows) == 1:
            where = f"the step gives the model {rows.count(1)} batches of one example"
    if len(case.data) == 1:
        where = "there is one example"
    if not where:
        return None
    return Finding(
        "batch-of-one",
        "error",
        f"The model normalises over the batch ({norms[0]}), and {where}: with one example the variance is 0 "
        "or, over places of an image, that of this example alone.",
        "What are mean and variance of a batch of one?",
        "Set drop_last=True or another batch size; where batches must be of one, take nn.LayerNorm or "
        "nn.GroupNorm.",
        {"layers": norms},
    )


CHECKS = (check_loader, check_batch_of_one)


def _repeats(loading: Loading) -> Iterator[Finding]:
    seen, kinds = len(loading.fingerprints), len(np.unique(loading.fingerprints))
    ends = np.cumsum(loading.sizes)
    batches = [tuple(np.sort(part)) for part in np.split(loading.fingerprints, ends[:-1])]
    same = len(batches) - len(set(batches))
    natural = _natural_kinds(loading)
    share = 1 - kinds / seen
    expected = 0.0 if natural is None else 1 - natural[0] / natural[1]
    if share < expected + 0.05 or (natural is None and share < 0.2 and not same):
        return
    weighted = isinstance(getattr(loading.loader, "sampler", None), WeightedRandomSampler)
    yield Finding(
        "loader-repeats",
        "note" if weighted else "error" if same > 0 and len(batches) > 1 else "warning",
        f"In one epoch the loader yields {seen} examples, of which {kinds} differ"
        + (f"; {same} of {len(batches)} batches repeat an earlier one" if same else "")
        + (": it draws with weights, which is meant to repeat." if weighted else "."),
        "Does each example come once in an epoch?",
        "Take DataLoader(data, batch_size=…, shuffle=True), which deals each example out once.",
        {"examples": seen, "kinds": kinds, "batches": same},
    )


def _natural_kinds(loading: Loading) -> tuple[int, int] | None:
    """Return how many different examples a loader's data set has, and how many in all, if it is small."""
    from ddl.diagnosis.examples import fingerprints

    data = getattr(getattr(loading.loader, "dataset", None), "tensors", None)
    if data is None or len(data) != 2 or len(data[0]) > 20_000:
        return None
    return len(np.unique(fingerprints(*data))), len(data[0])


def _drops(loading: Loading) -> Iterator[Finding]:
    data = getattr(loading.loader, "dataset", None)
    if not loading.complete or not hasattr(data, "__len__"):
        return
    total, given = len(data), sum(loading.sizes)
    if given >= 0.75 * total:
        return
    yield Finding(
        "loader-drops",
        "warning",
        f"The data set has {total} examples, and in one epoch the loader yields {given} of them.",
        "Is drop_last=True with a large batch, or a sampler, leaving the rest out?",
        "Take a smaller batch, or leave drop_last out.",
        {"examples": total, "given": given},
    )


def _order(case: Case, loading: Loading) -> Iterator[Finding]:
    """Find a loader that deals the examples out in the same order again, above all class after class."""
    n = min(len(loading.again), len(loading.fingerprints))
    if len(loading.sizes) < 2 or not np.array_equal(loading.again[:n], loading.fingerprints[:n]):
        return
    counts = class_counts(case)
    runs, expected = None, 0.0
    if counts is not None and len(counts) > 1:
        labels = case.data.y.reshape(-1).cpu().numpy()
        runs = float((labels[1:] == labels[:-1]).mean())
        expected = float(((counts / counts.sum()) ** 2).sum())
    is_sorted = runs is not None and runs > 0.9 and expected < 0.8
    real = isinstance(loading.loader, DataLoader)
    evidence = "In two epochs the loader yields the same examples in the same order"
    if runs is not None:
        evidence += (
            f"; the next example has the same label in {runs:.0%} of the cases, where {expected:.0%} are "
            "expected of a shuffled order"
        )
    yield Finding(
        "not-shuffled",
        "error" if is_sorted else "warning" if real else "note",
        f"{evidence}.",
        "What does a batch hold: examples of all classes, or of one?",
        "Set shuffle=True for training data.",
        {"repeats": runs, "expected": expected},
    )
