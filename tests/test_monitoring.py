"""Monitoring: indices computed by hand, tests that keep their level, a window that slides."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier

from ddl import monitoring
from ddl.monitoring import DriftMonitor, ReferenceBins


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# The index


def test_the_index_is_the_sum_over_the_bins():
    reference = np.arange(100.0)  # ten bins of ten rows: 0 to 9, 10 to 19, …
    current = np.concatenate([np.full(40, 5.0), np.full(10, 95.0)])
    p = np.full(10, 10.5) / 105
    q = np.array([40.5, *[0.5] * 8, 10.5]) / 55
    wanted = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert monitoring.population_stability_index(reference, current) == pytest.approx([wanted])


def test_bins_end_at_quantiles_of_the_reference_and_the_outer_ones_have_no_end():
    bins = ReferenceBins(np.arange(100.0), bins=4)
    assert bins.edges[0].tolist() == [24, 49, 74]
    assert bins.reference_counts.tolist() == [[25, 25, 25, 25]]
    assert bins.counts([-1e9, 24, 24.5, 1e9]).tolist() == [[2, 1, 0, 1]]


def test_a_feature_of_few_values_has_a_bin_for_each_and_for_anything_else():
    bins = ReferenceBins([3.0, 1.0, 3.0, 3.0])
    assert bins.reference_counts.tolist() == [[0, 1, 3, 0]]
    assert bins.counts([0.0, 1.0, 2.0, 3.0, 3.1]).tolist() == [[1, 1, 2, 1]]
    constant = np.ones(50)
    for other in (0.0, 2.0):
        assert monitoring.population_stability_index(constant, constant * other) > 1
    assert monitoring.population_stability_index(constant, constant) == [0]


def test_features_may_have_different_numbers_of_bins():
    x = np.stack([np.arange(100.0), np.arange(100) % 2, np.ones(100)], axis=1)
    y = x[::3]
    alone = [monitoring.population_stability_index(x[:, i], y[:, i])[0] for i in range(3)]
    assert monitoring.population_stability_index(x, y) == pytest.approx(alone)


def test_a_feature_in_which_many_rows_are_equal_keeps_fewer_bins():
    column = np.concatenate([np.zeros(95), np.arange(1, 21)])
    bins = ReferenceBins(column)
    assert (np.diff(bins.edges[0]) > 0).all()
    assert bins.reference_counts.sum() == len(column)
    assert bins.index(bins.counts(column)) == [0]


def test_rows_may_be_counted_piece_by_piece():
    bins = ReferenceBins(draw(300, 2))
    current = draw(90, 2, seed=1) + 0.5
    pieces = bins.counts(current[:0]) + bins.counts(current[:40]) + bins.counts(current[40:])
    assert bins.index(pieces) == pytest.approx(
        monitoring.population_stability_index(draw(300, 2), torch.tensor(current))
    )


def test_the_index_of_equal_distributions_has_the_mean_and_the_quantiles_of_chi_squared():
    rng = np.random.default_rng(0)
    found = np.array(
        [
            monitoring.population_stability_index(rng.normal(size=2000), rng.normal(size=500))[0]
            for _ in range(400)
        ]
    )
    assert found.mean() == pytest.approx(9 * (1 / 2000 + 1 / 500), rel=0.08)
    for level in (0.5, 0.1):
        share = (found > monitoring.stability_threshold(2000, 500, level=level)).mean()
        assert share == pytest.approx(level, abs=3.5 * math.sqrt(level * (1 - level) / 400))


def test_the_threshold_knows_rows_bins_and_features():
    threshold = monitoring.stability_threshold
    assert threshold(100, 100, bins=2, level=0.05) == pytest.approx(0.02 * 1.959964**2)
    assert threshold(100, 100, bins=2, level=0.1, features=2) == pytest.approx(0.02 * 1.959964**2)
    assert threshold(50, 200) == threshold(200, 50)
    assert threshold(100, 100, bins=20) > threshold(100, 100)
    assert (monitoring.MINOR_SHIFT, monitoring.MAJOR_SHIFT) == (0.1, 0.25)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.ones((3, 2)), np.ones((3, 3))), ValueError, r"current has shape \(3, 3\); give \(n, 2\)"),
        ((np.ones((2, 2, 2)), [1]), ValueError, r"reference has shape \(2, 2, 2\); give \(n, features\)"),
        ((np.ones((2, 0)), [1]), ValueError, r"reference has shape \(2, 0\)"),
        (([], [1.0]), ValueError, "reference has no row"),
        (([1.0], []), ValueError, "current has no row"),
        (([1.0], [1, np.nan]), ValueError, r"current\[1, 0\] is nan; leave such rows out"),
        (([1.0, np.inf], [1]), ValueError, r"reference\[1, 0\] is inf"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(arguments, error, words):
    for function in (
        monitoring.population_stability_index,
        monitoring.two_sample_tests,
        lambda *both: monitoring.classifier_test(*both, rng=np.random.default_rng(0)),
    ):
        with pytest.raises(error, match=words):
            function(*arguments)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="bins is 1; it must be at least 2"):
        ReferenceBins([1.0], bins=1)
    with pytest.raises(ValueError, match="level is 0; give a fraction above 0 and below 1"):
        monitoring.stability_threshold(10, 10, level=0)
    with pytest.raises(ValueError, match=r"level is 1\.0; give a fraction"):
        monitoring.two_sample_tests([1.0], [1.0], level=1.0)
    with pytest.raises(TypeError, match=r"level is '5 %'; give a fraction such as 0\.05"):
        monitoring.two_sample_tests([1.0], [1.0], level="5 %")
    with pytest.raises(TypeError, match="level is True"):
        monitoring.stability_threshold(10, 10, level=True)
    with pytest.raises(ValueError, match="current_rows is 0"):
        monitoring.stability_threshold(10, 0)
    with pytest.raises(ValueError, match="correction is 'fdr'; take one of holm, bonferroni, none"):
        monitoring.two_sample_tests([1.0], [1.0], correction="fdr")


# One test for each feature


def test_each_feature_is_tested_by_itself():
    reference, current = draw(300, 3), np.add(draw(100, 3, seed=1), [0, 0.6, 0])
    found = monitoring.two_sample_tests(reference, current, correction="none", level=0.001)
    for i in range(3):
        alone = ks_2samp(reference[:, i], current[:, i])
        assert (found.statistics[i], found.p_values[i]) == pytest.approx((alone.statistic, alone.pvalue))
    assert found.differ.tolist() == [False, True, False]
    assert found.level == 0.001


def test_one_feature_is_a_list_of_one():
    found = monitoring.two_sample_tests(draw(50), torch.tensor(draw(50, seed=1)))
    assert found.statistics.shape == found.p_values.shape == found.differ.shape == (1,)


def test_corrections_are_those_of_the_books():
    p = np.array([0.025, 0.01, 0.5, 0.02])
    assert monitoring.adjusted(p, "bonferroni") == pytest.approx([0.1, 0.04, 1, 0.08])
    assert monitoring.adjusted(p, "holm") == pytest.approx([0.06, 0.04, 0.5, 0.06])  # not 0.05: in order
    assert monitoring.adjusted(p, "none") == pytest.approx(p)


def test_corrected_tests_seldom_raise_a_false_alarm():
    rng = np.random.default_rng(0)
    alarms = {"holm": 0, "none": 0}
    for _ in range(200):
        reference, current = rng.normal(size=(200, 10)), rng.normal(size=(100, 10))
        for correction in alarms:
            tests = monitoring.two_sample_tests(reference, current, level=0.1, correction=correction)
            alarms[correction] += tests.differ.any()
    assert alarms["holm"] <= 30  # 20 are allowed on average
    assert alarms["none"] >= 90


# One test for all features


class Constant(ClassifierMixin, BaseEstimator):
    """Calls every row current."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, x):
        return np.ones(len(x), dtype=int)


