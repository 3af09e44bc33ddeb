"""Which failures are tried again, how often, and after how long."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from django.test import Client
from django.utils import timezone

from eventbook.database.ids import new_id
from eventbook.declare.handlers import handlers, register
from eventbook.declare.queues import policy_of
from eventbook.declare.retries import Retry, exponential, fixed, jittered, waits_of
from eventbook.deliveries.states import fail
from eventbook.models import Attempt, Delivery, Lease
from eventbook.record.outbox import recording
from eventbook.relay.rescue import release_expired_leases
from eventbook.work.execution import Later, run_deliveries
from tests.conftest import Drain
from tests.eventbook.conftest import Staff
from tests.harness.deliveries import expanded
from tests.probe.behaviours import BEHAVIOURS
from tests.probe.models import Effect
from tests.probe.sending import states
from tests.probe.signals import ProbeTried, probe_tried

pytestmark = pytest.mark.django_db(transaction=True)

BOTH = ("probe.try", "probe.try_outside")


def send(**behaviours: str) -> None:
    """Send a probe for each key, in one transaction."""
    with transaction.atomic(), recording():
        for key, behaviour in behaviours.items():
            probe_tried.send(sender=None, event=ProbeTried(key=key, behaviour=behaviour))


def attempts() -> dict[tuple[str, str], int]:
    """Return the number of attempts of each dead letter, by handler and key."""
    dead = Delivery.objects.filter(state="dead").select_related("event")
    return {(each.handler, each.event.data["key"]): each.attempts for each in dead}


def test_a_permanent_error_is_not_tried_again_and_costs_its_neighbours_nothing(
    drain: Drain,
) -> None:
    send(a="ok", b="give_up", c="ok")

    drain()

    assert states("probe.try") == states("probe.try_outside") == Counter(done=2, dead=1)
    assert attempts() == {(name, "b"): 1 for name in BOTH}
    assert Attempt.objects.count() == 2
    for letter in Delivery.objects.filter(state="dead"):
        assert letter.error.endswith("Permanent: b can never succeed.\n")
    assert sorted(Effect.objects.values_list("key", flat=True)) == ["a", "c"]


def test_the_class_of_the_error_decides_and_the_nearest_class_comes_first(drain: Drain) -> None:
    send(other="raise", reset="get_no_reply", refused="be_refused")

    drain()

    expected = {"other": 4, "reset": 6, "refused": 1}
    assert attempts() == {(name, key): n for name in BOTH for key, n in expected.items()}


def test_a_handler_that_takes_longer_than_its_own_limit_is_stopped(drain: Drain) -> None:
    send(a="hang")

    drain(60)

    assert states("probe.try") == states("probe.try_outside") == Counter(dead=1)
    assert attempts() == {(name, "a"): 4 for name in BOTH}
    assert all("SoftTimeLimitExceeded" in each.error for each in Delivery.objects.all())


def test_the_own_time_limit_replaces_the_one_of_the_queue_everywhere() -> None:
    policy = handlers["probe.try"].policy
    task = current_app.tasks["probe.try"]

    assert policy == dataclasses.replace(policy_of("notifications"), time_limit_seconds=1)
    assert (task.soft_time_limit, task.time_limit) == (1, policy.longest_run_seconds)


@pytest.mark.parametrize(("own", "released"), [(60, 1), (1200, 0)])
def test_a_worker_is_slow_until_its_handlers_own_limit(
    own: int, released: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = dataclasses.replace(handlers["probe.try_outside"], time_limit_seconds=own)
    monkeypatch.setitem(handlers, "probe.try_outside", known)
    send(a="ok")
    ids = expanded("probe.try_outside")
    Delivery.objects.update(state="running")
    ago = timezone.now() - timedelta(minutes=15)
    lease = Lease.objects.create(
        handler=known.name, queue="feeds", worker="w", deliveries=ids, expires_at=ago
    )
    # Of this session, which lives.
    Lease.objects.filter(pk=lease.pk).update(started_at=ago, **this_session())

    assert release_expired_leases() == released


def this_session() -> dict[str, Any]:
    """Return the fields of a lease whose worker has this test's session."""
    from eventbook.database.statements import execute

    statement = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    ((pid, start),) = execute(statement).rows
    return {"backend": pid, "backend_start": start}


def test_the_death_of_a_worker_counts_by_the_handlers_own_attempts() -> None:
    send(a="ok")
    (id,) = expanded("probe.try")
    ended = []
    for _ in range(4):
        Lease.objects.create(
            id=new_id(), handler="probe.try", queue="notifications", worker="w", deliveries=[id],
            expires_at=timezone.now() - timedelta(seconds=1),
        )  # fmt: skip
        Delivery.objects.update(state="queued")
        release_expired_leases()
        ended.append(Delivery.objects.get().state)

    assert ended == ["retry", "retry", "retry", "dead"]


def test_each_wait_is_the_one_after_that_attempt() -> None:
    send(a="ok")
    (id,) = expanded("probe.try")
    waits = []
    for _ in range(3):
        Delivery.objects.update(state="queued")
        before = timezone.now()
        fail(id, waits=[5, 0, 100], worker="w", error="it failed")
        due = Delivery.objects.get().due_at
        assert due is not None
        waits.append(round((due - before).total_seconds()))

    assert waits == [5, 0, 100]


def test_back_offs() -> None:
    assert [fixed(3)(n) for n in (1, 2, 9)] == [3, 3, 3]
    assert [exponential(1, cap=60)(n) for n in (1, 2, 3, 7, 5000)] == [1, 2, 4, 60, 60]
    assert all(0 <= jittered(fixed(3))(n) <= 3 for n in range(1, 100))
    steps = Retry(attempts=4, backoff=lambda failed: [1, 10, 100][failed - 1])
    assert waits_of(steps, policy_of("feeds")) == [1, 10, 100]


@pytest.mark.parametrize(
    "options",
    [
        {"retry": Retry(attempts=3, backoff=fixed(-1))},
        {"retry_by_error": {OSError: Retry(backoff=fixed(float("inf")))}},
        {"retry": Retry(attempts=900, backoff=lambda failed: 2.0**failed)},
        {"time_limit_seconds": 0},
    ],
)
def test_impossible_options_are_refused_when_the_handler_is_declared(
    options: dict[str, Any],
) -> None:
    new = dataclasses.replace(handlers["probe.try"], name="probe.new", **options)

    with pytest.raises(ValueError, match=r"can't be|at least 1 second"):
        register(new)

    assert "probe.new" not in handlers


@pytest.mark.parametrize("attempts", [0, -1, 1001])
def test_a_number_of_attempts_is_at_least_one_and_bounded(attempts: int) -> None:
    with pytest.raises(ValueError, match="give a number from 1 to 1000"):
        Retry(attempts=attempts)


def test_a_delivery_page_shows_the_handlers_limits(staff: Staff) -> None:
    send(a="ok")
    (id,) = expanded("probe.try")
    browser: Client = staff("olga", "view_delivery", "view_event")

    page = browser.get(f"/admin/eventbook/delivery/{id}/change/").content.decode()

    assert "4 attempts of at most 1 s" in page


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("seconds", [1e12, inf, nan, -1e12])
def test_a_pause_that_no_clock_can_show_is_cut(
    name: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(key: str) -> None:
        raise Later(seconds, "The server asks for it.")

    monkeypatch.setitem(BEHAVIOURS, "ok", wait)
    send(a="ok")

    assert run_deliveries(handlers[name], expanded(name)) == Counter(deferred=1)

    due_at = Delivery.objects.get(handler=name).due_at
    assert due_at
    assert due_at < timezone.now() + timedelta(days=367)
