"""The metrics that processes count, each with all its combinations of labels.

A scrape has one sample for each combination, 0 at first, and no others. So neither requests nor
unknown rows in the table can add time series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from eventbook.conf import conf
from eventbook.declare.events import type_of_name
from eventbook.declare.handlers import all_handlers
from eventbook.declare.queues import all_policies

Labels = dict[str, str]

# The outcomes of a delivery that reached a worker.
OUTCOMES = (
    "done", "retry", "dead", "limited", "deferred", "held", "superseded", "isolated", "paused",
    "passed_over",
)  # fmt: skip
# The outcomes of a message that came in over a bridge.
TAKEN_IN = ("recorded", "repeated", "ignored", "parked")
# The label of an event type, or process group, that this release does not know.
OTHER = "other"


def _none() -> list[Labels]:
    return [{}]


def _types() -> list[Labels]:
    return [{"type": name} for name in [*sorted(type_of_name), OTHER]]


def _queues() -> list[Labels]:
    return [{"queue": name} for name in all_policies()]


def _handlers() -> list[Labels]:
    return [{"handler": known.name, "queue": known.queue} for known in all_handlers()]


def _handler_names() -> list[Labels]:
    return [{"handler": known.name} for known in all_handlers()]


def _bridges() -> list[Labels]:
    return [{"bridge": bridge.name} for bridge in conf.BRIDGES]


def _taken_in() -> list[Labels]:
    return [labels | {"outcome": outcome} for labels in _bridges() for outcome in TAKEN_IN]


def _outcomes() -> list[Labels]:
    return [labels | {"outcome": outcome} for labels in _handlers() for outcome in OUTCOMES]


@cache
def seconds() -> tuple[float, ...]:
    """Return the bucket bounds of durations: from 1 ms on, with each queue's SLO as a bound."""
    digits = [round(digit * 10.0**power, 3) for power in (-3, -2, -1, 0) for digit in (1, 2, 3, 5)]
    slos = {float(policy.slo_seconds) for policy in all_policies().values()}
    return tuple(sorted({*digits, 10.0, 30.0, 60.0, 300.0, 1_800.0, 10_800.0} | slos))


@cache
def sizes() -> tuple[float, ...]:
    """Return the bucket bounds of batch sizes, up to the largest batch that a queue allows."""
    largest = max(policy.batch_size for policy in all_policies().values())
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
    return tuple(float(size) for size in sorted({*steps, largest}) if size <= largest)


@dataclass(frozen=True)
class Family:
    """A metric: a counter, or a histogram if it has bounds."""

    name: str
    text: str
    combinations: Callable[[], Sequence[Labels]]
    bounds: Callable[[], tuple[float, ...]] | None = None


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "events_recorded_total",
            "Recorded events, counted when the relay reads them from the outbox.",
            _types,
        ),
        Family("deliveries_total", "Deliveries that reached a worker, by outcome.", _outcomes),
        Family(
            "deliveries_late_total",
            "Deliveries that were done later than the SLO, counted from when they could run.",
            _queues,
        ),
        Family("messages_published_total", "Messages that the relay published.", _queues),
        Family(
            "deliveries_swept_total",
            "Deliveries that were published again because their message counts as lost.",
            _none,
        ),
        Family(
            "leases_rescued_total",
            "Batches that were released from workers that died or hung.",
            _none,
        ),
        Family("delivery_seconds", "Time from an event's commit until done.", _queues, seconds),
        Family(
            "queue_wait_seconds",
            "Time from an event's commit until the start of the run that delivered it.",
            _queues,
            seconds,
        ),
        Family(
            "bridge_published_total",
            "Events that a bridge's target has confirmed; after a fault, some of them twice.",
            _bridges,
        ),
        Family(
            "bridge_consumed_total",
            "Messages that came in over a bridge, by outcome.",
            _taken_in,
        ),
        Family("handler_seconds", "Run time of a handler's batches.", _handlers, seconds),
        Family("handler_batch_size", "Events in a handler's batches.", _handler_names, sizes),
    )
}
