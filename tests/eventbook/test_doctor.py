"""What the doctor finds, and what it says to do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from eventbook.models import (
    Delivery,
    Event,
    Lease,
    OutboxEntry,
    Priority,
    Process,
    QueueControl,
    ScheduleControl,
)
from eventbook.operate import diagnosis
from eventbook.operate.actions.queues import pause
from eventbook.operate.actions.schedules import pause_schedule
from eventbook.operate.diagnosis import Finding
from eventbook.operate.diagnosis.finding import duration
from tests.harness.processes import Workers, wait_for, without_a_broker

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _present(workers: Workers) -> None:
    """The workers of the tests run; their row comes a moment after the tables were emptied."""
    one_of_each()


def one_of_each(**fields: Any) -> None:
    """Record a running relay and beat of this release."""
    from django.conf import settings

    for group in ("relay", "beat"):
        Process.objects.create(
            **{"group": group, "host": "here", "pid": 1, "release": settings.RELEASE} | fields
        )


def found() -> dict[str, Finding]:
    """Return the doctor's bad findings by subject."""
    return {finding.subject: finding for finding in diagnosis.diagnose() if not finding.well}


def an_event() -> Event:
    return Event.objects.create(type="probe.sent", version=1, subject="x", data={}, priority=5)


def a_lagging_relay() -> None:
    event = an_event()
    OutboxEntry.objects.create(
        event=event,
        type=event.type,
        priority=Priority.INTERACTIVE,
        recorded_at=timezone.now() - HOUR,
    )


def a_late_queue(lease: bool = True) -> None:
    """Let one wait for an hour, while a worker is busy with another."""
    busy = Delivery.objects.create(
        event=an_event(), handler="probe.write", queue="feeds", priority=5,
        recorded_at=timezone.now(), due_at=timezone.now() + HOUR, publications=1,
    )  # fmt: skip
    Process.objects.create(group="feed-worker", host="h", pid=2, release="r", queues=["feeds"])
    if lease:
        Lease.objects.create(
            handler="probe.write", queue="feeds", worker="w", deliveries=[busy.pk],
            expires_at=timezone.now() + HOUR,
        )  # fmt: skip
    Delivery.objects.create(
        event=an_event(), handler="probe.write", queue="feeds", priority=5,
        recorded_at=timezone.now() - HOUR, due_at=timezone.now() + HOUR, publications=1,
    )  # fmt: skip


def a_handler_of_another_release() -> None:
    Delivery.objects.create(
        event=an_event(), handler="gone.away", queue="feeds", priority=5,
        recorded_at=timezone.now(), due_at=timezone.now() + HOUR,
    )  # fmt: skip


def a_forgotten_pause() -> None:
    pause("feeds", actor="alice")
    QueueControl.objects.update(paused_at=timezone.now() - 30 * HOUR)


def a_forgotten_pause_of_a_schedule() -> None:
    pause_schedule("feeds.trim", actor="alice")
    ScheduleControl.objects.update(paused_at=timezone.now() - 30 * HOUR)


def a_wrong_clock() -> None:
    one_of_each(host="there", clock_ahead_seconds=-3)


def a_process_that_stands_still() -> None:
    one_of_each(host="there", progressed_at=timezone.now() - HOUR)


def a_worker_whose_every_task_fails() -> None:
    a_late_queue()
    one_of_each(group="feed-worker", host="there", queues=["feeds"], trouble="every task fails")


def too_little_memory() -> None:
    one_of_each(host="there", memory_bytes=490 * 2**20, memory_limit_bytes=512 * 2**20)


def an_old_release() -> None:
    workers = Process.objects.exclude(queues=[])
    wait_for(workers.exists, seconds=15, what="the workers' row is there to be made older")
    Process.objects.update(started_at=timezone.now() - HOUR)
    one_of_each(host="there", release="of last week", started_at=timezone.now() - 2 * HOUR)


def no_relay() -> None:
    Process.objects.filter(group="relay").delete()


def no_beat() -> None:
    Process.objects.filter(group="beat").delete()


@pytest.mark.parametrize(
    ("wrong", "subject", "words", "command"),
    [
        (a_lagging_relay, "relay", "the oldest for 60 min", "manage.py relay"),
        (a_late_queue, "queue feeds", "the SLO is 30 s", "fly scale count feed-worker=N"),
        (a_handler_of_another_release, "handlers", "gone.away", "discard --removed HANDLER"),
        (a_forgotten_pause, "queue feeds", "paused for 30 h by alice", "queues resume feeds"),
        (
            a_forgotten_pause_of_a_schedule,
            "schedule feeds.trim",
            "paused for 30 h by alice",
            "schedules resume feeds.trim",
        ),
        (a_wrong_clock, "clock of relay on there, process 1", "3.0 s behind", "chronyc tracking"),
        (
            a_process_that_stands_still,
            "beat on there, process 1",
            "no progress for 60 min",
            "restart",
        ),
        (a_worker_whose_every_task_fails, "queue feeds", "the SLO is", "process 1: every task"),
        (a_worker_whose_every_task_fails, "feed-worker on there, process 1", "fails", "restart it"),
        (too_little_memory, "memory of beat on there, process 1", "490 of 512 MiB", "scale memory"),
        (an_old_release, "releases", "of last week: ", "fly deploy"),
        (no_relay, "relay processes", "none running", "manage.py relay"),
        (no_beat, "beat processes", "none running", "fly scale count beat=1"),
    ],
)
def test_what_is_wrong_is_found_with_a_command_that_mends_it(
    wrong: Callable[[], None], subject: str, words: str, command: str
) -> None:
    assert subject not in found()

    wrong()

    finding = found()[subject]
    assert words in finding.text
    assert command in finding.advice


