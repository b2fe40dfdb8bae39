"""What a service counts, as a page that Prometheus can read."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Upper ends of the bins for the time that an answer takes."""


class Metrics:
    """Counters of one service since it was made; many threads may count at once."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        kept = {"registry": self._registry}
        self.requests = Counter("ddl_requests", "Requests answered.", ("path", "status"), **kept)
        self.seconds = Histogram("ddl_request_seconds", "Time to answer.", buckets=SECONDS, **kept)
        self.predictions = Counter("ddl_predictions", "Predictions made.", ("answer",), **kept)
        self.abstentions = Counter(
            "ddl_abstentions", "Rows without an answer, for want of confidence.", **kept
        )
        self.rejected = Counter("ddl_rejected_rows", "Rows not predicted.", ("reason",), **kept)
        self.broken = Counter("ddl_broken_connections", "Callers who hung up or fell silent.", **kept)
        self.drift = Gauge(
            "ddl_drift", "Population stability index of the rows since the start.", ("feature",), **kept
        )

    def page(self) -> bytes:
        """Return all counts in the text format of Prometheus."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Return the counts without the times at which each was first used, which double the page."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
