"""How late a queue is: what is owed and could run, the same in every place that shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from eventbook.declare.handlers import handlers
from eventbook.declare.queues import policy_of
from eventbook.deliveries.controls import clear_cache
from eventbook.models import Delivery, Lease, QueueControl
from eventbook.observe import counters
from eventbook.operate import actions, diagnosis
from eventbook.operate.queries.backlogs import backlogs
from eventbook.relay.due import claim_due
from eventbook.work.execution import run_deliveries
from tests.harness.deliveries import expand_only
from tests.harness.scraping import scrape, value
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "notifications"
HOUR = timedelta(hours=1)
OLD = 3600


@pytest.fixture
def eight() -> list[int]:
    """Eight deliveries, recorded an hour ago and published."""
    send(*(f"event-{number}" for number in range(8)))
    expand_only()
    ours = Delivery.objects.filter(handler="probe.write")
    Delivery.objects.exclude(pk__in=ours).delete()
    ours.update(recorded_at=timezone.now() - HOUR, publications=1)
    return list(ours.values_list("id", flat=True))


def nothing(ids: list[int]) -> None:
    """Leave them waiting."""


def failed(ids: list[int]) -> None:
    later = timezone.now() + HOUR
    Delivery.objects.update(state="retry", attempts=1, due_at=later)


def dead_and_replayed(ids: list[int]) -> None:
    long_ago = timezone.now() - HOUR
    Delivery.objects.update(state="dead", due_at=None, finished_at=long_ago, ready_at=long_ago)
    actions.replay_dead_letters(actions.DeadLetters(queue=QUEUE), actor="alice")


def dead_parts_and_replayed(ids: list[int]) -> None:
    Delivery.objects.update(part=1)
    dead_and_replayed(ids)


def limited(ids: list[int]) -> None:
    from eventbook.deliveries.states import RATE_LIMITED

    Delivery.objects.update(
        state="retry", attempts=0, due_at=timezone.now() + HOUR, error=RATE_LIMITED
    )


def came_back(ids: list[int]) -> None:
    """Let them fail, and let their time come: the relay has just published them again."""
    Delivery.objects.update(state="retry", attempts=1, due_at=timezone.now())
    policy = policy_of(QUEUE)
    assert claim_due(policy, priority=5, sweep=True, limit=100)


def in_hand(ids: list[int]) -> None:
    until = timezone.now() + HOUR
    Lease.objects.create(
        handler="probe.write", queue=QUEUE, worker="w", deliveries=ids, expires_at=until
    )


def left_by_a_dead_worker(ids: list[int]) -> None:
    in_hand(ids)
    Lease.objects.update(expires_at=timezone.now() - HOUR)


def paused(ids: list[int]) -> None:
    actions.pause(QUEUE, actor="alice")


def resumed(ids: list[int]) -> None:
    paused(ids)
    actions.resume(QUEUE, actor="alice")


def resumed_long_ago(ids: list[int]) -> None:
    resumed(ids)
    QueueControl.objects.update(resumed_at=timezone.now() - 2 * HOUR)


@pytest.mark.parametrize(
    ("happens", "late", "runnable"),
    [
        (nothing, True, 8),
        (failed, False, 0),
        (dead_and_replayed, False, 8),
        (dead_parts_and_replayed, False, 8),
        (limited, False, 0),
        (came_back, False, 8),
        (in_hand, False, 8),
        (left_by_a_dead_worker, True, 8),
        (paused, False, 0),
        (resumed, False, 8),
        (resumed_long_ago, True, 8),
    ],
)
def test_only_what_is_owed_and_could_run_is_late(
    eight: list[int], happens: Callable[[list[int]], None], late: bool, runnable: int
) -> None:
    happens(eight)

    out = StringIO()
    call_command("queues", "status", "--json", stdout=out)
    (shown,) = (row for row in json.loads(out.getvalue())["queues"] if row["queue"] == QUEUE)
    (backlog,) = backlogs([QUEUE])
    samples = scrape()
    doctor = [f for f in diagnosis.diagnose() if f.subject == f"queue {QUEUE}"]

    assert (backlog.depth, backlog.runnable) == (8, runnable)
    assert value(samples, "queue_runnable", queue=QUEUE) == runnable
    for seconds in (
        backlog.oldest_seconds,
        shown["oldest_seconds"],
        value(samples, "queue_oldest_seconds", queue=QUEUE),
    ):
        assert (OLD <= seconds < OLD + 120) if late else seconds < 5
    assert any("the SLO is 5 s" in finding.text for finding in doctor) is late


@pytest.mark.parametrize(
    ("happens", "late"), [(nothing, 8), (came_back, 0), (resumed, 0), (resumed_long_ago, 8)]
)
def test_a_delivery_is_counted_as_late_by_the_time_for_which_it_could_run(
    eight: list[int], happens: Callable[[list[int]], None], late: int
) -> None:
    happens(eight)
    clear_cache()
    before = scrape()

    run_deliveries(handlers["probe.write"], eight)
    counters.flush()

    after = scrape()
    counted = value(after, "deliveries_late_total", queue=QUEUE) - value(
        before, "deliveries_late_total", queue=QUEUE
    )
    assert Delivery.objects.filter(state="done").count() == 8
    assert counted == late