def feeds_advice() -> str:
    """Return what the doctor says to do about the queue `feeds`."""
    finding = found()["queue feeds"]
    assert "the SLO is 30 s" in finding.text
    return finding.advice


def test_nobody_is_told_to_scale_what_scaling_cannot_help() -> None:
    a_late_queue(lease=False)
    idle = feeds_advice()

    Lease.objects.create(
        handler="probe.write", queue="feeds", worker="w", deliveries=[Delivery.objects.first().pk],  # type: ignore[union-attr]
        expires_at=timezone.now() + HOUR,
    )  # fmt: skip
    busy = feeds_advice()
    for _ in range(5):
        a_failed_delivery()
    failing = feeds_advice()
    down = without_a_broker("doctor").stdout

    assert "do nothing" in idle
    assert "fly scale count feed-worker=N" in busy
    assert "Its handlers fail (see above)" in failing
    assert "Repair the broker: without it, no message reaches a worker" in down


def a_failed_delivery() -> None:
    Delivery.objects.create(
        event=an_event(), handler="probe.call", queue="feeds", priority=5, state="retry",
        attempts=1, recorded_at=timezone.now() - HOUR, due_at=timezone.now() + HOUR,
    )  # fmt: skip


def test_causes_are_named_before_lateness() -> None:
    a_late_queue()
    for _ in range(8):
        a_failed_delivery()
    Delivery.objects.create(
        event=an_event(), handler="probe.call", queue="feeds", priority=5, state="dead",
        attempts=3, recorded_at=timezone.now(), finished_at=timezone.now(),
    )  # fmt: skip

    subjects = [finding.subject for finding in diagnosis.diagnose() if not finding.well]

    assert subjects.index("dead letters of feeds") < subjects.index("handler probe.call")
    assert subjects.index("handler probe.call") < subjects.index("queue feeds")
    assert "8 deliveries failed" in found()["handler probe.call"].text
    assert "1 of probe.call" in found()["dead letters of feeds"].text


def test_a_few_retries_are_told_and_not_held_against_anybody() -> None:
    a_failed_delivery()

    (told,) = [f for f in diagnosis.diagnose() if f.subject == "handler probe.call"]

    assert told.well
    assert "queue feeds" not in found()


def test_a_pause_is_told_and_not_held_against_anybody() -> None:
    pause("feeds", actor="alice", reason="the index is rebuilt")

    (told,) = [f for f in diagnosis.diagnose() if f.subject == "queue feeds"]

    assert told.well
    assert "by alice (the index is rebuilt)" in told.text
    assert "queues resume feeds" in told.advice


def test_a_queue_without_workers_is_found(settings: Any) -> None:
    import dataclasses

    lonely = dataclasses.replace(settings.QUEUES["feeds"], name="lonely")
    settings.QUEUES = settings.QUEUES | {"lonely": lonely}

    assert "manage.py worker lonely" in found()["workers of lonely"].advice


def test_unsafe_settings_are_found(settings: Any) -> None:
    settings.DEBUG = True
    settings.SECRET_KEY = "django-insecure-short"
    settings.ALLOWED_HOSTS = ["*"]

    assert {"setting DEBUG", "setting SECRET_KEY", "setting ALLOWED_HOSTS"} <= found().keys()


def test_servers_that_may_lose_things_are_found() -> None:
    client = current_app.connection_for_write().default_channel.client
    client.config_set("maxmemory-policy", "allkeys-lru")
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    try:
        unsafe = found()
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        with connection.cursor() as cursor:
            cursor.execute("RESET synchronous_commit")

    assert "allkeys-lru" in unsafe["broker eviction"].text
    assert "synchronous_commit off" in unsafe["database settings"].text


def test_a_migration_that_is_missing_is_found() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'feeds' RETURNING name")
        names = [name for (name,) in cursor.fetchall()]
    try:
        finding = found()["migrations"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied)"
                " SELECT 'feeds', name, now() FROM unnest(%s::text[]) AS name",
                [names],
            )

    assert names
    assert "feeds" in finding.text
    assert finding.advice == "Run `manage.py migrate`."


def test_on_a_system_that_is_well_nothing_is_found(workers: Workers) -> None:
    Process.objects.update(seen_at=Now())

    wait_for(lambda: not found(), seconds=15, what="the doctor finds nothing")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h")]
)
def test_a_duration_has_the_unit_that_people_would_use(seconds: float, words: str) -> None:
    assert duration(seconds) == words
