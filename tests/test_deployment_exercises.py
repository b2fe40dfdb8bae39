"""The deployment chapter's checkers take every right answer, and know the usual misunderstandings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import recall_score
from verdicts import assert_hint, is_right

from ddl import calibration
from ddl.exercises import deployment

# Gaps


def rates(of, group, among=None):
    among = np.ones(len(of), dtype=bool) if among is None else among == 1
    return [of[(group == g) & among].mean() for g in (0, 1)]


def gap(of, group, among=None):
    first, second = rates(of, group, among)
    return first - second


def both_gaps(chosen, able, group):
    return gap(chosen, group), gap(chosen, group, able)


def gaps_by_pandas(chosen, able, group):
    people = pd.DataFrame({"chosen": chosen, "able": able, "group": group})
    everybody = people.groupby("group").chosen.mean()
    able_ones = people[people.able == 1].groupby("group").chosen.mean()
    return [everybody[0] - everybody[1], able_ones[0] - able_ones[1]]


def gaps_by_recall(chosen, able, group):
    recalls = [recall_score(able[group == g], chosen[group == g]) for g in (0, 1)]
    return torch.tensor([chosen[group == 0].mean() - chosen[group == 1].mean(), recalls[0] - recalls[1]])


@pytest.mark.parametrize("function", [both_gaps, gaps_by_pandas, gaps_by_recall])
def test_gaps_takes_any_way_to_compute_them(function):
    assert is_right(deployment.gaps(function))


def parity(function):
    """Gaps of which the first is this one."""
    return lambda chosen, able, group: (function(chosen, able, group), gap(chosen, group, able))


def opportunity(function):
    return lambda chosen, able, group: (gap(chosen, group), function(chosen, able, group))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda c, a, g: both_gaps(c, a, g)[::-1], "The other way round: parity first."),
        (
            lambda c, a, g: [-x for x in both_gaps(c, a, g)],
            "The parity gap has the wrong sign: group 0 minus",
        ),
        (parity(lambda c, a, g: gap(c, g, a)), "The parity gap is about the able alone."),
        (parity(lambda c, a, g: gap(a, g)), "The parity gap is the gap in ability itself."),
        (parity(lambda c, a, g: (1 - 2 * g[c == 1]).mean()), "The parity gap compares shares of the chosen."),
        (
            parity(lambda c, a, g: c[g == 0].sum() - c[g == 1].sum()),
            "The parity gap is a difference of counts.",
        ),
        (parity(lambda c, a, g: (c * (1 - 2 * g)).mean()), "The parity gap divides by all people."),
        (parity(lambda c, a, g: 0.5), "; you return 0.5000."),
        (opportunity(lambda c, a, g: -gap(c, g, a)), "The opportunity gap has the wrong sign: group 0 minus"),
        (opportunity(lambda c, a, g: abs(gap(c, g, a))), "The opportunity gap has the wrong sign: group 0"),
        (opportunity(lambda c, a, g: gap(c, g)), "The opportunity gap is that of parity. Look at the able"),
        (
            opportunity(lambda c, a, g: gap(a, g, c)),
            "The opportunity gap asks how many of the chosen are able.",
        ),
        (
            opportunity(lambda c, a, g: gap(c, g, 1 - a)),
            "The opportunity gap is about those who are not able",
        ),
        (opportunity(lambda c, a, g: gap(c == a, g)), "The opportunity gap counts right decisions."),
        (opportunity(lambda c, a, g: gap(c * a, g)), "The opportunity gap divides by the whole group."),
        (
            opportunity(lambda c, a, g: (c * a * (1 - 2 * g)).sum()),
            "The opportunity gap is a difference of c",
        ),
        (
            opportunity(lambda c, a, g: (c * a * (1 - 2 * g)).mean()),
            "The opportunity gap divides by all people.",
        ),
        (opportunity(lambda c, a, g: 0.5), "The opportunity gap is -0."),
        (lambda c, a, g: gap(c, g), "What you return has shape (); (2,) is wanted."),
        (lambda c, a, g: c[g == 0] - c[g == 1], "Your answer raised ValueError: operands could not be"),
    ],
)
def test_gaps_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(deployment.gaps(function), words)


# Thresholds


def group_thresholds(score, able, group, rate):
    return [np.quantile(score[(group == g) & (able == 1)], 1 - rate) for g in (0, 1)]


def thresholds_by_counting(score, able, group, rate):
    found = []
    for g in (0, 1):
        best_first = np.sort(score[(group == g) & (able == 1)])[::-1]
        found.append(best_first[int(np.ceil(rate * len(best_first))) - 1])
    return np.array(found)


def thresholds_by_search(score, able, group, rate):
    cuts = torch.linspace(-6, 6, 20_001).double().numpy()
    return [
        min(cuts, key=lambda cut: abs((score[(group == g) & (able == 1)] >= cut).mean() - rate))
        for g in (0, 1)
    ]


def lower_quantiles(score, able, group, rate):
    return [np.quantile(score[(group == g) & (able == 1)], 1 - rate, method="inverted_cdf") for g in (0, 1)]


@pytest.mark.parametrize(
    "function", [group_thresholds, thresholds_by_counting, thresholds_by_search, lower_quantiles]
)
def test_thresholds_takes_any_way_to_find_them(function):
    assert is_right(deployment.thresholds(function))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            lambda s, a, g, r: group_thresholds(s, a, g, r)[::-1],
            "The other way round: the threshold of group 0",
        ),
        (
            lambda s, a, g, r: group_thresholds(s, a, g, 1 - r),
            "Chosen is who scores above. The share below is",
        ),
        (
            lambda s, a, g, r: group_thresholds(s, 1 - a, g, r),
            "You look at those who are not able. That equal",
        ),
        (lambda s, a, g, r: group_thresholds(s, a >= 0, g, r), "You choose that share of each group. Of the"),
        (
            lambda s, a, g, r: group_thresholds(s, a >= 0, g, 1 - r),
            "Look at the able alone; and chosen is who",
        ),
        (lambda s, a, g, r: [np.quantile(s[a == 1], 1 - r)] * 2, "Both groups have the same threshold."),
        (lambda s, a, g, r: [0.1, 0.2], "At rate 0.7, your thresholds 0.100 and 0.200 choose"),
        (
            lambda s, a, g, r: group_thresholds(s, a, g, 0.7),
            "At rate 0.25, your thresholds 0.",
        ),
        (lambda s, a, g, r: 0.5, "Your thresholds has shape (); (2,) is wanted."),
    ],
)
def test_thresholds_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(deployment.thresholds(function), words)


# A split in time


def split(day, share):
    days, counts = np.unique(day, return_counts=True)
    last = days[counts.cumsum() <= share * len(day)][-1]
    return day <= last


def split_by_quantile(day, share):
    return (day < np.quantile(day, share)).tolist()


def split_by_loop(day, share):
    train = torch.zeros(len(day), dtype=torch.bool)
    for candidate in sorted(set(day.tolist())):
        if (day <= candidate).sum() <= share * len(day):
            train = torch.tensor(day <= candidate)
    return train


@pytest.mark.parametrize("function", [split, split_by_quantile, split_by_loop])
def test_time_split_takes_any_way_to_find_it(function):
    assert is_right(deployment.time_split(function))


def first_rows(day, share):
    return np.arange(len(day)) < int(share * len(day))


def sorted_rows(day, share):
    train = np.zeros(len(day), dtype=bool)
    train[np.argsort(day, kind="stable")[: int(share * len(day))]] = True
    return train


def random_rows(day, share):
    return np.random.default_rng(0).permutation(len(day)) < share * len(day)


def time_passed(day, share):
    return day <= day.min() + share * (day.max() - day.min())


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (first_rows, "You cut the rows where they stand. They do not come in the order of their days."),
        (sorted_rows, "Day 2 is on both sides: what was known that day leaks into the test."),
        (random_rows, "Some training rows are later than some test rows: that leaks the future."),
        (time_passed, "you train on 80% of the rows; the share is to be 50% of the rows, not of the time."),
        (lambda day, share: ~split(day, share), "You train on the latest rows, and test on the past."),
        (
            lambda day, share: day <= np.quantile(day, share),
            "at most 50% are allowed. A day that does not fit",
        ),
        (lambda day, share: split(day, share / 2), "you train on 30% of the rows; 40% are possible."),
        (
            lambda day, share: day <= day.max(),
            "With days [3, 1, 2, 2, 5, 2, 4, 1, 2, 3] and share 0.5, one side",
        ),
        (lambda day, share: np.flatnonzero(split(day, share)), "Return a mask: 10 truth values"),
        (lambda day, share: (split(day, share), ~split(day, share)), "Return a mask: 10 truth values"),
        (lambda day, share: day, "Return a mask: 10 truth values"),
    ],
)
def test_time_split_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(deployment.time_split(function), words)


# The stability index


def index(reference, current, add=0.5):
    p, q = ((counts + add) / (counts + add).sum() for counts in (reference, current))
    return np.sum((q - p) * np.log(q / p))


def index_by_hand(reference, current):
    k = len(reference)
    p = [(a + 0.5) / (sum(reference) + k / 2) for a in reference.tolist()]
    q = [(a + 0.5) / (sum(current) + k / 2) for a in current.tolist()]
    return sum(b * np.log(b / a) + a * np.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("function", [index, index_by_hand, lambda k, m: torch.tensor([index(m, k)])])
def test_stability_index_takes_any_way_to_compute_it(function):
    assert is_right(deployment.stability_index(function))


def shares(reference, current):
    return [(counts + 0.5) / (counts + 0.5).sum() for counts in (reference, current)]


def from_shares(formula):
    return lambda reference, current: formula(*shares(reference, current))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda k, m: -index(k, m), "The sign is wrong"),
        (from_shares(lambda p, q: (q * np.log(q / p)).sum()), "That is KL(q‖p), one of two parts: the"),
        (from_shares(lambda p, q: (p * np.log(p / q)).sum()), "That is KL(p‖q), one of two parts: the"),
        (lambda k, m: index(k, m) / np.log(2), "You took log₂"),
        (lambda k, m: index(k, m) / np.log(10), "You took log₁₀"),
        (from_shares(lambda p, q: ((q - p) * np.log(q / p)).mean()), "That is the mean over the bins"),
        (
            lambda k, m: ((m - k) * np.log((m + 0.5) / (k + 0.5))).sum(),
            "These are counts. Divide each sample",
        ),
        (lambda k, m: index(k, m, add=0), "½ is not yet added to each count."),
        (lambda k, m: index(k, m, add=0.5 * (m.min() == 0)), "½ is not yet added to each count."),
        (
            lambda k, m: (
                ((m + 0.5) / m.sum() - (k + 0.5) / k.sum())
                * np.log((m + 0.5) / m.sum() / (k + 0.5) * k.sum())
            ).sum(),
            "Your shares do not sum to 1: with ½ in each bin, the whole has grown too.",
        ),
        (from_shares(lambda p, q: np.abs(q - p).sum()), "That is the sum of the differences. Where is the"),
        (from_shares(lambda p, q: ((q - p) ** 2 / p).sum()), "That is χ² without its number of rows"),
        (lambda k, m: np.inf, "A bin is empty, and its logarithm infinite. Add ½ to each count first."),
        (lambda k, m: np.nan, "A bin is empty, and its logarithm infinite."),
        (
            lambda k, m: index(k, m, add=1),
            "For [40.0, 30.0, 20.0, 10.0] and [10.0, 15.0, 15.0, 20.0], the index is",
        ),
        (lambda k, m: index(k, m, add=0.5 * (m.min() > 0) + 1e-3), "the index is"),
        (lambda k, m: "large", "Your index is 'large'; numbers are wanted."),
        (
            from_shares(lambda p, q: (q - p) * np.log(q / p)),
            "Your index has shape (4,); one number is wanted.",
        ),
    ],
)
def test_stability_index_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(deployment.stability_index(function), words)


# The calibration error


def calibration_error(confidence, right, bins, place=None, mean=lambda gaps, weights: weights @ np.abs(gaps)):
    if place is None:
        place = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [place == b for b in np.unique(place)]
    gaps = [right[i].mean() - confidence[i].mean() for i in inside]
    return mean(np.array(gaps), np.array([i.mean() for i in inside]))


def by_the_book(confidence, right, bins):
    found = 0.0
    for low in np.arange(bins) / bins:
        chosen = (confidence > low) & (confidence <= low + 1 / bins + 1e-9)
        if chosen.any():
            found += chosen.mean() * abs(right[chosen].mean() - confidence[chosen].mean())
    return torch.tensor(found)


def by_our_package(confidence, right, bins):
    return calibration.expected_calibration_error(confidence, right, bins=bins)


@pytest.mark.parametrize("function", [calibration_error, by_the_book, by_our_package])
def test_calibration_error_takes_any_way_to_compute_it(function):
    assert is_right(deployment.calibration_error(function))


def of_bins(mean):
    return lambda confidence, right, bins: calibration_error(confidence, right, bins, mean=mean)


def placed(function):
    return lambda c, r, bins: calibration_error(c, r, bins, place=function(c, bins))


def middle_of_bins(confidence, right, bins):
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [place == b for b in range(bins) if (place == b).any()]
    return sum(i.mean() * abs(right[i].mean() - (place[i][0] + 0.5) / bins) for i in inside)


def half_open(confidence, right, bins):
    low = np.arange(bins) / bins
    inside = [(confidence >= a) & (confidence < a + 1 / bins - 1e-12) for a in low]
    return sum(i.mean() * abs(right[i].mean() - confidence[i].mean()) for i in inside if i.any())


def half_open_and_fewer(confidence, right, bins):
    kept = confidence < 1
    return calibration_error(confidence[kept], right[kept], bins)


def with_empty_bins(confidence, right, bins):
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [place == b for b in range(bins)]
    with np.errstate(invalid="ignore"):
        return sum(i.mean() * abs(right[i].sum() / i.sum() - confidence[i].sum() / i.sum()) for i in inside)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (of_bins(lambda gaps, weights: np.abs(gaps).mean()), "All your bins weigh the same."),
        (of_bins(lambda gaps, weights: np.abs(gaps).sum() / 10), "All your bins weigh the same."),
        (of_bins(lambda gaps, weights: np.abs(gaps).sum()), "You add the gaps up."),
        (of_bins(lambda gaps, weights: gaps @ weights), "Gaps of opposite sign cancel in your sum"),
        (lambda c, r, bins: c.mean() - r.mean(), "Gaps of opposite sign cancel in your sum"),
        (of_bins(lambda gaps, weights: np.abs(gaps).max()), "That is the largest gap."),
        (lambda c, r, bins: np.abs(c - r).mean(), "One example is right or wrong: take means in each bin"),
        (of_bins(lambda gaps, weights: weights @ gaps**2), "You square the gaps."),
        (of_bins(lambda gaps, weights: (weights @ gaps**2) ** 0.5), "You square the gaps."),
        (middle_of_bins, "You take the middle of a bin."),
        (half_open, "Examples with confidence 1 are lost: the last bin holds its upper end too."),
        (half_open_and_fewer, "Examples with confidence 1 are lost"),
        (placed(lambda c, bins: np.digitize(c, np.arange(bins) / bins + 1e-12 * np.arange(bins)) + (c == 1)),
         "Confidence 1 has a bin of its own"),
        (placed(lambda c, bins: np.digitize(c, np.linspace(c.min(), c.max(), bins + 1)[1:-1])),
         "Your bins begin at the lowest confidence. They should span 0 to 1."),
        (placed(lambda c, bins: np.argsort(np.argsort(c, kind="stable")) * bins // len(c)),
         "Your bins are equally full."),
        (with_empty_bins, "A bin without examples has no mean. It has no weight either: leave it out."),
        (lambda c, r, bins: calibration_error(c, r, 20), "The error is 0."),
        (lambda c, r, bins: [c, r], "Your error has shape (2, 180); one number is wanted."),
    ],
)  # fmt: skip
def test_calibration_error_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(deployment.calibration_error(function), words)


# The mark


def mark_effect(chance, images, mark):
    before, after = chance(images), chance(images + mark)
    return (after - before).mean(), ((after > 0.5) != (before > 0.5)).mean()


def mark_effect_one_by_one(chance, images, mark):
    changes, turned = [], 0
    for image in images:
        before, after = chance(image[None]).item(), chance((image + mark)[None]).item()
        changes.append(after - before)
        turned += round(before) != round(after)
    return [torch.tensor(changes).double().mean(), turned / len(images)]


@pytest.mark.parametrize("function", [mark_effect, mark_effect_one_by_one])
def test_mark_effect_takes_any_way_to_compute_it(function):
    assert is_right(deployment.mark_effect(function))


def effect(function):
    """Answers of which the first is this one, a function of the chances before and after."""
    return lambda chance, x, mark: (function(chance(x), chance(x + mark)), mark_effect(chance, x, mark)[1])


def share(function):
    return lambda chance, x, mark: (mark_effect(chance, x, mark)[0], function(chance(x), chance(x + mark)))


def logit(p):
    return np.log(p / (1 - p))


def in_place(chance, images, mark):
    before = chance(images)
    images += mark
    after = chance(images)
    return (after - before).mean(), ((after > 0.5) != (before > 0.5)).mean()


def stamping(chance, images, mark):
    marked = np.where(mark > 0, mark, images)
    return (chance(marked) - chance(images)).mean(), 0


def on_the_mean_image(chance, images, mark):
    mean = images.mean(0)[None]
    return (chance(mean + mark) - chance(mean)).item(), 0


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (in_place, "The images are changed afterwards. Paste into a copy"),
        (effect(lambda b, a: (b - a).mean()), "The effect has the wrong sign: with the mark, minus without."),
        (
            effect(lambda b, a: abs(a - b).mean()),
            "The effect has lost its sign: a mark may also calm a network.",
        ),
        (effect(lambda b, a: ((a > 0.5) != (b > 0.5)).mean()), "The effect is a share of verdicts."),
        (effect(lambda b, a: (a - b).sum()), "The effect is a sum over the images; the mean is wanted."),
        (effect(lambda b, a: a.mean()), "That is the chance with the mark. Compare each image with itself"),
        (effect(lambda b, a: (logit(a) - logit(b)).mean()), "The effect is one of log-odds."),
        (stamping, "You overwrite what lies under the mark."),
        (on_the_mean_image, "You average the images first. A network is not linear"),
        (effect(lambda b, a: a - b), "The effect has 200 values; give one number for all the images."),
        (
            effect(lambda b, a: 0.3),
            "For a network that never looks at the mark, the effect is 0.0000; you return 0.3",
        ),
        (
            share(lambda b, a: ((a > 0.5) != (b > 0.5)).sum()),
            "The second number is a count; the share is wanted",
        ),
        (share(lambda b, a: (a > 0.5).mean()), "The second number is the share called sick."),
        (share(lambda b, a: (a > 0.5).mean() - (b > 0.5).mean()), "The second number is a net change"),
        (share(lambda b, a: abs((a > 0.5).mean() - (b > 0.5).mean())), "The second number is a net change"),
        (share(lambda b, a: ((a > 0.5) & (b <= 0.5)).mean()), "You count turns to sick only."),
        (share(lambda b, a: ((a <= 0.5) & (b > 0.5)).mean()), "You count turns to healthy only."),
        (share(lambda b, a: (abs(a - b) > 0.5).mean()), "Turned is who crosses ½, not who moves by ½."),
        (
            share(lambda b, a: ((a > 0.5) == (b > 0.5)).mean()),
            "The second number is the share of verdicts that st",
        ),
        (
            share(lambda b, a: 0.123),
            "For a network that never looks at the mark, the share is 0.0000; you return",
        ),
        (
            lambda chance, x, mark: chance(x + mark).mean(),
            "Return two things, effect and turned; your function",
        ),
    ],
)
def test_mark_effect_has_a_hint_for_each_misunderstanding(function, words):
    assert_hint(deployment.mark_effect(function), words)


# False alarms


@pytest.mark.parametrize(
    "answer",
    [
        (1 - 0.99**20, 0.01 / 20),
        (0.182, 0.0005),
        (0.18209, 1 - 0.99 ** (1 / 20)),
        (torch.tensor(0.1821), np.array([5e-4])),
    ],
    ids=repr,
)
def test_false_alarms_takes_both_corrections(answer):
    assert is_right(deployment.false_alarms(*answer))


def test_the_chance_that_is_taken_is_that_of_a_simulation():
    quiet = np.random.default_rng(0).random((40_000, 20)).min(1)
    assert (quiet <= 0.01).mean() == pytest.approx(1 - 0.99**20, abs=0.006)
    assert (quiet <= 0.0005).mean() == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((0.2, 0.0005), "0.2 is the number of false alarms to expect, and an upper bound"),
        ((0.01, 0.0005), "That is for one test. Twenty are twenty chances."),
        ((0.99**20, 0.0005), "That is the chance that all is quiet. What is left?"),
        ((1e-40, 0.0005), "That is the chance that all twenty raise an alarm."),
        ((20 * 0.01 * 0.99**19, 0.0005), "That is for exactly one alarm."),
        ((18.2, 0.0005), "As a number between 0 and 1, please."),
        ((0.3, 0.0005), "The chance is not 0.3. How likely is it that all twenty tests are quiet?"),
        ((0.182, 0.2), "Divide by the number of tests instead of multiplying."),
        ((0.182, 0.01), "That is the level of each test now. It must become stricter."),
        ((0.182, 0.0025), "Divided by 20, yes; but it is 0.01 that is to be kept, not 0.05."),
        ((0.182, 1e-40), "So strict that no shift would ever be seen."),
        ((0.182, 1 - 0.01 ** (1 / 20)), "Take the root of the chance that all is quiet, 0.99."),
        ((0.182, 0.001), "With level 0.001, the chance is 0.01981; 0.01 is wanted."),
        (("many", 0.0005), "chance is 'many'; numbers are wanted."),
    ],
)
def test_false_alarms_has_a_hint_for_each_misunderstanding(answer, words):
    assert_hint(deployment.false_alarms(*answer), words)


# What is not attempted


def unwritten(*_):
    raise NotImplementedError


@pytest.mark.parametrize(
    "check",
    [
        deployment.gaps,
        deployment.thresholds,
        deployment.time_split,
        deployment.stability_index,
        deployment.calibration_error,
        deployment.mark_effect,
    ],
)
def test_stubs_are_not_attempted(check):
    assert not check(unwritten).attempted
    assert not deployment.false_alarms(..., ...).attempted
