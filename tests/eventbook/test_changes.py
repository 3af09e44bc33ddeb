"""A change of one statement and its event are one: both are there, or neither is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from eventbook.models import Event, OutboxEntry
from eventbook.record.outbox import Priority, recording
from tests.conftest import Drain
from tests.probe.models import Effect
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)

CHANGE = "INSERT INTO probe_note (name) SELECT %s WHERE %s RETURNING name"


@pytest.fixture(autouse=True)
def notes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS probe_note (name text UNIQUE)")
        cursor.execute("TRUNCATE probe_note")


def change(name: str, *, happens: bool = True) -> list[Any]:
    event = ProbeSent(key=name)
    return probe_sent.send_with(CHANGE, [name, happens], sender=None, event=event)


def test_the_event_of_a_change_is_delivered(drain: Drain) -> None:
    rows = change("a")

    drain()

    assert rows == [("a",)]
    assert Effect.objects.filter(handler="probe.write").get().key == "a"


def test_a_change_that_touches_no_row_tells_of_nothing() -> None:
    assert change("a", happens=False) == []

    assert not Event.objects.exists()


def test_a_change_that_fails_leaves_no_event() -> None:
    change("a")

    with pytest.raises(IntegrityError):
        change("a")

    assert Event.objects.count() == OutboxEntry.objects.count() == 1


def test_within_a_transaction_it_is_rolled_back_with_it() -> None:
    with transaction.atomic():
        change("a")
        transaction.set_rollback(True)

    assert not Event.objects.exists()


def test_it_has_the_priority_of_the_recording_around_it() -> None:
    with transaction.atomic(), recording(priority=Priority.BULK):
        change("a")

    assert Event.objects.get().priority == Priority.BULK


def test_other_receivers_hear_of_it_once_in_its_transaction() -> None:
    heard = []

    def hear(sender: Any, event: ProbeSent, **_: Any) -> None:
        heard.append((event.key, connection.in_atomic_block))

    probe_sent.connect(hear)
    try:
        change("a")
        change("b", happens=False)
    finally:
        probe_sent.disconnect(hear)

    assert heard == [("a", True)]
    assert Event.objects.count() == 1


def test_an_event_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="takes ProbeSent"):
        probe_sent.send_with(CHANGE, ["a", True], sender=None, event=object())  # type: ignore[arg-type]

    assert not Event.objects.exists()
