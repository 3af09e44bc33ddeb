"""Who wakes the relay, and who holds a lease."""

from __future__ import annotations

import time
from importlib import import_module
from math import inf

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from eventbook.database.listener import Listener
from eventbook.database.statements import execute
from eventbook.deliveries import states as deliveries
from eventbook.models import Lease, OutboxEntry
from eventbook.relay.relay import POLLING_LOCK, Relay
from eventbook.testing import relay_once
from tests.conftest import Drain
from tests.harness.deliveries import expand_only
from tests.harness.processes import wait_for
from tests.probe.sending import send, states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other() -> psycopg.Connection:
    """Another session of the test database."""
    name = connection.settings_dict["NAME"]
    return psycopg.connect(settings.DATABASE_URL, dbname=name, autocommit=True)


def heard() -> bool:
    """Return whether recording an event sends a notification to listeners."""
    listener = Listener("outbox")
    listener.wait(0)
    try:
        send("a")
        return bool(listener.wait(0.5))
    finally:
        listener.close()


def leave(session: psycopg.Connection) -> None:
    """End a session, and wait until its locks are released."""
    session.close()
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    wait_for(lambda: execute(held).rows == [(0,)], seconds=5, what="its locks are gone")


def test_an_event_wakes_the_relay() -> None:
    assert heard()


def test_writers_look_for_the_lock_that_relays_hold() -> None:
    migration = import_module("eventbook.migrations.0002_notify_and_vacuum")

    assert migration.NOTIFY.count(f"({POLLING_LOCK})") == 2


def test_nobody_notifies_a_relay_that_is_awake(other: psycopg.Connection) -> None:
    with other:
        other.execute("SELECT pg_advisory_lock(%s)", [POLLING_LOCK])
        assert not heard()


def test_a_relay_that_died_awake_is_followed_by_notifications(other: psycopg.Connection) -> None:
    other.execute("SELECT pg_advisory_lock(%s)", [POLLING_LOCK])
    leave(other)

    assert heard()


def test_what_is_recorded_while_a_relay_is_awake_is_relayed(
    other: psycopg.Connection, drain: Drain
) -> None:
    with other:
        other.execute("SELECT pg_advisory_lock(%s)", [POLLING_LOCK])
        send("a", "b")

        drain()

    assert states()["done"] == 2
    assert not OutboxEntry.objects.exists()


def test_two_relays_may_both_be_busy(other: psycopg.Connection) -> None:
    relay = Relay()
    other.execute("SELECT pg_advisory_lock(%s)", [POLLING_LOCK])
    relay._stop_notifications()

    assert not relay._allow_notifications()
    leave(other)
    relay._stop_notifications()
    assert relay._allow_notifications()


def test_events_that_come_one_by_one_keep_the_relay_from_nothing_else(drain: Drain) -> None:
    relay = Relay()
    relay.step()
    send("late")
    expand_only()

    for key in ("a", "b"):
        relay.rhythm.due_timer.expire()
        send(key)
        relay.step()

    wait_for(lambda: states("probe.write")["done"] == 3, seconds=10, what="all are delivered")
    relay.broker.close()


class Busy(Relay):
    """A relay whose steps each claim two events."""

    until = 0.0
    was_told = False

    def step(self) -> int:
        self.rhythm.interactive = 2
        self.was_told = self.rhythm.due_timer.is_due()
        if self.was_told or time.monotonic() > self.until:
            self.stop()
        self.rhythm.due_timer.started = inf
        execute("SELECT pg_notify('outbox', %s)", [deliveries.DUE_NOW])
        return 2


def test_a_busy_relay_is_told_of_what_is_due() -> None:
    relay = Busy()
    relay.rhythm.due_timer.started = inf
    relay.until = time.monotonic() + 3

    relay.run()

    assert relay.was_told


def test_a_batch_that_lasts_has_a_lease_meanwhile(drain: Drain) -> None:
    send(*(f"slow-{number}" for number in range(5)), behaviour="slow")

    relay_once()

    wait_for(Lease.objects.exists, seconds=5, what="its worker holds a lease")
    lease = Lease.objects.first()
    drain()
    assert lease is not None
    assert len(lease.deliveries) == 5
    assert states()["done"] == 5
    wait_for(lambda: not Lease.objects.exists(), seconds=5, what="the lease is given back")
