"""The title and columns of each scenario in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.measures import (
    Measure,
    cpu_each,
    each,
    field,
    largest_memory,
    memory,
)

Columns = Sequence[tuple[str, Measure]]
CPU = ("CPU ms/event", cpu_each)
LATENCY: Columns = (
    ("p50 ms", field("p50_ms")),
    ("p99 ms", field("p99_ms")),
    ("events/s", field("rate")),
    CPU,
)
CELEBRITY: Columns = (
    ("all s", field("seconds")),
    ("feeds s", field("feeds_seconds")),
    ("notifications s", field("notifications_seconds")),
    ("largest group MiB", largest_memory),
    ("neighbours' p99 ms", field("neighbours_p99_ms")),
)


@dataclass(frozen=True)
class Scenario:
    """The title of a scenario's table, and its columns as (heading, measure)."""

    title: str
    columns: Columns


def _http(title: str, unit: str = "requests/s") -> Scenario:
    return Scenario(title, (
        (unit, field("rate")), ("p50 ms", field("p50_ms")), ("p99 ms", field("p99_ms")),
        ("errors", field("errors")),
    ))  # fmt: skip


HTTP = {
    "post": _http("POST cards/"),
    "post_without_broker": _http("POST cards/, the broker unreachable"),
    "bulk": _http("POST cards/bulk/", "cards/s"),
    "read_following": _http("GET feeds/following/"),
    "read_notifications": _http("GET notifications/"),
}
SCENARIOS = {
    "drain": Scenario("A backlog is drained", (
        ("events/s", field("rate")),
        CPU,
        ("memory MiB", memory),
        ("broker bytes/event", each("broker_bytes")),
        ("WAL KiB/event", each("wal_bytes", times=1 / 1024)),
    )),
    "sustained": Scenario("8 writers, one commit an event", (("events/s", field("rate")), CPU)),
    "latency_50": Scenario("Commit to both effects, at 50 events/s", LATENCY),
    "latency_500": Scenario("Commit to both effects, at 500 events/s", LATENCY),
    "celebrity_100k": Scenario("One author with 100,000 followers", CELEBRITY),
    "celebrity_1m": Scenario("One author with 1,000,000 followers", CELEBRITY),
    "mixed": Scenario("Light load, alone and beside a flood", (
        ("alone p50 ms", field("alone_p50_ms")), ("alone p99 ms", field("alone_p99_ms")),
        ("flooded p50 ms", field("flooded_p50_ms")), ("flooded p99 ms", field("flooded_p99_ms")),
    )),
    "brokers_drain": Scenario("On each broker: a backlog is drained", (
        ("events/s", field("rate")), CPU, ("memory MiB, with RabbitMQ's", memory),
    )),
    "brokers_latency_50": Scenario("On each broker: commit to effects, 50 events/s", LATENCY),
    "brokers_mixed": Scenario("On each broker: light load beside a flood", (
        ("p50 ms", field("flooded_p50_ms")), ("p99 ms", field("flooded_p99_ms")),
    )),
    **HTTP,
}  # fmt: skip
