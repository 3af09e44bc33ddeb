"""Events with a key: recorded twice, they are one event."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from eventbook.models import Event, OutboxEntry, Priority
from eventbook.record.outbox import record, recording
from tests.conftest import Drain
from tests.probe.models import Effect
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)


@transaction.atomic
def send(key: str | None, *, text: str = "a") -> None:
    probe_sent.send(sender=None, event=ProbeSent(key=text), key=key)


def test_the_same_key_is_the_same_event(drain: Drain) -> None:
    send("import@1")
    send("import@1", text="again")
    send("import@2", text="b")

    drain()

    assert sorted(Effect.objects.values_list("key", flat=True)) == ["a", "b"]
    assert Event.objects.count() == 2


def test_the_second_is_answered_the_id_of_the_first() -> None:
    with transaction.atomic():
        first = record(ProbeSent(key="a"), key="k")
    with transaction.atomic(), recording(priority=Priority.BULK):
        second = record(ProbeSent(key="a"), key="k")
        other = record(ProbeSent(key="b"), key="l")

    assert second == first != other
    assert Event.objects.get(pk=other).priority == Priority.BULK


def test_events_without_a_key_are_never_the_same() -> None:
    send(None)
    send(None)

    assert Event.objects.count() == OutboxEntry.objects.count() == 2


def test_requests_that_meet_record_one_event() -> None:
    def one(_: int) -> None:
        try:
            send("slot")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))

    assert Event.objects.count() == OutboxEntry.objects.count() == 1


def test_a_key_that_was_rolled_back_is_free() -> None:
    with transaction.atomic():
        record(ProbeSent(key="a"), key="k")
        transaction.set_rollback(True)

    send("k")

    assert Event.objects.count() == 1
