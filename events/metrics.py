"""The event system's Prometheus metrics, read from PostgreSQL at every scrape.

So they are the same whichever process answers, and hold while the broker is down.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from events import queries


class QueueCollector(Collector):
    """Depth, age and dead letters of every queue, and the relay's lag."""

    def describe(self) -> list[Metric]:
        """This answers no description, so that registering asks no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """This answers one sample for each queue."""
        depth = GaugeMetricFamily(
            "queue_depth",
            "Deliveries that are open (waiting, retrying or running).",
            labels=["queue"],
        )
        oldest = GaugeMetricFamily(
            "queue_oldest_seconds", "Age of the oldest open delivery.", labels=["queue"]
        )
        dead = GaugeMetricFamily(
            "dead_letters", "Deliveries that failed for good and wait for an operator.",
            labels=["queue"],
        )  # fmt: skip
        for status in queries.queue_status(finished=False):
            open_count = status.waiting + status.in_progress + status.retrying
            depth.add_metric([status.queue], open_count)
            oldest.add_metric([status.queue], status.oldest_seconds)
            dead.add_metric([status.queue], status.dead)
        yield from (depth, oldest, dead)
        yield GaugeMetricFamily(
            "relay_lag_seconds",
            "Age of the oldest event that the relay has not taken.",
            value=queries.relay_lag_seconds(),
        )
        yield from _audits()


def _audits() -> Iterator[Metric]:
    violations = GaugeMetricFamily(
        "audit_violations", "Breaches of the guarantee that the auditor found; must be 0.",
        labels=["rule"],
    )  # fmt: skip
    age = GaugeMetricFamily("audit_age_seconds", "Time since the auditor looked last.")
    for rule, count in queries.audits():
        violations.add_metric([rule], count)
    if (seconds := queries.audit_age_seconds()) is not None:
        age.add_metric([], seconds)
    yield from (violations, age)


registry = CollectorRegistry()
registry.register(QueueCollector())