class Liar(ClassifierMixin, BaseEstimator):
    """Sees which set a row is from, in its only feature, and says the other."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, x):
        return 1 - x[:, 0].astype(int)


def classifier_p_values(count, shift=0.0, **options):
    rng = np.random.default_rng(3)
    return np.array(
        [
            monitoring.classifier_test(
                rng.normal(size=(60, 2)), rng.normal(size=(50, 2)) + shift, rng=rng, **options
            ).p_value
            for _ in range(count)
        ]
    )


def test_the_classifier_keeps_its_level_and_sees_a_shift():
    assert (classifier_p_values(300) <= 0.1).mean() <= 0.13
    assert (classifier_p_values(30, shift=1.5) <= 0.01).mean() > 0.9


def test_so_it_does_with_shuffles():
    assert (classifier_p_values(6, permutations=9) <= 0.1).sum() <= 3  # 0.6 are allowed on average
    assert classifier_p_values(1, shift=2, permutations=30) == pytest.approx(1 / 31)  # the smallest there is


def test_a_forest_sees_what_a_line_does_not():
    reference, current = draw(200, 2), 0.3 * draw(200, 2, seed=1)
    rng = np.random.default_rng(0)
    forest = RandomForestClassifier(20, random_state=0)
    assert monitoring.classifier_test(reference, current, rng=rng, model=forest).p_value < 1e-6
    assert not hasattr(forest, "estimators_")
    assert monitoring.classifier_test(reference, current, rng=rng).p_value > 1e-3


def test_who_calls_all_rows_current_is_right_about_half_of_them():
    rng = np.random.default_rng(0)
    found = monitoring.classifier_test(draw(31, 2), draw(500, 2), rng=rng, model=Constant())
    assert found.accuracy == 0.5
    assert found.rows == 32  # 31 of each, of which 15 are learned from
    assert found.p_value > 0.5
    shuffled = monitoring.classifier_test(draw(31), draw(31), rng=rng, model=Constant(), permutations=3)
    assert (shuffled.accuracy, shuffled.rows) == (pytest.approx(0.5), 62)


def test_who_is_always_wrong_raises_no_alarm():
    found = monitoring.classifier_test(np.zeros(40), np.ones(40), rng=np.random.default_rng(0), model=Liar())
    assert (found.accuracy, found.p_value) == (0, 1)


def test_rows_that_come_in_an_order_are_mixed_first():
    size = np.abs(draw(400))
    reference = np.concatenate([-size[:100], size[100:]])  # as many as are compared come first
    found = monitoring.classifier_test(reference, reference[::4], rng=np.random.default_rng(0))
    assert found.p_value > 0.01


def test_the_classifier_test_repeats_itself_and_leaves_the_rows_alone():
    reference, current = draw(40, 2), draw(30, 2, seed=1)
    before = reference.copy(), current.copy()
    first, second = (
        monitoring.classifier_test(reference, current, rng=np.random.default_rng(7), permutations=5)
        for _ in range(2)
    )
    assert first == second
    assert (before[0] == reference).all()
    assert (before[1] == current).all()


def test_the_classifier_test_wants_rows_and_a_generator():
    with pytest.raises(ValueError, match="reference has 9 rows and current 50; give at least 10 of each"):
        monitoring.classifier_test(draw(9), draw(50), rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="rng is 0; give a numpy"):
        monitoring.classifier_test(draw(20), draw(20), rng=0)


# The monitor


def test_the_window_holds_the_newest_rows():
    reference = draw(400, 2)
    monitor = DriftMonitor(reference, window=50)
    rows = draw(120, 2, seed=1) + 0.3
    for start, end in ((0, 30), (30, 30), (30, 49)):
        report = monitor.update(rows[start:end])
        assert (report.seen, report.full, report.alarms) == (end, False, ())
        assert np.isnan([*report.psi, *report.p_values, report.classifier_p_value]).all()
    for start, end in ((49, 50), (50, 57), (57, 120)):
        report = monitor.update(rows[start:end])
        window = rows[end - 50 : end]
        assert (report.seen, report.full) == (end, True)
        assert report.psi == pytest.approx(monitoring.population_stability_index(reference, window))
        tests = monitoring.two_sample_tests(reference, window, level=0.01)
        assert report.p_values == pytest.approx(tests.p_values)
        assert monitor.report is report


def test_each_detector_names_the_features_it_is_worried_about():
    monitor = DriftMonitor(
        draw(500, 3), names=("area", "age", "rooms"), window=100, classifier=np.random.default_rng(0)
    )
    assert monitor.update(draw(100, 3, seed=1)).alarms == ()
    alarms = {
        alarm.detector: alarm for alarm in monitor.update(np.add(draw(100, 3, seed=2), [2, 0, 2])).alarms
    }
    assert list(alarms) == ["psi", "ks", "classifier"]
    assert alarms["psi"].features == alarms["ks"].features == ("area", "rooms")
    assert alarms["classifier"].features == ("area", "age", "rooms")
    assert [alarm.level for alarm in alarms.values()] == [0.25, 0.01, 0.01]
    assert alarms["psi"].statistic == monitor.report.psi.max()
    assert alarms["ks"].statistic == monitor.report.p_values.min()
    assert alarms["classifier"].statistic == monitor.report.classifier_p_value < 0.01


def test_detectors_can_be_switched_off():
    shifted = draw(100, seed=1) + 2
    for options, detectors in (
        ({"psi": None}, ["ks"]),
        ({"level": None}, ["psi"]),
        ({"level": None, "classifier": np.random.default_rng(0)}, ["psi"]),
        ({"psi": None, "level": None}, []),
        ({"psi": 99.0, "level": 1e-300}, []),
    ):
        report = DriftMonitor(draw(500), window=100, **options).update(shifted)
        assert [alarm.detector for alarm in report.alarms] == detectors
        assert np.isnan(report.psi).all() == (options.get("psi", 1) is None)
        assert np.isnan(report.p_values).all() == (options.get("level", 1) is None)
        assert np.isnan(report.classifier_p_value)


def test_the_correction_is_the_one_asked_for():
    monitor = DriftMonitor(draw(200, 3), window=20, correction="none")
    report = monitor.update(draw(20, 3, seed=1))
    tests = monitoring.two_sample_tests(draw(200, 3), draw(20, 3, seed=1), correction="none")
    assert report.p_values == pytest.approx(tests.p_values)


def test_the_state_is_a_dictionary_that_json_can_hold():
    monitor = DriftMonitor(draw(200, 2), names=("a", "b"), window=20)
    monitor.update(draw(5, 2))
    empty = json.loads(json.dumps(monitor.state, allow_nan=False))
    assert empty == {
        "seen": 5, "window": 20, "full": False, "alarms": [], "classifier_p_value": None,
        "psi": {"a": None, "b": None}, "p_values": {"a": None, "b": None},
    }  # fmt: skip
    report = monitor.update(np.add(draw(20, 2), [0, 3]))
    full = json.loads(json.dumps(monitor.state, allow_nan=False))
    assert full["psi"] == pytest.approx(dict(zip("ab", report.psi, strict=True)))
    assert full["p_values"] == pytest.approx(dict(zip("ab", report.p_values, strict=True)))
    assert full["alarms"][0] == {
        "detector": "psi", "statistic": pytest.approx(report.psi.max()), "level": 0.25, "features": ["b"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"names": ("a",)}, ValueError, "1 names for 2 features; give one for each"),
        ({"window": 0}, ValueError, "window is 0; it must be at least 1"),
        ({"window": 9, "classifier": np.random.default_rng(0)}, ValueError, "window is 9; .* at least 10"),
        ({"classifier": 3}, TypeError, "rng is 3"),
        ({"psi": 0}, ValueError, "psi is 0; it must be positive"),
        ({"level": 5}, ValueError, "level is 5; give a fraction"),
        ({"bins": 1}, ValueError, "bins is 1"),
        ({"correction": "fdr"}, ValueError, "correction is 'fdr'"),
    ],
)
def test_a_monitor_refuses_settings_that_make_no_sense(options, error, words):
    with pytest.raises(error, match=words):
        DriftMonitor(draw(30, 2), **options)


def test_a_monitor_refuses_rows_of_other_features_and_keeps_its_window():
    monitor = DriftMonitor(draw(30, 2), window=5)
    monitor.update(draw(4, 2))
    with pytest.raises(ValueError, match=r"rows has shape \(3, 3\); give \(n, 2\)"):
        monitor.update(draw(3, 3))
    assert monitor.update(draw(1, 2)).seen == 5
    assert DriftMonitor(draw(30, 2)).names == ("x1", "x2")
