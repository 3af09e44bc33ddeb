"""While somebody holds an old snapshot, looks for work step over little of what is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from eventbook.database.ids import first_id_at, new_id
from eventbook.database.statements import plan
from eventbook.declare.handlers import handlers
from eventbook.declare.queues import policy_of
from eventbook.models import Delivery, OutboxEntry, Priority
from eventbook.relay import due, scan_start
from eventbook.relay.expansion import array_parameters, expand
from eventbook.relay.scan_start import ScanStart
from tests.harness.plans import entries_read
from tests.harness.processes import wait_for
from tests.probe.sending import send

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_deleted_rows"),
]

MANY = 2_000
HANDLER, QUEUE = "probe.write", "notifications"


@pytest.fixture(autouse=True)
def as_a_relay_that_rests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After a whole look, none begins at the beginning for the rest of a test."""
    monkeypatch.setattr(scan_start, "PAUSE_FACTOR", 1_000_000)
    plan(lean=True)
    yield
    plan(lean=False)


@pytest.fixture
def snapshot() -> Iterator[None]:
    """Hold an old snapshot, as a dump of the database does."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute("SELECT count(*) FROM eventbook_event")
        yield
        other.rollback()


def look(start: ScanStart) -> int:
    """Expand the outbox, and return the number of expanded events."""
    arrays = array_parameters((), [handlers[HANDLER]])
    return expand(arrays, start, limit=MANY, bulk_limit=MANY, many=False)[0].total()


@contextmanager
def reading(table: str, *, at_most: int = MANY * 10, at_least: int = 0) -> Iterator[None]:
    """Assert how many entries of a table the block reads, and roll its changes back."""
    with transaction.atomic():
        before = entries_read(table)
        yield
        assert at_least <= entries_read(table) - before <= at_most
        transaction.set_rollback(True)


@pytest.mark.parametrize("priority", Priority)
def test_a_look_steps_over_nothing_that_was_taken(snapshot: None, priority: Priority) -> None:
    start, before = ScanStart(), timezone.now() - timedelta(minutes=1)
    OutboxEntry.objects.bulk_create(
        OutboxEntry(
            event_id=first_id_at(before - timedelta(milliseconds=number)),
            type="probe.sent",
            priority=priority,
        )
        for number in range(MANY)
    )
    send("now", priority=priority)
    assert look(ScanStart()) + look(start) == MANY + 1  # the second one takes what came last
    assert look(start) == 0

    with reading("eventbook_outboxentry", at_least=MANY):
        assert look(ScanStart()) == 0
    with reading("eventbook_outboxentry", at_most=10):
        assert look(start) == 0


def test_what_comes_late_or_by_a_slow_clock_is_found_by_the_next_whole_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = ScanStart()
    send("one")
    assert look(start) == 1
    late = first_id_at(timezone.now() - timedelta(minutes=1))
    OutboxEntry.objects.create(event_id=late, type="probe.sent", priority=Priority.INTERACTIVE)
    send("two")

    assert look(start) == 1
    assert OutboxEntry.objects.get().event_id == late

    monkeypatch.setattr(scan_start, "PAUSE_FACTOR", 1)
    another = ScanStart()
    assert look(another) == 1
    late = first_id_at(timezone.now() - timedelta(minutes=2))
    OutboxEntry.objects.create(event_id=late, type="probe.sent", priority=Priority.INTERACTIVE)
    wait_for(lambda: look(another) == 1, seconds=5, what="it is found")


def test_the_backlog_of_one_lane_is_no_start_for_the_other() -> None:
    start = ScanStart()
    send(*"abc", priority=Priority.BULK)
    send("d")
    arrays = array_parameters((), [handlers[HANDLER]])

    first, _ = expand(arrays, start, limit=10, bulk_limit=0)
    second, _ = expand(arrays, start, limit=10, bulk_limit=2)
    third, _ = expand(arrays, start, limit=10, bulk_limit=2)

    assert (first, second, third) == (
        {Priority.INTERACTIVE: 1}, {Priority.BULK: 2}, {Priority.BULK: 1}
    )  # fmt: skip


def deliveries(count: int, *, due_at: datetime) -> list[Delivery]:
    now = timezone.now()
    return Delivery.objects.bulk_create(
        Delivery(
            event_id=new_id(), handler=HANDLER, queue=QUEUE, priority=Priority.INTERACTIVE,
            recorded_at=now, due_at=due_at,
        )
        for _ in range(count)
    )  # fmt: skip


def take(since: float) -> int:
    taken = due.claim_due(
        policy_of(QUEUE),
        priority=Priority.INTERACTIVE,
        sweep=True,
        limit=10,
        since=since,
    )
    return len(taken)


def test_a_look_for_what_is_due_steps_over_nothing_that_is_done(snapshot: None) -> None:
    start, now = ScanStart(), timezone.now()
    deliveries(MANY, due_at=now - timedelta(minutes=1))
    Delivery.objects.update(state="done", due_at=None)
    deliveries(1, due_at=now)
    (since,) = due.first_due([QUEUE], start).values()

    with reading("eventbook_delivery", at_least=MANY):
        assert len(due.first_due([QUEUE], ScanStart())) == 1
    with reading("eventbook_delivery", at_most=10):
        assert len(due.first_due([QUEUE], start)) == 1
    with reading("eventbook_delivery", at_least=MANY):
        assert take(since=0) == 1
    with reading("eventbook_delivery", at_most=10):
        assert take(since=since) == 1


def test_what_is_due_later_keeps_no_look_from_what_is_due_now() -> None:
    start, now = ScanStart(), timezone.now()
    deliveries(1, due_at=now + timedelta(minutes=1))
    assert due.first_due([QUEUE], start) == {}  # a whole look, after which the others go by it
    deliveries(1, due_at=now)

    assert len(due.first_due([QUEUE], start)) == 1
