"""Checkers of the exercises in the chapter of deployment case studies."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from ddl.exercises.answers import array, number, result_of, several
from ddl.exercises.verdict import Hint, checker

Chance = Callable[[np.ndarray], np.ndarray]
"""What a network makes of images, shape (n, 8, 8): the chance of a finding in each, shape (n,)."""


@checker
def gaps(function: Callable[[np.ndarray, np.ndarray, np.ndarray], npt.ArrayLike]) -> str:
    """Check a function (chosen, able, group) -> gap in the rate chosen, and in that of the able."""
    rng = np.random.default_rng(1)
    group = (rng.random(400) < 0.3).astype(int)
    able = (rng.random(400) < np.where(group == 0, 0.6, 0.3)).astype(int)
    chosen = (rng.random(400) < np.where(able == 1, 0.5 + 0.25 * group, 0.3 - 0.1 * group)).astype(int)
    given = array("What you return", result_of(function, chosen.copy(), able.copy(), group.copy()), (2,))

    def gap(of: np.ndarray, among: npt.ArrayLike = 1) -> float:
        rates = [of[(group == g) & (np.asarray(among) == 1)].mean() for g in (0, 1)]
        return rates[0] - rates[1]

    def difference(of: np.ndarray) -> int:
        return of[group == 0].sum() - of[group == 1].sum()

    parity, opportunity = gap(chosen), gap(chosen, able)
    if np.allclose(given, (opportunity, parity)):
        raise Hint("The other way round: parity first. It asks about all, opportunity about the able.")
    _gap("The parity gap", given[0], parity, difference(chosen), (
        (opportunity, "is about the able alone. Parity asks about everybody."),
        (gap(able), "is the gap in ability itself. Where is the decision?"),
        (1 - 2 * group[chosen == 1].mean(), "compares shares of the chosen. Compare the shares chosen."),
    ))  # fmt: skip
    _gap("The opportunity gap", given[1], opportunity, difference(chosen * able), (
        (parity, "is that of parity. Look at the able alone."),
        (gap(able, chosen), "asks how many of the chosen are able. How many of the able are chosen?"),
        (gap(chosen, 1 - able), "is about those who are not able: the gap in false-positive rates."),
        (gap(chosen == able), "counts right decisions. Opportunity asks about the able only."),
        (gap(chosen * able), "divides by the whole group. Divide by the able in it."),
    ))  # fmt: skip
    return "Right. One can be zero, and the other not."


def _gap(name: str, given: float, right: float, counts: int, slips: tuple[tuple[float, str], ...]) -> None:
    shared = (
        (-right, "has the wrong sign: group 0 minus group 1."),
        (counts, "is a difference of counts. The groups differ in size: divide each by its own."),
        (counts / 400, "divides by all people. Divide each count by the size of its own group."),
    )
    _same(name, given, right, [(wrong, f"{name} {hint}") for wrong, hint in (*shared, *slips)])


@checker
def thresholds(function: Callable[[np.ndarray, np.ndarray, np.ndarray, float], npt.ArrayLike]) -> str:
    """Check a function (score, able, group, rate) -> two thresholds that choose this share of the able."""
    rng = np.random.default_rng(2)
    group = (rng.random(600) < 0.35).astype(int)
    able = (rng.random(600) < 0.55 - 0.25 * group).astype(int)
    score = rng.normal(able - 0.8 * group, 1.0)
    for rate in (0.7, 0.25):
        answer = result_of(function, score.copy(), able.copy(), group.copy(), rate)
        given = array("Your thresholds", answer, (2,))
        among = [score[(group == g) & (able == 1)] for g in (0, 1)]
        reached = [(part >= cut).mean() for part, cut in zip(among, given, strict=True)]
        # To choose one person more or less than asked is as close as one can come.
        if all(abs(found - rate) * len(part) <= 1.001 for found, part in zip(reached, among, strict=True)):
            continue

        def cuts(quantile: float, chosen: np.ndarray) -> list[float]:
            return [np.quantile(score[chosen & (group == g)], quantile) for g in (0, 1)]

        every = np.ones(600, dtype=bool)
        if np.isclose(given[0], given[1]):
            raise Hint("Both groups have the same threshold. Then their rates differ, as their scores do.")
        for slip, hint in (
            (cuts(1 - rate, able == 1)[::-1], "The other way round: the threshold of group 0 comes first."),
            (cuts(1 - rate, every), "You choose that share of each group. Of the able in it, it is to be."),
            (
                cuts(1 - rate, able == 0),
                "You look at those who are not able. That equalises false positives.",
            ),
            (cuts(rate, able == 1), "Chosen is who scores above. The share below is 1 − rate."),
            (cuts(rate, every), "Look at the able alone; and chosen is who scores above, not below."),
        ):
            # Quantiles can be taken in several ways, which differ by the distance of two scores.
            if np.allclose(given, slip, atol=0.05):
                raise Hint(hint)
        raise Hint(
            f"At rate {rate:g}, your thresholds {given[0]:.3f} and {given[1]:.3f} choose {reached[0]:.1%} "
            f"and {reached[1]:.1%} of the able."
        )
    return "Right. Two people with equal scores may now be treated differently: that is the price."


@checker
def time_split(function: Callable[[np.ndarray, float], npt.ArrayLike]) -> str:
    """Check a function (day, share) -> mask of training rows, all earlier than any test row."""
    rng = np.random.default_rng(3)
    many = np.sort(rng.integers(0, 40, size=300) ** 2 // 40)
    for day, share in (
        (np.array([3, 1, 2, 2, 5, 2, 4, 1, 2, 3]), 0.5),
        (np.array([7, 7, 7, 8, 9, 9, 9, 9, 9, 10]), 0.6),
        (rng.permutation(many), 0.7),
        (many, 0.35),
    ):
        n, given = len(day), array("Your mask", result_of(function, day.copy(), share))
        if given.shape != (n,) or not np.isin(given, (0, 1)).all():
            raise Hint(f"Return a mask: {n} truth values, True for the rows to train on.")
        train, what = given == 1, f"days {day.tolist()}" if n < 20 else f"{n} rows"
        if train.all() or not train.any():
            raise Hint(f"With {what} and share {share:g}, one side is empty.")
        if np.array_equal(train, np.arange(n) < round(share * n)) and (np.diff(day) < 0).any():
            raise Hint("You cut the rows where they stand. They do not come in the order of their days.")
        if day[train].min() >= day[~train].max():
            raise Hint("You train on the latest rows, and test on the past.")
        if day[train].max() == day[~train].min():
            both = day[train].max()
            raise Hint(f"Day {both} is on both sides: what was known that day leaks into the test.")
        if day[train].max() > day[~train].min():
            raise Hint("Some training rows are later than some test rows: that leaks the future.")
        last = max(one for one in np.unique(day) if (day <= one).mean() <= share)
        wanted = f"With {what} you train on {train.mean():.0%} of the rows; "
        if (
            np.array_equal(train, day <= day.min() + share * np.ptp(day))
            and (day <= last).sum() != train.sum()
        ):
            raise Hint(wanted + f"the share is to be {share:.0%} of the rows, not of the time.")
        if train.mean() > share:
            raise Hint(wanted + f"at most {share:.0%} are allowed. A day that does not fit goes to the test.")
        if train.mean() < (day <= last).mean():
            raise Hint(wanted + f"{(day <= last).mean():.0%} are possible.")
    return "Right: no day is on both sides."


@checker
def stability_index(function: Callable[[np.ndarray, np.ndarray], float]) -> str:
    """Check a function (reference_counts, current_counts) -> stability index, with ½ added to each count."""
    for reference, current in (
        (np.array([40.0, 30.0, 20.0, 10.0]), np.array([10.0, 15.0, 15.0, 20.0])),
        (np.array([50.0, 30.0, 20.0]), np.array([0.0, 10.0, 30.0])),
    ):
        with np.errstate(divide="ignore", invalid="ignore"):
            answer = result_of(function, reference.copy(), current.copy())
            _finite(answer, "A bin is empty, and its logarithm infinite. Add ½ to each count first.")
            given, (k, m) = number("Your index", answer), (reference + 0.5, current + 0.5)
            p, q, bare, grown = k / k.sum(), m / m.sum(), current / current.sum(), m / current.sum()
            right = ((q - p) * np.log(q / p)).sum()
            without = (
                (bare - reference / reference.sum()) * np.log(bare / reference * reference.sum())
            ).sum()
            too_large = ((grown - k / reference.sum()) * np.log(grown / k * reference.sum())).sum()
        _same(f"For {reference.tolist()} and {current.tolist()}, the index", given, right, (
            (-right, "The sign is wrong: in (q − p) log(q / p), both have the same order."),
            ((q * np.log(q / p)).sum(), "That is KL(q‖p), one of two parts: the index has both ways."),
            ((p * np.log(p / q)).sum(), "That is KL(p‖q), one of two parts: the index has both ways."),
            (right / np.log(2), "You took log₂; the thresholds 0.1 and 0.25 are for natural logs."),
            (right / np.log(10), "You took log₁₀; the thresholds 0.1 and 0.25 are for natural logs."),
            (right / len(p), "That is the mean over the bins; the index is the sum."),
            (((m - k) * np.log(m / k)).sum(), "These are counts. Divide each sample by its own size."),
            (without, "½ is not yet added to each count."),
            (too_large, "Your shares do not sum to 1: with ½ in each bin, the whole has grown too."),
            (np.abs(q - p).sum(), "That is the sum of the differences. Where is the logarithm?"),
            (((q - p) ** 2 / p).sum(), "That is χ² without its number of rows: close, for small shifts."),
        ))  # fmt: skip
    return "Right; and it is the same if the samples change places."


@checker
def calibration_error(function: Callable[[np.ndarray, np.ndarray, int], float]) -> str:
    """Check a function (confidence, right, bins) -> expected calibration error in bins of equal width."""
    rng, bins, n = np.random.default_rng(5), 10, 180
    confidence = np.append(0.5 + 0.4999 * rng.random(150) ** 0.4, np.full(30, 1.0))
    chance = np.select([confidence < 0.65, confidence < 0.9, confidence < 1], [0.8, 0.6, 0.99], 0.7)
    right = (rng.random(n) < chance).astype(int)

    def gaps_in(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gaps of accuracy and confidence, and shares of all examples, of bins that hold any."""
        filled = [place == b for b in np.unique(place[place >= 0])]
        gap = [right[inside].mean() - confidence[inside].mean() for inside in filled]
        return np.array(gap), np.array([inside.mean() for inside in filled])

    def error(place: np.ndarray) -> float:
        gap, weights = gaps_in(place)
        return weights @ np.abs(gap)

    beyond = (confidence * bins).astype(int)  # confidence 1 falls behind the last bin
    place = np.minimum(beyond, bins - 1)
    answer = result_of(function, confidence.copy(), right.copy(), bins)
    _finite(answer, "A bin without examples has no mean. It has no weight either: leave it out.")
    (gap, weights), lost = gaps_in(place), error(np.where(confidence < 1, place, -1))
    middle = [abs(right[place == b].mean() - (b + 0.5) / bins) for b in np.unique(place)]
    spanned = ((confidence - confidence.min()) / np.ptp(confidence) * bins).astype(int).clip(0, bins - 1)
    ranked = np.argsort(np.argsort(confidence, kind="stable")) * bins // n
    equal = "All your bins weigh the same. Weigh each by its share of the examples."
    lose = "Examples with confidence 1 are lost: the last bin holds its upper end too."
    _same("The error", number("Your error", answer), error(place), (
        (np.abs(gap).mean(), equal),
        (np.abs(gap).sum() / bins, equal),
        (np.abs(gap).sum(), "You add the gaps up. Weigh each by its share of the examples."),
        (gap @ weights, "Gaps of opposite sign cancel in your sum: take the size of each first."),
        (-gap @ weights, "Gaps of opposite sign cancel in your sum: take the size of each first."),
        (np.abs(gap).max(), "That is the largest gap. The mean is wanted, weighed by examples."),
        (np.abs(right - confidence).mean(), "One example is right or wrong: take means in each bin first."),
        (weights @ gap**2, "You square the gaps. Take their sizes."),
        (np.sqrt(weights @ gap**2), "You square the gaps. Take their sizes."),
        (weights @ middle, "You take the middle of a bin. Take the mean confidence of those in it."),
        (lost, lose),
        (lost * n / 150, lose),
        (error(beyond), "Confidence 1 has a bin of its own: the last bin holds its upper end too."),
        (error(spanned), "Your bins begin at the lowest confidence. They should span 0 to 1."),
        (error(ranked), "Your bins are equally full. Equally wide ones are wanted, from 0 to 1."),
    ))  # fmt: skip
    return "Right. Now try other numbers of bins: it changes."


