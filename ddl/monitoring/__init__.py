"""Watching the inputs of a deployed model: whether its rows are still like those that it was trained on.

The formulas of :mod:`~ddl.monitoring.stability`, the tests of :mod:`~ddl.monitoring.two_samples`, and a
monitor that applies them to a window which slides along with the rows.
"""

from ddl.monitoring.monitor import Alarm, DriftMonitor, DriftReport
from ddl.monitoring.stability import (
    MAJOR_SHIFT,
    MINOR_SHIFT,
    ReferenceBins,
    population_stability_index,
    stability_threshold,
)
from ddl.monitoring.two_samples import (
    ClassifierTest,
    TwoSampleTests,
    adjusted,
    classifier_test,
    two_sample_tests,
)

__all__ = [
    "MAJOR_SHIFT",
    "MINOR_SHIFT",
    "Alarm",
    "ClassifierTest",
    "DriftMonitor",
    "DriftReport",
    "ReferenceBins",
    "TwoSampleTests",
    "adjusted",
    "classifier_test",
    "population_stability_index",
    "stability_threshold",
    "two_sample_tests",
]
