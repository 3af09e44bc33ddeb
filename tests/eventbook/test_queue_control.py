"""Pausing, resuming and tuning queues, with real relays and workers that run meanwhile."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from eventbook.brokers.broker import open_broker
from eventbook.declare.queues import UnknownQueue
from eventbook.deliveries import controls
from eventbook.models import Delivery, Lease, Operation, QueueControl
from eventbook.operate import actions
from eventbook.operate.audit import audit
from eventbook.testing import relay_once, without_consumers
from tests.conftest import Drain
from tests.harness.deliveries import purge
from tests.harness.processes import Workers, end, killed_on_failure, launch, wait_for
from tests.probe.models import Effect
from tests.probe.sending import send, states

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "notifications"


@pytest.fixture
def relay(workers: Workers, tmp_path: Path) -> Iterator[None]:
    """A relay process, beside the session's workers."""
    process = launch("relay", log=tmp_path / "relay.log")
    yield
    end(process, seconds=10)


def done_between(begin: Any, until: Any) -> int:
    finished = Delivery.objects.filter(handler="probe.write", state="done")
    return finished.filter(finished_at__gt=begin, finished_at__lt=until).count()


def each_once(keys: list[str]) -> bool:
    return Counter(Effect.objects.values_list("key", flat=True)) == Counter(keys)


def calls_of(prefix: str) -> Counter[str]:
    """Return the number of calls to the outside service by key."""
    log = settings.DATA_DIR / "outside.log"  # the first call makes it
    lines = log.read_text().splitlines() if log.exists() else []
    keys = [line.partition(" ")[2] for line in lines]
    return Counter(key for key in keys if key.startswith(prefix))


