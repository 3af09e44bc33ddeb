"""Schedules: a slot runs once, whoever records it, and however often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from celery import current_app
from django.db import connections

from eventbook.beat.schedule import record_due_slots, schedules
from eventbook.beat.scheduler import SlotScheduler
from eventbook.beat.timing import EPOCH
from eventbook.models import Delivery, Event
from tests.conftest import Drain

pytestmark = pytest.mark.django_db(transaction=True)

# The schedules that run when they are new.
AT_ONCE = {name for name, known in schedules.items() if known.timing.starts_at_once}


def test_what_ran_periodically_has_a_schedule() -> None:
    assert {
        "accounts.delete_expired",
        "eventbook.forget_results",
        "eventbook.prune",
        "feeds.evict_idle",
        "feeds.prune_orphans",
        "feeds.trim",
        "notifications.prune_orphans",
    } <= schedules.keys()


def test_slots_are_counted_from_the_epoch_so_that_all_schedulers_agree() -> None:
    timing = schedules["eventbook.prune"].timing
    now = datetime(2026, 1, 2, 3, 14, 15, tzinfo=UTC)

    assert timing.latest(since=EPOCH, now=now) == datetime(2026, 1, 2, 3, 10, tzinfo=UTC)
    assert timing.next(now) == datetime(2026, 1, 2, 3, 20, tzinfo=UTC)


def test_schedulers_that_run_at_once_record_a_slot_once() -> None:
    def tick(_: int) -> float:
        try:
            return SlotScheduler(current_app).tick()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(tick, range(16)))

    assert all(0 <= wait <= 60 for wait in waits)
    by_name = {name: Event.objects.filter(type=f"{name}.due").count() for name in AT_ONCE}
    # The clock may pass into the next slot meanwhile, but each slot is there once.
    assert set(by_name.values()) <= {1, 2}
    assert Event.objects.count() == Event.objects.values("key").distinct().count()


def test_a_slot_runs_in_a_worker_as_the_task_of_its_name(drain: Drain) -> None:
    sleep = record_due_slots()

    drain()

    assert timedelta(0) < sleep <= timedelta(minutes=1)
    ran = Delivery.objects.filter(handler__in=AT_ONCE)
    assert {(delivery.handler, delivery.state) for delivery in ran} == {
        (name, "done") for name in AT_ONCE
    }


def test_a_scheduler_without_its_database_waits_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.db import OperationalError

    from eventbook.beat import scheduler

    def down() -> timedelta:
        raise OperationalError("the server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "record_due_slots", down)
        waited = SlotScheduler(current_app).tick()
    after = SlotScheduler(current_app).tick()

    assert (waited, Event.objects.count()) == (scheduler.OUTAGE_SECONDS, len(AT_ONCE))
    assert after > 0
