"""A monitor that compares the newest rows with the reference, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ddl import checks
from ddl.monitoring.inputs import Rows, table
from ddl.monitoring.stability import MAJOR_SHIFT, ReferenceBins
from ddl.monitoring.two_samples import adjusted, classifier_test, two_sample_tests


class Alarm(NamedTuple):
    """What one detector has to say."""

    detector: str
    """``"psi"``, ``"ks"`` or ``"classifier"``."""
    statistic: float
    """The most extreme value: the largest index, or the smallest p-value."""
    level: float
    """The threshold or level that it has passed."""
    features: tuple[str, ...]
    """Which features have passed it; for the classifier, which judges them together, all."""


@dataclass(frozen=True, eq=False)
class DriftReport:
    """What the monitor finds after some rows; NaN wherever a detector is off, or the window not yet full."""

    seen: int
    """Rows so far."""
    full: bool
    """Whether the window is full. Before, there are no statistics and no alarms."""
    psi: np.ndarray
    """Population stability index, shape (features,)."""
    p_values: np.ndarray
    """Of the test for each feature, corrected for their number, shape (features,)."""
    classifier_p_value: float
    """Of the test for all features together."""
    alarms: tuple[Alarm, ...]
    """Empty if all is quiet."""


class DriftMonitor:
    """Compares a window of the newest rows with the rows that a model was trained on.

    Up to three detectors look at the same window: the population stability index of each feature against a
    threshold, a Kolmogorov–Smirnov test of each feature at a corrected level, and a classifier test of all
    features together. Levels hold for one look of one detector. Who looks a hundred times will see false
    alarms, and looks at overlapping windows are not independent: measure how many.

    Parameters
    ----------
    reference
        Rows that the model was trained on, shape (n, features).
    names
        Names of the features; ``"x1"``, ``"x2"``, … if not given.
    window
        Number of newest rows that are compared.
    bins
        Number of bins of the index.
    psi
        Its threshold; None for no index.
    level
        Probability of a false alarm in one look, of the test for each feature and of the classifier; None for
        neither.
    correction
        For the number of features; see :func:`two_sample_tests`.
    classifier
        What the classifier test draws from; None for no such test.

    Raises
    ------
    TypeError
        If a setting is not of its kind.
    ValueError
        If a setting is out of range, names and features differ in number, or ``reference`` holds no rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> monitor = DriftMonitor(rng.normal(size=(500, 2)), names=("area", "age"), window=100)
    >>> monitor.update(rng.normal(size=(100, 2))).alarms
    ()
    >>> report = monitor.update(rng.normal(size=(60, 2)) + [0, 2])
    >>> [(alarm.detector, alarm.features) for alarm in report.alarms]
    [('psi', ('age',)), ('ks', ('age',))]
    """

    def __init__(
        self,
        reference: Rows,
        *,
        names: Sequence[str] = (),
        window: int = 200,
        bins: int = 10,
        psi: float | None = MAJOR_SHIFT,
        level: float | None = 0.01,
        correction: str = "holm",
        classifier: np.random.Generator | None = None,
    ) -> None:
        self._reference = table("reference", reference)
        features = self._reference.shape[1]
        self.names = tuple(names) or tuple(f"x{i}" for i in range(1, features + 1))
        if len(self.names) != features:
            raise ValueError(f"{len(self.names)} names for {features} features; give one for each")
        self.window = checks.whole_number("window", window, at_least=1 if classifier is None else 10)
        if psi is not None:
            checks.size("psi", psi)
        if level is not None:
            checks.fraction("level", level)
        if classifier is not None:
            checks.generator(classifier)
        adjusted(np.ones(1), correction)  # refuses one that is unknown before the first rows come
        self._bins = ReferenceBins(self._reference, bins)
        self._threshold, self._level, self._correction, self._rng = psi, level, correction, classifier
        self._rows = np.empty((0, features))
        self.report = self._nothing(0)
        """The newest report."""

    def update(self, rows: Rows) -> DriftReport:
        """Take new rows into the window, drop as many old ones, and compare.

        Parameters
        ----------
        rows
            In the order in which they came, shape (n, features).

        Returns
        -------
        DriftReport
            Statistics and alarms.

        Raises
        ------
        ValueError
            If the rows have another number of features, or gaps.
        """
        new = table("rows", rows, len(self.names), empty=True)
        self._rows = np.concatenate([self._rows, new])[-self.window :]
        seen = self.report.seen + len(new)
        self.report = self._look(seen) if len(self._rows) == self.window else self._nothing(seen)
        return self.report

    @property
    def state(self) -> dict[str, object]:
        """The newest report in plain numbers and names, as JSON can hold them; None for no number."""
        report = self.report

        def numbers(values: np.ndarray) -> dict[str, float | None]:
            return {name: _plain(value) for name, value in zip(self.names, values, strict=True)}

        return {
            "seen": report.seen,
            "window": self.window,
            "full": report.full,
            "psi": numbers(report.psi),
            "p_values": numbers(report.p_values),
            "classifier_p_value": _plain(report.classifier_p_value),
            "alarms": [alarm._asdict() | {"features": list(alarm.features)} for alarm in report.alarms],
        }

    def _look(self, seen: int) -> DriftReport:
        psi = p_values = np.full(len(self.names), np.nan)
        classifier_p_value, alarms = np.nan, []
        if self._threshold is not None:
            psi = self._bins.index(self._bins.counts(self._rows))
            if (psi > self._threshold).any():
                alarms.append(
                    Alarm("psi", float(psi.max()), self._threshold, self._those(psi > self._threshold))
                )
        if self._level is not None:
            tests = two_sample_tests(
                self._reference, self._rows, level=self._level, correction=self._correction
            )
            p_values = tests.p_values
            if tests.differ.any():
                alarms.append(Alarm("ks", float(p_values.min()), self._level, self._those(tests.differ)))
        if self._level is not None and self._rng is not None:
            classifier_p_value = classifier_test(self._reference, self._rows, rng=self._rng).p_value
            if classifier_p_value <= self._level:
                alarms.append(Alarm("classifier", classifier_p_value, self._level, self.names))
        return DriftReport(seen, True, psi, p_values, classifier_p_value, tuple(alarms))

    def _nothing(self, seen: int) -> DriftReport:
        unknown = np.full(len(self.names), np.nan)
        return DriftReport(seen, False, unknown, unknown, np.nan, ())

    def _those(self, chosen: np.ndarray) -> tuple[str, ...]:
        return tuple(name for name, is_chosen in zip(self.names, chosen, strict=True) if is_chosen)


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
