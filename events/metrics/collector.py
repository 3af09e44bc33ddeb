"""Everything that a scrape answers, from PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from math import inf

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from events import queries
from events.audit import rules
from events.metrics.counters import bound_text, labels_text
from events.metrics.families import FAMILIES, OTHER, Family
from events.queries import measures
from events.queues import all_policies

# Process groups beside those of the queues (fly.toml).
GROUPS = ("web", "relay", "beat", "flower", "exporter")

Sources = tuple[Callable[[], Iterator[Metric]], ...]


def sources() -> Sources:
    """These answer all metrics, each with few statements."""
    return (counted, queues, relay, audits, processes, streams, database)


def counted() -> Iterator[Metric]:
    """Return the counters and histograms that processes add to."""
    found = measures.measures()
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
    """Return a histogram; what was counted by other bounds is where it fits into these."""
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
    """Return what each queue has to do, and what it promises."""
    policies = all_policies()
    backlogs = [each for each in queries.backlogs(list(policies)) if each.queue in policies]
    workers = measures.consumers(list(policies))
    yield by_queue(
        "queue_depth", "Deliveries that are open: waiting, running or between attempts.",
        ((each.queue, each.depth) for each in backlogs),
    )  # fmt: skip
    yield by_queue(
        "queue_runnable", "Open deliveries that wait for a worker or are in one's hands.",
        ((each.queue, each.runnable) for each in backlogs),
    )  # fmt: skip
    yield by_queue(
        "queue_oldest_seconds", "For how long the oldest waiting delivery could have run.",
        ((each.queue, each.oldest_seconds) for each in backlogs),
    )  # fmt: skip
    yield by_queue(
        "dead_letters", "Deliveries that failed for good and wait for an operator.",
        ((each.queue, each.dead) for each in backlogs),
    )  # fmt: skip
    yield by_queue(
        "queue_paused", "1 while an operator has paused the queue.",
        ((each.queue, each.paused_at is not None) for each in backlogs),
    )  # fmt: skip
    yield by_queue("queue_workers", "Worker groups that consume the queue.", workers.items())
    yield by_queue(
        "queue_slo_seconds", "What 99 % of deliveries keep, from commit to done.",
        ((policy.name, policy.slo_seconds) for policy in policies.values()),
    )  # fmt: skip


def relay() -> Iterator[Metric]:
    """Return what the relay has still to take."""
    yield gauge(
        "relay_lag_seconds", "Age of the oldest event that the relay has not taken.",
        queries.relay_lag_seconds(),
    )  # fmt: skip
    yield gauge("outbox_depth", "Events that the relay has not taken.", queries.outbox_length())


def audits() -> Iterator[Metric]:
    """Return what the auditor found; nothing, if it has never looked."""
    found = [(rule, count) for rule, count in queries.audits() if rule in rules]
    yield by(
        "rule", "audit_violations", "Breaches of the guarantee that the auditor found; must be 0.",
        found,
    )  # fmt: skip
    age = GaugeMetricFamily("audit_age_seconds", "Time since the auditor looked last.")
    if (seconds := queries.audit_age_seconds()) is not None:
        age.add_metric([], seconds)
    yield age


def processes() -> Iterator[Metric]:
    """Return the processes that were seen just now, by their group."""
    own = [policy.process_group for policy in all_policies().values()]
    groups = measures.groups([*own, *GROUPS], other=OTHER)
    yield by(
        "group", "processes", "Processes that are alive.",
        ((each.name, each.processes) for each in groups),
    )  # fmt: skip
    yield by(
        "group", "process_memory_bytes",
        "Memory of that process of the group, with its children, which has the least left.",
        ((each.name, each.memory_bytes) for each in groups),
    )  # fmt: skip
    yield by(
        "group", "process_memory_limit_bytes", "The most that this process may have.",
        ((each.name, each.memory_limit_bytes) for each in groups if each.memory_limit_bytes),
    )  # fmt: skip
    yield by(
        "group", "process_clock_ahead_seconds",
        "How far the group's worst clock is from PostgreSQL's, ahead or behind.",
        ((each.name, each.clock_ahead_seconds) for each in groups),
    )  # fmt: skip


def streams() -> Iterator[Metric]:
    """Return how many live streams web processes hold open."""
    yield gauge("sse_streams", "Live streams that are open.", measures.streams())


def database() -> Iterator[Metric]:
    """Return how many connections PostgreSQL has, and allows."""
    used, most = measures.connections()
    yield gauge("database_connections", "Connections to PostgreSQL.", used)
    yield gauge("database_connections_max", "Connections that PostgreSQL allows.", most)


def gauge(name: str, text: str, value: float) -> Metric:
    """Return one figure without labels."""
    return GaugeMetricFamily(name, text, value=value)


def by_queue(name: str, text: str, rows: Iterable[tuple[str, float]]) -> Metric:
    """Return a figure of each queue."""
    return by("queue", name, text, rows)


def by(label: str, name: str, text: str, rows: Iterable[tuple[str, float]]) -> Metric:
    """Return a figure of each value of a label."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, figure in rows:
        family.add_metric([value], figure)
    return family
