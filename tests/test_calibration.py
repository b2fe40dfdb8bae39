"""Calibration: counts by hand, temperatures that are known, and risks that are counted."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve

from ddl import calibration, plots


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


def labelled(n, classes, temperature, seed=0):
    """Labels drawn from softmax(logits / temperature), so that this is the right temperature."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(n, classes))
    p = softmax(logits / temperature, axis=1)
    return logits, (p.cumsum(1) > rng.random((n, 1))).argmax(1)


# Bins


def test_bins_count_confidence_and_hits():
    p = [[0.3, 0.7], [0.9, 0.1], [0.65, 0.35], [0.02, 0.98]]
    found = calibration.reliability(p, [1, 0, 1, 1], bins=5)
    assert found.edges == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert found.counts.tolist() == [0, 0, 0, 2, 2]
    assert found.confidence == pytest.approx([np.nan] * 3 + [0.675, 0.94], nan_ok=True)
    assert found.accuracy == pytest.approx([np.nan] * 3 + [0.5, 1], nan_ok=True)
    assert found.error == pytest.approx((2 * 0.175 + 2 * 0.06) / 4)


def test_a_bin_holds_its_upper_end():
    found = calibration.reliability([0.0, 0.5, 0.51, 1.0], [0, 1, 0, 1], bins=2)
    assert found.counts.tolist() == [2, 2]


def test_intervals_are_those_of_wilson():
    found = calibration.reliability([0.8] * 10, [1] * 8 + [0] * 2, bins=1)
    z, n, p = 1.959964, 10, 0.8
    centre = (p + z**2 / 2 / n) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2)
    assert (found.low[0], found.high[0]) == pytest.approx((centre - half, centre + half))


def test_probabilities_of_class_1_give_the_curve_of_scikit_learn():
    logits, y = labelled(500, 2, 1.0)
    p = softmax(logits, axis=1)[:, 1]
    for strategy in ("uniform", "quantile"):
        found = calibration.reliability(p, y, bins=7, strategy=strategy)
        share, mean = calibration_curve(y, p, n_bins=7, strategy=strategy)
        # A value at the end of a bin may fall to the other side there, where ends are interpolated.
        tolerance = 1e-9 if strategy == "uniform" else 0.02
        assert found.accuracy == pytest.approx(share, abs=tolerance)
        assert found.confidence == pytest.approx(mean, abs=tolerance)
    assert np.ptp(found.counts) <= 1


def test_equal_confidences_share_a_quantile_bin():
    found = calibration.reliability([0.7] * 9 + [0.9], [1] * 10, bins=5, strategy="quantile")
    assert (np.diff(found.edges) > 0).all()
    assert found.counts[found.counts > 0].tolist() == [9, 1]


def test_the_error_depends_on_the_bins_as_documented():
    logits, y = labelled(2000, 2, 1.0)
    p = softmax(logits, axis=1)
    few, many = (calibration.expected_calibration_error(p, y, bins=bins) for bins in (10, 500))
    assert few < 0.03 < many  # of probabilities that are perfect
    cancelling = [0.6] * 10 + [0.9] * 10, [1] * 9 + [0] + [1] * 6 + [0] * 4
    one, two = (calibration.expected_calibration_error(*cancelling, bins=bins) for bins in (1, 4))
    assert (one, two) == pytest.approx((0, 0.3))


def test_tensors_with_gradients_are_taken():
    p = torch.tensor([[0.2, 0.8]], requires_grad=True)
    assert calibration.expected_calibration_error(p, torch.tensor([1])) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("p", "y", "options", "words"),
    [
        ([1.2], [1], {}, "probabilities hold 1.2; pass logits through softmax or sigmoid first"),
        ([[-1.0, 2.0]], [1], {}, "probabilities hold -1; pass"),
        ([[0.3, 0.3]], [1], {}, "a row of probabilities has the sum 0.6; it must be 1"),
        ([[0.5, 0.5]], [2], {}, "y holds 2; the classes are 0 to 1"),
        ([0.5], [-1], {}, "y holds -1"),
        ([0.5], [0.5], {}, "y holds 0.5"),
        ([0.5, 0.5], [1], {}, r"y has shape \(1,\) for outputs of shape \(2, 2\)"),
        ([[1.0]], [0], {}, r"for outputs of shape \(1, 1\); give \(n,\) and \(n, classes\)"),
        ([], [], {}, r"probabilities has shape \(0,\) and holds nothing"),
        ([np.nan], [1], {}, "probabilities has shape .* and holds nan; give finite numbers"),
        ([0.5], [1], {"bins": 0}, "bins is 0"),
        ([0.5], [1], {"strategy": "equal"}, "strategy is 'equal'; take 'uniform' or 'quantile'"),
    ],
)
def test_what_is_no_probability_or_class_is_refused(p, y, options, words):
    with pytest.raises(ValueError, match=words):
        calibration.reliability(p, y, **options)


# Temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    logits, y = labelled(20_000, 4, temperature)
    assert calibration.temperature_scaling(logits, y) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_no_other_temperature_has_a_smaller_cross_entropy(scale):
    logits, y = labelled(300, 3, 1.7)
    logits *= scale

    def loss(log_t):
        return -log_softmax(logits / np.exp(log_t), axis=1)[np.arange(300), y].mean()

    best = minimize_scalar(loss, bracket=(np.log(scale), np.log(3 * scale)))
    found = calibration.temperature_scaling(torch.tensor(logits), torch.tensor(y))
    assert isinstance(found, float)
    assert np.log(found) == pytest.approx(best.x, abs=1e-4)
    assert loss(np.log(found)) <= best.fun + 1e-12


