"""Helpers for the tests of an application: run the relay until its handlers are done.

They need the servers and the workers of the application, because tests in one process would skip
the broker. Start a worker of all queues once for a test run (`manage.py worker QUEUE…`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

from celery import current_app

from eventbook.brokers.broker import BrokerDown
from eventbook.brokers.lanes import lane_names
from eventbook.database.statements import execute
from eventbook.relay.relay import Relay

PAUSE_SECONDS = 0.02  # between two steps of the relay
DUE_SECONDS = 0.05  # between two polls for retries; a relay process waits longer
OPEN = """
    SELECT handler || ' ' || state, count(*) FROM eventbook_delivery
    WHERE due_at IS NOT NULL GROUP BY 1
    UNION ALL SELECT 'outbox ' || type, count(*) FROM eventbook_outboxentry
    WHERE due_at IS NULL OR due_at <= now() GROUP BY 1
"""

BRING_FORWARD = """
    WITH events AS (
        UPDATE eventbook_outboxentry
        SET due_at = due_at - %(time)s, recorded_at = recorded_at - %(time)s
        WHERE due_at IS NOT NULL
    ), retries AS (
        UPDATE eventbook_delivery SET due_at = due_at - %(time)s WHERE state = 'retry'
    )
    UPDATE eventbook_burst
    SET began_at = began_at - %(time)s, closed_until = closed_until - %(time)s
"""

__all__ = [
    "NotDrained",
    "drain",
    "open_deliveries",
    "pass_time",
    "relay_once",
    "without_consumers",
]


class NotDrained(AssertionError):
    """Deliveries were still open when `drain` gave up; the message lists them."""


def drain(*, seconds: float = 30.0) -> None:
    """Run the relay until no event is in the outbox and no delivery waits or runs.

    Events that wait for a later time (`run_at`) are left there; see `pass_time`. Raise NotDrained
    after `seconds`, even if the broker was down all the time.
    """
    deadline = time.monotonic() + seconds
    relay = Relay()
    relay.rhythm.due_timer.seconds = DUE_SECONDS
    with closing(relay.broker):
        while True:
            with suppress(BrokerDown):
                relay.step()
                if not open_deliveries():
                    return
            if time.monotonic() > deadline:
                raise NotDrained(f"Open after {seconds:.0f} s: {open_deliveries()}")
            time.sleep(PAUSE_SECONDS)


def relay_once() -> None:
    """Let a relay take one step: expand the outbox, and send messages to the workers."""
    relay = Relay()
    with closing(relay.broker):
        relay.step()


def pass_time(time: timedelta) -> None:
    """Let delayed events, retries and ends of bursts come sooner, as if this time had passed."""
    execute(BRING_FORWARD, {"time": time}, prepare=False)


def open_deliveries() -> dict[str, int]:
    """Count open deliveries by "HANDLER STATE", and events in the outbox by "outbox TYPE"."""
    return dict(execute(OPEN, prepare=False).rows)


@contextmanager
def without_consumers(queue: str) -> Iterator[None]:
    """Stop one worker from consuming a queue during the block."""
    lanes = lane_names(current_app.conf.broker_url, queue)
    for lane in lanes:
        current_app.control.cancel_consumer(lane, reply=True, timeout=2, limit=1)
    try:
        yield
    finally:
        for lane in lanes:
            current_app.control.add_consumer(lane, reply=True, timeout=2, limit=1)
