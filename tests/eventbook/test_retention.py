"""What is deleted, and what stays."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from eventbook.beat.schedule import record_due_slots
from eventbook.database.ids import first_id_at, new_id
from eventbook.models import Attempt, Delivery, Event
from eventbook.store import retention
from eventbook.store.retention import prune
from tests.conftest import Drain
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)


def age(days: int) -> None:
    """Move all rows into the past, with the times in their ids."""
    for event in Event.objects.all():
        old = first_id_at(timezone.now() - timedelta(days=days)).int
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            cursor.execute(
                "WITH e AS (UPDATE eventbook_event SET id = %(new)s, recorded_at = recorded_at"
                " - make_interval(days => %(by)s) WHERE id = %(old)s)"
                " UPDATE eventbook_delivery SET event_id = %(new)s WHERE event_id = %(old)s",
                {
                    "old": event.pk,
                    "new": type(event.pk)(int=old | (event.pk.int & (2**62 - 1))),
                    "by": days,
                },
            )


def test_ids_are_in_the_order_of_their_times() -> None:
    now = timezone.now()

    assert first_id_at(now - timedelta(seconds=1)) < new_id() < first_id_at(now + timedelta(days=1))
    assert first_id_at(now).version == 7


def test_a_project_needs_no_queue_of_a_certain_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "all_policies", dict)

    assert prune() == {"events": 0}


def test_events_stay_for_as_many_days_as_the_setting_says(drain: Drain, settings: Any) -> None:
    send("old")
    drain()
    age(40)
    send("new")
    drain()

    for days in (0, 365):
        settings.KEEP_EVENTS_DAYS = days
        prune()
        assert Event.objects.count() == 2

    settings.KEEP_EVENTS_DAYS = 30
    prune()
    assert list(Event.objects.values_list("subject", flat=True)) == ["probes/new"]
    assert Delivery.objects.count() == 2


def test_the_event_of_a_dead_letter_stays(drain: Drain, settings: Any) -> None:
    send("bad", behaviour="raise")
    drain()
    age(40)
    settings.KEEP_EVENTS_DAYS = 30

    prune()

    assert Event.objects.count() == 1
    assert Delivery.objects.filter(handler="probe.write").get().state == "dead"
    assert Attempt.objects.filter(delivery__handler="probe.write").count() == 3


def test_slots_of_schedules_go_after_a_week(drain: Drain) -> None:
    record_due_slots()
    drain()
    age(6)
    prune()
    assert Event.objects.count() > 0

    age(8)
    prune()
    assert Event.objects.count() == 0


def test_attempts_go_with_their_delivery(drain: Drain, settings: Any) -> None:
    send("told", behaviour="raise_until_told")
    drain()
    assert Attempt.objects.count() > 0
    earlier = timezone.now() - timedelta(hours=2)
    Delivery.objects.update(state="done", due_at=None, finished_at=earlier)
    policies = {
        name: dataclasses.replace(policy, keep_done=0) for name, policy in settings.QUEUES.items()
    }
    settings.QUEUES = policies

    prune()

    assert (Delivery.objects.count(), Attempt.objects.count()) == (0, 0)
