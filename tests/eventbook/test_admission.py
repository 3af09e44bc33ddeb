from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from eventbook.models import Delivery, Event, OutboxEntry, Priority
from eventbook.record import admission
from eventbook.record.admission import BacklogCache, BacklogFull, admit_bulk_work
from eventbook.record.outbox import recording
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no test believe what another one counted."""
    monkeypatch.setattr(admission, "backlog", BacklogCache())


def record(count: int, *, priority: Priority) -> None:
    """Record probes, without a relay that would expand them."""
    with transaction.atomic(), recording(priority=priority):
        for number in range(count):
            probe_sent.send(sender=None, event=ProbeSent(key=str(number)))


def deliver(state: str, *, priority: Priority) -> None:
    """Create one delivery of each event that has none yet."""
    now = timezone.now()
    is_open = state in ("queued", "retry")
    Delivery.objects.bulk_create(
        Delivery(
            event=event, handler="probe.write", queue="events", state=state, priority=priority,
            recorded_at=now, due_at=now if is_open else None, finished_at=None if is_open else now,
        )
        for event in Event.objects.filter(deliveries=None)
    )  # fmt: skip
    OutboxEntry.objects.all().delete()


def test_bulk_work_is_refused_from_the_limit_on(settings: Any) -> None:
    settings.BULK_BACKLOG_LIMIT = 5
    record(2, priority=Priority.BULK)
    deliver("queued", priority=Priority.BULK)
    record(2, priority=Priority.BULK)

    admit_bulk_work()
    record(1, priority=Priority.BULK)
    admission.backlog = BacklogCache()

    with pytest.raises(BacklogFull) as refused:
        admit_bulk_work()
    assert refused.value.retry_after == admission.DEFAULT_WAIT


def test_neither_interactive_nor_finished_work_counts(settings: Any) -> None:
    settings.BULK_BACKLOG_LIMIT = 1
    record(2, priority=Priority.BULK)
    deliver("done", priority=Priority.BULK)
    record(2, priority=Priority.BULK)
    deliver("dead", priority=Priority.BULK)
    record(2, priority=Priority.INTERACTIVE)
    deliver("queued", priority=Priority.INTERACTIVE)
    record(2, priority=Priority.INTERACTIVE)

    admit_bulk_work()


def test_it_is_counted_once_a_second(settings: Any) -> None:
    settings.BULK_BACKLOG_LIMIT = 1
    record(1, priority=Priority.BULK)
    backlog = BacklogCache()

    assert backlog.seconds_until_room(0.0) == admission.DEFAULT_WAIT
    OutboxEntry.objects.all().delete()

    assert backlog.seconds_until_room(0.9) == admission.DEFAULT_WAIT
    assert backlog.seconds_until_room(1.0) == 0


@pytest.mark.parametrize(("limit", "seconds"), [(10, 5), (400, 100), (4000, 300)])
def test_the_time_to_wait_comes_from_the_rate_of_delivery(limit: int, seconds: int) -> None:
    record(4, priority=Priority.BULK)
    deliver("done", priority=Priority.BULK)
    Delivery.objects.update(finished_at=timezone.now() - timedelta(seconds=2))

    assert admission.seconds_to_wait(limit) == seconds
