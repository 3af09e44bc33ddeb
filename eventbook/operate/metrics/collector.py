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
from eventbook.operate.audit import rules
from eventbook.operate.queries.backlogs import backlogs
from eventbook.operate.queries.bridges import bridge_status
from eventbook.operate.queries.processes import open_streams, process_groups, workers_by_queue
from eventbook.operate.queries.servers import connections_used_and_allowed
from eventbook.operate.queries.system import (
    audit_age_seconds,
    audits,
    measures,
    outbox_length,
    relay_lag_seconds,
)

# The process groups in fly.toml that are not a queue's.
OTHER_GROUPS = ("web", "relay", "beat", "bridge", "flower", "exporter")


def counted() -> Iterator[Metric]:
    """Yield the counters and histograms that processes add to."""
    found = measures()
    for family in FAMILIES.values():
        values = found.get(family.name, {})
        labels = family.combinations()
        if not labels:
            continue  # of bridges, where there is none
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


# Each metric of a queue, with the field of its Backlog.
QUEUE_GAUGES = (
    ("queue_depth", "depth", "Open deliveries: waiting, running or between two attempts."),
    (
        "queue_runnable",
        "runnable",
        "Deliveries that wait for a worker or are held by one; 0 while paused.",
    ),
    (
        "queue_oldest_seconds",
        "oldest_seconds",
        "How long the oldest waiting delivery could have run.",
    ),
    ("dead_letters", "dead", "Deliveries that failed for good and wait for an operator."),
    ("queue_paused", "paused", "1 while an operator has paused the queue."),
)


def queues() -> Iterator[Metric]:
    """Yield each queue's backlog, dead letters, pause, workers and SLO."""
    policies = all_policies()
    known = [each for each in backlogs(list(policies)) if each.queue in policies]
    workers = workers_by_queue()
    for name, field, text in QUEUE_GAUGES:
        figures = ((each.queue, getattr(each, field)) for each in known)
        yield gauge_by_label("queue", name, text, figures)
    by_queue = ((name, workers.get(name, 0)) for name in policies)
    yield gauge_by_label("queue", "queue_workers", "Workers that consume the queue.", by_queue)
    slos = ((policy.name, policy.slo_seconds) for policy in policies.values())
    text = "The queue's SLO: 99 % of deliveries take less, from commit to done."
    yield gauge_by_label("queue", "queue_slo_seconds", text, slos)


def relay() -> Iterator[Metric]:
    """Yield the relay's lag and backlog."""
    lag = relay_lag_seconds()
    yield gauge("relay_lag_seconds", "Age of the oldest event in the outbox.", lag)
    yield gauge("outbox_depth", "Events in the outbox.", outbox_length())


# Each metric of a bridge, with the field of its BridgeStatus.
BRIDGE_GAUGES = (
    ("bridge_depth", "depth", "Events that the bridge has yet to publish."),
    ("bridge_lag_seconds", "lag_seconds", "Age of the oldest event that it has yet to publish."),
    ("bridge_parked", "parked", "Messages that wait for an operator."),
)


def bridges() -> Iterator[Metric]:
    """Yield each bridge's backlog, lag and parked messages; nothing where there is no bridge."""
    known = bridge_status()
    for name, field, text in BRIDGE_GAUGES if known else ():
        figures = ((each.name, getattr(each, field)) for each in known)
        yield gauge_by_label("bridge", name, text, figures)


def auditor() -> Iterator[Metric]:
    """Yield the auditor's findings and their age; no samples if it has never run."""
    found = [(rule, count) for rule, count in audits() if rule in rules]
    text = "Breaches of the guarantee that the auditor found; must be 0."
    yield gauge_by_label("rule", "audit_violations", text, found)
    age = GaugeMetricFamily("audit_age_seconds", "Time since the auditor's last run.")
    if (seconds := audit_age_seconds()) is not None:
        age.add_metric([], seconds)
    yield age


# Each metric of a process group, with the field of its ProcessGroup.
GROUP_GAUGES = (
    ("processes", "processes", "Live processes."),
    (
        "process_memory_bytes",
        "memory_bytes",
        "Memory of the group's process, with its children, that has the least left.",
    ),
    (
        "process_clock_ahead_seconds",
        "clock_ahead_seconds",
        "The group's largest difference to PostgreSQL's clock, ahead or behind.",
    ),
)


def processes() -> Iterator[Metric]:
    """Yield the number of live processes in each group, with their memory and clocks."""
    own = [policy.process_group for policy in all_policies().values()]
    groups = process_groups([*own, *OTHER_GROUPS], other=OTHER)
    for name, field, text in GROUP_GAUGES:
        figures = ((each.name, getattr(each, field)) for each in groups)
        yield gauge_by_label("group", name, text, figures)
    limits = ((each.name, each.memory_limit_bytes) for each in groups if each.memory_limit_bytes)
    text = "The memory limit of that process."
    yield gauge_by_label("group", "process_memory_limit_bytes", text, limits)


def streams() -> Iterator[Metric]:
    """Yield the number of live streams that web processes hold open."""
    yield gauge("sse_streams", "Open live streams.", open_streams())


def database() -> Iterator[Metric]:
    """Yield how many connections PostgreSQL has, and how many it allows."""
    used, allowed = connections_used_and_allowed()
    yield gauge("database_connections", "Connections to PostgreSQL.", used)
    yield gauge("database_connections_max", "Connections that PostgreSQL allows.", allowed)


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a metric of one value without labels."""
    return GaugeMetricFamily(name, text, value=value)


def gauge_by_label(label: str, name: str, text: str, rows: Iterable[tuple[str, float]]) -> Metric:
    """Return a metric of rows that each pair a value of `label` with a figure."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, figure in rows:
        family.add_metric([value], figure)
    return family


# All metrics. Each function runs a few statements, so that a slow scrape can stop between two.
READERS = (counted, queues, relay, bridges, auditor, processes, streams, database)