@checker
def mark_effect(function: Callable[[Chance, np.ndarray, np.ndarray], tuple[float, float]]) -> str:
    """Check a function (chance, images, mark) -> mean change of the chance, share of verdicts that turn."""
    rng = np.random.default_rng(6)
    images, mark = rng.normal(size=(200, 8, 8)), np.zeros((8, 8))
    mark[0, 5:7] = 2.0
    images[:, 4, 4] += 1.5 * (rng.random(200) < 0.5)

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    for name, chance in (
        ("a network that never looks at the mark", lambda x: sigmoid(2 * x[:, 4, 4] - 1)),
        (
            "a network that looks at the mark too",
            lambda x: sigmoid(x[:, 4, 4] + 0.9 * x[:, 0, 5:7].sum(1) - 1),
        ),
        ("a network that calls all healthy", lambda x: sigmoid(0.3 * x[:, 0, 5:7].sum(1) - 6)),
        ("a network that a mark confuses", lambda x: sigmoid((x[:, 4, 4] - 0.3) * (2 - x[:, 0, 5:7].sum(1)))),
    ):
        x, pasted = images.copy(), mark.copy()
        answer = several(("effect", "turned"), result_of(function, chance, x, pasted))
        if not np.array_equal(x, images) or not np.array_equal(pasted, mark):
            raise Hint("The images are changed afterwards. Paste into a copy: `images + mark` makes one.")
        for label, part in zip(("The effect", "The share"), answer, strict=True):
            if array(label, part).size > 1:
                raise Hint(
                    f"{label} has {array(label, part).size} values; give one number for all the images."
                )
        effect, turned = number("The effect", answer[0]), number("The share", answer[1])
        before, after = chance(images), chance(images + mark)
        change, sick, was_sick = after - before, after > 0.5, before > 0.5
        odds = np.log(after / (1 - after)) - np.log(before / (1 - before))
        over = chance(np.where(mark > 0, mark, images)) - before
        typical = images.mean(0, keepdims=True)
        to_sick, to_healthy = (sick & ~was_sick).mean(), (was_sick & ~sick).mean()
        _same(f"For {name}, the effect", effect, change.mean(), (
            (np.abs(change).mean(), "The effect has lost its sign: a mark may also calm a network."),
            (-change.mean(), "The effect has the wrong sign: with the mark, minus without."),
            (to_sick + to_healthy, "The effect is a share of verdicts. The change of the chance is wanted."),
            (change.sum(), "The effect is a sum over the images; the mean is wanted."),
            (after.mean(), "That is the chance with the mark. Compare each image with itself, without."),
            (odds.mean(), "The effect is one of log-odds. The change of the chance is wanted."),
            (over.mean(), "You overwrite what lies under the mark. The scanner adds it to the pixels."),
            (
                (chance(typical + mark) - chance(typical)).item(),
                "You average the images first. A network is not linear: average what it says.",
            ),
        ))  # fmt: skip
        _same(f"For {name}, the share", turned, to_sick + to_healthy, (
            (200 * (to_sick + to_healthy), "The second number is a count; the share is wanted."),
            (sick.mean(), "The second number is the share called sick. How many verdicts turned?"),
            (to_sick - to_healthy, "The second number is a net change: turns to either side count."),
            (to_healthy - to_sick, "The second number is a net change: turns to either side count."),
            (to_sick, "You count turns to sick only. A verdict may turn to healthy too."),
            (to_healthy, "You count turns to healthy only. A verdict may turn to sick too."),
            ((np.abs(change) > 0.5).mean(), "Turned is who crosses ½, not who moves by ½."),
            (1 - to_sick - to_healthy, "The second number is the share of verdicts that stayed."),
        ))  # fmt: skip
    return "Right, for four networks; and no label was needed."


