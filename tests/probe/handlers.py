from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

from django.conf import settings

from eventbook.beat.schedule import scheduled
from eventbook.declare.bursts import Burst, Debounce, Throttle
from eventbook.declare.events import ALL_KEYS, KeyRange, Recorded
from eventbook.declare.handlers import handler
from eventbook.declare.retries import NEVER, Retry, exponential, fixed
from eventbook.observe import tracing
from tests.probe.behaviours import ABOUT_TRANSACTIONS, BEHAVIOURS, behave
from tests.probe.models import Effect
from tests.probe.signals import (
    ProbeMoved,
    ProbeRepeated,
    ProbeSent,
    ProbeSpread,
    ProbeTried,
    probe_moved,
    probe_repeated,
    probe_sent,
    probe_spread,
    probe_tried,
)

PART = 20  # the most effects that `spread` writes in one transaction


@handler(probe_sent, queue="notifications", name="probe.write")
def write(events: Sequence[Recorded[ProbeSent]]) -> None:
    Effect.objects.bulk_create(
        [Effect(key=e.event.key, handler="probe.write", event_id=e.id) for e in events]
    )
    for recorded in events:
        behave(recorded.event)


def account(event: ProbeSent) -> str:
    """Return the rate limit group: the key up to its first hyphen."""
    return event.key.partition("-")[0]


@handler(probe_sent, queue="feeds", name="probe.call", atomic=False, group=account)
def call(events: Sequence[Recorded[ProbeSent]]) -> None:
    (recorded,) = events
    with (settings.DATA_DIR / "outside.log").open("a") as outside:
        outside.write(f"{recorded.id} {recorded.event.key}\n")
    if url := os.environ.get("OUTSIDE_URL"):
        call_outside(url, recorded)
    if recorded.event.behaviour not in ABOUT_TRANSACTIONS:
        behave(recorded.event)


def call_outside(url: str, recorded: Recorded[ProbeSent]) -> None:
    """Send a request to the service that a test runs at OUTSIDE_URL."""
    request = Request(
        url,
        data=json.dumps({"subject": recorded.event.subject}).encode(),
        headers={"Idempotency-Key": str(recorded.id), "Content-Type": "application/json"},
    )
    with tracing.span("POST outside", kind="client"):
        # The headers name the span that is open.
        request.headers.update(tracing.headers())
        with urlopen(request, timeout=10):
            pass


def parts(events: Sequence[Recorded[ProbeSpread]]) -> dict[UUID, list[KeyRange]]:
    """Split each large event into ranges of PART keys; the last one covers all further keys."""
    return {
        recorded.id: [
            KeyRange(
                first or ALL_KEYS.first,
                first + PART if first + PART < recorded.event.size else ALL_KEYS.after,
            )
            for first in range(0, recorded.event.size, PART)
        ]
        for recorded in events
        if recorded.event.size > PART
    }


@handler(probe_spread, queue="notifications", name="probe.spread", split=parts)
def spread(events: Sequence[Recorded[ProbeSpread]]) -> None:
    Effect.objects.bulk_create(
        Effect(key=f"{recorded.event.key}-{n}", handler="probe.spread", event_id=recorded.id)
        for recorded in events
        for n in range(recorded.event.size)
        if recorded.keys.first <= n < recorded.keys.after
    )


@handler(probe_moved, queue="notifications", name="probe.move")
def follow(events: Sequence[Recorded[ProbeMoved]]) -> None:
    Effect.objects.bulk_create(
        Effect(key=e.event.key, handler="probe.move", event_id=e.id) for e in events
    )


RETRIES: dict[str, Any] = {
    "retry": Retry(attempts=4, backoff=fixed(0.1)),
    "retry_by_error": {
        ConnectionError: Retry(attempts=6, backoff=exponential(0.05, cap=0.1)),
        ConnectionRefusedError: NEVER,
    },
    "time_limit_seconds": 1,
}


@handler(probe_tried, queue="notifications", name="probe.try", **RETRIES)
def attempt(events: Sequence[Recorded[ProbeTried]]) -> None:
    Effect.objects.bulk_create(
        [Effect(key=e.event.key, handler="probe.try", event_id=e.id) for e in events]
    )
    for recorded in events:
        BEHAVIOURS[recorded.event.behaviour](recorded.event.key)


@handler(probe_tried, queue="feeds", name="probe.try_outside", atomic=False, **RETRIES)
def attempt_outside(events: Sequence[Recorded[ProbeTried]]) -> None:
    for recorded in events:
        BEHAVIOURS[recorded.event.behaviour](recorded.event.key)


def group_of(event: ProbeRepeated) -> str:
    """Return the key of a burst; raise for an event whose group is `none`."""
    if event.group == "none":
        raise LookupError(event.key)
    return event.group


def repeat(name: str, events: Sequence[Recorded[ProbeRepeated]]) -> None:
    Effect.objects.bulk_create(
        [Effect(key=each.event.key, handler=name, event_id=each.id) for each in events]
    )
    for each in events:
        BEHAVIOURS[each.event.behaviour](each.event.key)


def add_repeating(kind: str, burst: Burst) -> None:
    """Register two handlers of repeated probes: one in a transaction, and one outside."""
    for name, queue, atomic in ((kind, "notifications", True), (f"{kind}_outside", "feeds", False)):
        options: dict[str, Any] = {"atomic": atomic, "burst": burst, "retry": QUICK}
        subscribe = handler(probe_repeated, queue=queue, name=name, **options)
        subscribe(partial(repeat, name))


QUICK = Retry(attempts=2, backoff=fixed(0.1))
add_repeating("probe.debounce", Debounce(key=group_of, seconds=2, longest=5))
add_repeating("probe.throttle", Throttle(key=group_of, seconds=2))


@scheduled(cron="* * * * *", tz="Europe/Berlin", name="probe.minutely", queue="feeds")
def minutely() -> str:
    return "ran"
