"""All metrics of a scrape, read from PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import inf

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from eventbook.declare.queues import all_policies
from eventbook.observe.counters import bound_text, labels_text
from eventbook.observe.families import FAMILIES, OTHER, Family
from eventbook.operate import queries
from eventbook.operate.audit import rules

# The process groups in fly.toml that are not a queue's.
OTHER_GROUPS = ("web", "relay", "beat", "flower", "exporter")


def counted() -> Iterator[Metric]:
    """Yield the counters and histograms that processes add to."""
    found = queries.measures()
    for family in FAMILIES.values():
        values = found.get(family.name, {})
        labels = family.combinations()
        if family.bounds is None:
            counter = CounterMetricFamily(family.name, family.text, labels=list(labels[0]))
            for each in labels:
                value = values.get(labels_text(each), {}).get("", 0.0)
                counter.add_metric(list(each.values()), value)
            yield counter
        else:
            yield _histogram(family, family.bounds(), values)


def _histogram(
    family: Family, bounds: tuple[float, ...], values: dict[str, dict[str, float]]
) -> Metric:
    """Return a histogram with the bounds of this release.

    A value that was counted under an older bound is added to the bucket that the bound falls in.
    """
    labels = family.combinations()
    histogram = HistogramMetricFamily(family.name, family.text, labels=list(labels[0]))
    for each in labels:
        stored = dict(values.get(labels_text(each), {}))
        total = stored.pop("", 0.0)
        places = [0.0] * (len(bounds) + 1)
        for bound, value in stored.items():
            places[sum(own < float(bound) for own in bounds)] += value
        texts = map(bound_text, (*bounds, inf))
        buckets = list(zip(texts, accumulate(places), strict=True))
        histogram.add_metric(list(each.values()), buckets, total)
    return histogram


def queues() -> Iterator[Metric]:
    """Yield each queue's backlog, dead letters, pause, workers and SLO."""
    policies = all_policies()
    backlogs = [each for each in queries.backlogs(list(policies)) if each.queue in policies]
    workers = queries.workers_by_queue()
    yield gauge_by_queue(
        "queue_depth", "Open deliveries: waiting, running or between two attempts.",
        ((each.queue, each.depth) for each in backlogs),
    )  # fmt: skip
    yield gauge_by_queue(
        "queue_runnable", "Deliveries that wait for a worker or are held by one; 0 while paused.",
        ((each.queue, each.runnable) for each in backlogs),
    )  # fmt: skip
    yield gauge_by_queue(
        "queue_oldest_seconds", "How long the oldest waiting delivery could have run.",
        ((each.queue, each.oldest_seconds) for each in backlogs),
    )  # fmt: skip
    yield gauge_by_queue(
        "dead_letters", "Deliveries that failed for good and wait for an operator.",
        ((each.queue, each.dead) for each in backlogs),
    )  # fmt: skip
    yield gauge_by_queue(
        "queue_paused", "1 while an operator has paused the queue.",
        ((each.queue, each.paused) for each in backlogs),
    )  # fmt: skip
    yield gauge_by_queue(
        "queue_workers", "Workers that consume the queue.",
        ((name, workers.get(name, 0)) for name in policies),
    )  # fmt: skip
    yield gauge_by_queue(
        "queue_slo_seconds", "The queue's SLO: 99 % of deliveries take less, from commit to done.",
        ((policy.name, policy.slo_seconds) for policy in policies.values()),
    )  # fmt: skip


def relay() -> Iterator[Metric]:
    """Yield the relay's lag and backlog."""
    yield gauge(
        "relay_lag_seconds", "Age of the oldest event in the outbox.",
        queries.relay_lag_seconds(),
    )  # fmt: skip
    yield gauge("outbox_depth", "Events in the outbox.", queries.outbox_length())


def audits() -> Iterator[Metric]:
    """Yield the auditor's findings and their age; no samples if it has never run."""
    found = [(rule, count) for rule, count in queries.audits() if rule in rules]
    yield gauge_by_label(
        "rule", "audit_violations", "Breaches of the guarantee that the auditor found; must be 0.",
        found,
    )  # fmt: skip
    age = GaugeMetricFamily("audit_age_seconds", "Time since the auditor's last run.")
    if (seconds := queries.audit_age_seconds()) is not None:
        age.add_metric([], seconds)
    yield age


def processes() -> Iterator[Metric]:
    """Yield the number of live processes in each group, with their memory and clocks."""
    own = [policy.process_group for policy in all_policies().values()]
    groups = queries.process_groups([*own, *OTHER_GROUPS], other=OTHER)
    yield gauge_by_label(
        "group", "processes", "Live processes.",
        ((each.name, each.processes) for each in groups),
    )  # fmt: skip
    yield gauge_by_label(
        "group", "process_memory_bytes",
        "Memory of the group's process, with its children, that has the least left.",
        ((each.name, each.memory_bytes) for each in groups),
    )  # fmt: skip
    yield gauge_by_label(
        "group", "process_memory_limit_bytes", "The memory limit of that process.",
        ((each.name, each.memory_limit_bytes) for each in groups if each.memory_limit_bytes),
    )  # fmt: skip
    yield gauge_by_label(
        "group", "process_clock_ahead_seconds",
        "The group's largest difference to PostgreSQL's clock, ahead or behind.",
        ((each.name, each.clock_ahead_seconds) for each in groups),
    )  # fmt: skip


def streams() -> Iterator[Metric]:
    """Yield the number of live streams that web processes hold open."""
    yield gauge("sse_streams", "Open live streams.", queries.open_streams())


def database() -> Iterator[Metric]:
    """Yield how many connections PostgreSQL has, and how many it allows."""
    used, allowed = queries.connections_used_and_allowed()
    yield gauge("database_connections", "Connections to PostgreSQL.", used)
    yield gauge("database_connections_max", "Connections that PostgreSQL allows.", allowed)


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a metric of one value without labels."""
    return GaugeMetricFamily(name, text, value=value)


def gauge_by_queue(name: str, text: str, rows: Iterable[tuple[str, float]]) -> Metric:
    """Return a metric of (queue, value) rows."""
    return gauge_by_label("queue", name, text, rows)


def gauge_by_label(label: str, name: str, text: str, rows: Iterable[tuple[str, float]]) -> Metric:
    """Return a metric of rows that each pair a value of `label` with a figure."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, figure in rows:
        family.add_metric([value], figure)
    return family


# All metrics. Each function runs a few statements, so that a slow scrape can stop between two.
READERS = (counted, queues, relay, audits, processes, streams, database)