class Load:
    """Probes that are sent one after the other, until it is told to stop."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._stopped.wait(0.02):
                self.keys.append(f"load-{len(self.keys)}")
                send(self.keys[-1])
        finally:
            connections.close_all()

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def test_a_pause_takes_effect_within_two_seconds_and_nothing_is_lost_or_doubled(
    relay: None,
) -> None:
    with Load() as load:
        wait_for(lambda: states()["done"] > 5, seconds=20, what="the queue runs")
        actions.pause(QUEUE, actor="test")
        paused_at = QueueControl.objects.get(queue=QUEUE).paused_at
        assert paused_at is not None
        quiet_from = paused_at + timedelta(seconds=2)
        later = quiet_from + timedelta(seconds=1.5)
        wait_for(lambda: timezone.now() > later, seconds=5, what="some time has passed")
        waiting, others = states()["queued"], states("probe.call")["done"]
        actions.resume(QUEUE, actor="test")
        resumed_at = timezone.now()
        wait_for(lambda: states()["queued"] < waiting, seconds=2, what="the queue goes on")
    wait_for(lambda: each_once(load.keys), seconds=20, what="each has its effect once")

    assert waiting > 50
    assert others > waiting  # the other queue went on
    assert done_between(quiet_from, resumed_at) == 0
    wait_for(lambda: states() == Counter(done=len(load.keys)), seconds=10, what="all is done")
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


def test_a_pause_survives_a_restart_of_everything_and_a_broker_that_forgets(
    workers: Workers, drain: Drain, tmp_path: Path
) -> None:
    keys = [f"before-{number}" for number in range(40)]
    send(*keys)
    actions.pause(QUEUE, actor="test")
    relay_once()
    wait_for(lambda: states("probe.call") == Counter(done=40), seconds=20, what="others are done")

    workers.stop()
    try:
        with current_app.connection_for_write() as broker:
            broker.default_channel.client.flushall()
    finally:
        workers.start()
    process = launch("relay", log=tmp_path / "relay.log")
    with killed_on_failure(process):
        keys.append("after")
        send("after")
        wait_for(
            lambda: states("probe.call") == Counter(done=41), seconds=20, what="others are done"
        )
        held = states()
        actions.resume(QUEUE, actor="test")
        wait_for(lambda: states() == Counter(done=41), seconds=10, what="all of it is done")
    end(process, seconds=10)

    assert held == Counter(queued=41)
    assert each_once(keys)


def test_a_relay_publishes_nothing_of_a_paused_queue(workers: Workers) -> None:
    """Neither what is new, nor retries, nor what was lost."""
    with without_consumers(QUEUE):
        send("retried", "lost")
        relay_once()
        purge(QUEUE)
        actions.pause(QUEUE, actor="test")
        mine = Delivery.objects.filter(handler="probe.write")
        mine.update(due_at=timezone.now() - timedelta(minutes=1))
        mine.filter(event__subject="probes/retried").update(state="retry", attempts=1)
        send("new")
        relay_once()

        depths = open_broker().depths([QUEUE])

    assert set(depths.values()) == {0}
    assert states() == Counter(queued=2, retry=1)


@pytest.mark.parametrize(
    ("handler", "queue"), [("probe.write", "notifications"), ("probe.call", "feeds")]
)
def test_a_message_of_a_paused_queue_is_handed_back_as_it_was(
    workers: Workers, handler: str, queue: str
) -> None:
    for each in (QUEUE, "feeds"):
        actions.pause(each, actor="test")
    heard = time.monotonic() + controls.FRESH_SECONDS
    wait_for(lambda: time.monotonic() > heard, seconds=5, what="no worker believes what was before")
    send("handed-back", "neighbour", "held")
    relay_once()
    mine = Delivery.objects.filter(handler=handler).order_by("id")
    ids = list(mine.values_list("id", flat=True))
    later = timezone.now() + timedelta(hours=1)
    mine.update(publications=1, attempts=1, isolated=True, due_at=later)
    mine.filter(id=ids[2]).update(state="running")

    current_app.tasks[handler].apply_async((ids,), {"suspect": True}, queue=queue)
    wait_for(
        lambda: not mine.filter(id=ids[0], due_at=later).exists(), seconds=10, what="it is back"
    )

    # It was suspect, and is again when its message comes anew: what it was published once for. What
    # another worker holds stays with that one.
    fields = ("state", "attempts", "isolated", "publications")
    back = ("queued", 1, True, 1)
    assert list(mine.values_list(*fields)) == [back, back, ("running", 1, True, 1)]
    assert [due_at == later for due_at in mine.values_list("due_at", flat=True)] == [
        False,
        False,
        True,
    ]
    assert (Effect.objects.count(), Lease.objects.count()) == (0, 0)
    assert calls_of("handed-back") == Counter()


def test_calls_outside_that_have_not_begun_are_handed_back(workers: Workers, drain: Drain) -> None:
    keys = [f"between-{number}" for number in range(12)]
    send(*keys, behaviour="slow")
    relay_once()
    wait_for(lambda: calls_of("between-"), seconds=10, what="the first call is made")

    actions.pause("feeds", actor="test")
    wait_for(lambda: not states("probe.call")["running"], seconds=2, what="the rest comes back")

    begun = states("probe.call")
    assert 0 < begun["done"] < 10
    assert begun["queued"] == 12 - begun["done"]
    held = Lease.objects.filter(queue="feeds")
    wait_for(lambda: not held.exists(), seconds=1, what="the lease is given back")
    actions.resume("feeds", actor="test")
    drain()
    assert calls_of("between-") == Counter(keys)
    assert set(Delivery.objects.values_list("attempts", "isolated")) == {(0, False)}


def test_one_by_one_a_batch_that_failed_is_handed_back_too(workers: Workers) -> None:
    send(*(f"one-{number}" for number in range(20)), "bad", behaviour="raise_slowly")
    relay_once()
    wait_for(lambda: states()["retry"] > 0, seconds=10, what="they fail one by one")

    actions.pause(QUEUE, actor="test")
    wait_for(lambda: not Lease.objects.exists(), seconds=3, what="the rest comes back")

    failed = states()
    assert 0 < failed["retry"] < 20
    assert failed["queued"] == 21 - failed["retry"]
    assert set(Delivery.objects.filter(state="queued", queue=QUEUE).values_list("attempts")) == {
        (0,)
    }


def test_the_auditor_has_patience_with_what_a_paused_queue_holds(workers: Workers) -> None:
    actions.pause(QUEUE, actor="test")
    send("patient")
    relay_once()
    overdue = Delivery.objects.filter(handler="probe.write")
    overdue.update(due_at=timezone.now() - timedelta(hours=3))

    paused = audit()["no_delivery_is_forgotten"]
    actions.resume(QUEUE, actor="test")
    just_resumed = audit()["no_delivery_is_forgotten"]
    QueueControl.objects.update(resumed_at=timezone.now() - timedelta(hours=2))
    forgotten = audit()["no_delivery_is_forgotten"]

    assert (paused, just_resumed, forgotten) == (0, 0, 1)


def test_a_limit_that_is_changed_counts_from_the_next_call_on(
    workers: Workers, drain: Drain
) -> None:
    limits = {"rate_limit": 1, "rate_seconds": 3_600}
    actions.tune("feeds", actor="test", changes=limits)
    send("live-1", "live-2", "live-3")
    relay_once()
    limited = Counter(done=1, retry=2)
    wait_for(lambda: states("probe.call") == limited, seconds=10, what="two wait for their turn")

    actions.tune("feeds", actor="test", changes={"rate_limit": 1_000})
    drain(10)

    assert states("probe.call") == Counter(done=3)
    assert calls_of("live-") == Counter(["live-1", "live-2", "live-3"])
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


def test_numbers_hold_until_they_are_taken_back(db: None) -> None:
    table = settings.QUEUES["feeds"]

    actions.tune("feeds", actor="test", changes={"concurrency": 7, "group_limit": 3})
    in_force = controls.policy_in_force("feeds")
    actions.tune("feeds", actor="test", changes={"concurrency": None, "group_limit": None})

    assert (in_force.concurrency, in_force.group_limit) == (7, 3)
    assert in_force.group_seconds == table.group_seconds
    assert controls.policy_in_force("feeds") == table
    assert controls.control_of("events") == controls.NO_CONTROL
    assert Operation.objects.filter(action="queue.tune", actor="test").count() == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"concurrency": 0}, "pause the queue instead"),
        ({"rate_limit": 5, "rate_seconds": 0}, "at least 1 second"),
        ({"group_limit": -1}, "greater than or equal to 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(db: None, changes: dict[str, int], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        actions.tune("feeds", actor="test", changes=changes)

    assert not QueueControl.objects.exists()
    assert not Operation.objects.exists()


def test_a_process_believes_what_it_read_for_half_a_second(
    django_assert_num_queries: Any,
) -> None:
    controls.read()

    with django_assert_num_queries(0):
        assert not controls.control_of(QUEUE).paused
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO eventbook_queuecontrol (queue, paused_at, paused_by, reason)"
            " VALUES (%s, now(), '', '')",
            [QUEUE],
        )
    wait_for(lambda: controls.control_of(QUEUE).paused, seconds=1, what="it reads again")


def test_a_queue_that_does_not_exist_is_not_paused(db: None) -> None:
    with pytest.raises(UnknownQueue, match="The queues are: notifications, feeds, events"):
        actions.pause("letters", actor="test")


@pytest.mark.parametrize(
    ("queue", "changes", "words"),
    [
        ("notifications", {"rate_limit": 100, "rate_seconds": 60}, "no handler of notifications"),
        ("notifications", {"group_limit": 5}, "names groups"),
    ],
)
def test_a_limit_that_would_do_nothing_is_refused(
    db: None, queue: str, changes: dict[str, int], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        actions.tune(queue, actor="test", changes=changes)
    rate = "--rate" if "rate_limit" in changes else "--group"
    with pytest.raises(CommandError, match=words):
        call_command("queues", "limit", queue, rate, "100/60")

    assert not QueueControl.objects.filter(queue=queue, rate_limit__isnull=False).exists()
    assert not Operation.objects.exists()