def test_no_prediction_changes_and_the_calibration_is_better_on_new_examples():
    logits, y = labelled(3000, 5, 3.0)
    temperature = calibration.temperature_scaling(logits[:1500], y[:1500])
    assert (logits.argmax(1) == (logits / temperature).argmax(1)).all()
    before, after = (
        calibration.expected_calibration_error(softmax(z[1500:], axis=1), y[1500:])
        for z in (logits, logits / temperature)
    )
    assert after < before / 4


def test_one_logit_stands_for_two_classes():
    logits, y = labelled(400, 2, 2.0)
    one = logits[:, 1] - logits[:, 0]
    both = calibration.temperature_scaling(logits, y)
    assert calibration.temperature_scaling(one, y) == pytest.approx(both)
    assert calibration.temperature_scaling(one[:, None], y) == pytest.approx(both)


def test_logits_for_which_no_temperature_is_best_are_refused():
    with pytest.raises(ValueError, match="all 3 examples are right, so that a smaller temperature"):
        calibration.temperature_scaling([[0.0, 40.0], [50.0, 0.0], [1.0, 0.0]], [1, 0, 0])
    with pytest.raises(ValueError, match="the logits are no better than chance"):
        calibration.temperature_scaling([2.0, 2.0, -1.0], [0, 0, 1])
    with pytest.raises(ValueError, match="no better than chance"):
        calibration.temperature_scaling(np.eye(3)[[0, 1, 2, 0]], [1, 2, 0, 0])
    with pytest.raises(ValueError, match="y holds 3; the classes are 0 to 2"):
        calibration.temperature_scaling(np.eye(3), [0, 1, 3])


# Saying nothing


def test_risks_are_counted():
    rng = np.random.default_rng(0)
    confidence, correct = rng.integers(5, size=60) / 4, rng.random(60) < 0.7
    curve = calibration.risk_coverage(confidence, correct)
    assert (np.diff(curve.threshold) < 0).all()
    for threshold, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        answered = confidence >= threshold
        assert coverage == pytest.approx(answered.mean())
        assert risk == pytest.approx(1 - correct[answered].mean())
    assert curve.coverage[-1] == 1


def test_the_area_is_the_mean_risk_if_no_confidences_are_equal():
    correct = np.array([True, True, False, True, False])
    curve = calibration.risk_coverage([0.9, 0.8, 0.7, 0.6, 0.5], correct)
    assert curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 4, 2 / 5])
    assert curve.area == pytest.approx(curve.risk.mean())


def test_a_confidence_that_says_nothing_has_the_risk_of_answering_always():
    curve = calibration.risk_coverage([0.5] * 4, [1, 0, 1, 1])
    assert (curve.coverage.tolist(), curve.risk.tolist(), curve.area) == ([1], [0.25], 0.25)


def test_the_risk_at_a_coverage_is_that_of_the_next_threshold():
    curve = calibration.risk_coverage(torch.tensor([0.9, 0.8, 0.8, 0.6]), torch.tensor([1, 1, 0, 0]).bool())
    assert [curve.at(c) for c in (0.1, 0.25, 0.3, 0.75, 1)] == pytest.approx([0, 0, 1 / 3, 1 / 3, 0.5])
    thirds = calibration.risk_coverage([3, 2, 1], [1, 1, 0])
    assert thirds.at(2 / 3) == 0
    for coverage in (0, 1.01):
        with pytest.raises(ValueError, match=f"coverage is {coverage}; give a fraction above 0 and at most"):
            curve.at(coverage)


@pytest.mark.parametrize(
    ("confidence", "correct", "words"),
    [
        ([0.5, 0.4], [1], r"confidence has shape \(2,\) and correct \(1,\)"),
        ([[0.5]], [[1]], r"confidence has shape \(1, 1\)"),
        ([0.5], [2], "correct holds 2.0; give truth values"),
        ([], [], r"confidence has shape \(0,\) and holds nothing"),
        ([np.inf], [1], "holds inf"),
    ],
)
def test_what_has_no_risk_is_refused(confidence, correct, words):
    with pytest.raises(ValueError, match=words):
        calibration.risk_coverage(confidence, correct)


# The diagram


def test_the_diagram_shows_filled_bins_their_intervals_and_the_diagonal():
    found = calibration.reliability([0.1, 0.1, 0.9, 0.9, 0.9, 0.9], [0, 1, 1, 1, 1, 0], bins=5)
    ax = plots.reliability_diagram(found, label="net", colour=plots.ORANGE)
    (marks,) = (artist for artist in ax.collections if isinstance(artist, PathCollection))
    (bars,) = (artist for artist in ax.collections if isinstance(artist, LineCollection))
    assert marks.get_offsets().tolist() == pytest.approx(np.array([[0.1, 0.5], [0.9, 0.75]]))
    small, large = marks.get_sizes()
    assert small < large
    assert to_hex(marks.get_facecolor()[0]) == to_hex(bars.get_color()[0]) == plots.ORANGE
    for i, segment in zip((0, 4), bars.get_segments(), strict=True):
        assert segment == pytest.approx(
            np.array([[found.confidence[i], found.low[i]], [found.confidence[i], found.high[i]]])
        )
    (diagonal,) = ax.get_lines()
    assert (diagonal.get_xy1(), diagonal.get_xy2()) == ((0, 0), (1, 1))
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1), (0, 1))
    assert ax.get_xlabel() == "confidence"
    assert ax.get_legend_handles_labels()[1] == ["net"]


def test_two_classifiers_can_share_a_diagram():
    _, ax = plt.subplots()
    found = calibration.reliability([0.3, 1.0], [0, 1])
    assert plots.reliability_diagram(found, ax) is ax
    assert plots.reliability_diagram(found, ax) is ax
    assert len([artist for artist in ax.collections if isinstance(artist, PathCollection)]) == 2
    assert ax.get_legend_handles_labels()[1] == []