@checker
def false_alarms(chance: float, level: float) -> str:
    """Check the chance of a false alarm in 20 independent tests at level 0.01, and a level to keep 0.01."""
    chance, level = number("chance", chance), number("level", level)
    _slip(chance, (
        (0.2, "0.2 is the number of false alarms to expect, and an upper bound: two may come at once."),
        (0.01, "That is for one test. Twenty are twenty chances."),
        (0.99**20, "That is the chance that all is quiet. What is left?"),
        (0.01**20, "That is the chance that all twenty raise an alarm. One is enough."),
        (20 * 0.01 * 0.99**19, "That is for exactly one alarm. At least one is asked for."),
        (100 * (1 - 0.99**20), "As a number between 0 and 1, please."),
    ), 5e-3)  # fmt: skip
    if not np.isclose(chance, 1 - 0.99**20, rtol=5e-3):
        raise Hint(f"The chance is not {chance:.4g}. How likely is it that all twenty tests are quiet?")
    _slip(level, (
        (0.2, "Divide by the number of tests instead of multiplying."),
        (0.01, "That is the level of each test now. It must become stricter."),
        (0.05 / 20, "Divided by 20, yes; but it is 0.01 that is to be kept, not 0.05."),
        (0.01**20, "So strict that no shift would ever be seen. A twentieth is enough."),
        (1 - 0.01 ** (1 / 20), "Take the root of the chance that all is quiet, 0.99."),
    ))  # fmt: skip
    if not np.isclose(level, 0.01 / 20, rtol=1e-2):
        raise Hint(f"With level {level:.4g}, the chance is {1 - (1 - level) ** 20:.4g}; 0.01 is wanted.")
    return "Right: 18 in 100 such looks are a false alarm, and at the corrected level one."


def _same(name: str, given: float, right: float, slips: Iterable[tuple[float, str]]) -> None:
    """Refuse a number that is not right, with the hint of the misunderstanding that leads to it."""
    if not np.isclose(given, right):
        _slip(given, slips)
        raise Hint(f"{name} is {right:.4f}; you return {given:.4f}.")


def _slip(given: float, slips: Iterable[tuple[float, str]], rtol: float = 1e-5) -> None:
    for wrong, hint in slips:
        if np.isclose(given, wrong, rtol=rtol):
            raise Hint(hint)


def _finite(answer: object, hint: str) -> None:
    """Give a hint on infinities and NaN, if these are numbers at all."""
    try:
        finite = np.isfinite(np.asarray(answer, dtype=float)).all()
    except (TypeError, ValueError, RuntimeError):
        return
    if not finite:
        raise Hint(hint)
