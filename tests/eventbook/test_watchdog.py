"""A process that has got stuck ends itself, so that its supervisor starts it anew."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from celery.exceptions import Retry
from django.db import connection, transaction
from django.utils import timezone

from eventbook.beat.schedule import Schedule, schedules
from eventbook.brokers.tally import SEVERAL, Tally, is_worker_fault
from eventbook.deliveries.outcomes import BrokenOff, DeliveriesFailed
from eventbook.models import Delivery, Process
from eventbook.observe import watchdog
from eventbook.observe.vitals import Vitals
from tests.harness.interleaving import locked
from tests.harness.processes import wait_for
from tests.harness.watched import STALL_SECONDS, System, Watched
from tests.probe.sending import send, states

pytestmark = pytest.mark.django_db(transaction=True)

WATCHDOG_SECONDS = 1.5
WORKER, RELAY, MAINTENANCE = "notification-worker", "relay", "event-worker"


@pytest.fixture(scope="module")
def system(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("stuck"))
    try:
        for name in (RELAY, WORKER):
            start(running, name)
        yield running
    finally:
        running.stop()


def start(system: System, name: str) -> Watched:
    """Start a process with a short watchdog, and wait until it is healthy."""
    arguments = {
        RELAY: ["relay"],
        WORKER: ["worker", "notifications"],
        MAINTENANCE: ["worker", "events"],
    }[name]
    limit = {"WATCHDOG_SECONDS": str(WATCHDOG_SECONDS)}
    process = system.start(name, "manage.py", *arguments, **limit)
    process.wait_health(200, seconds=40)
    return process


def test_a_worker_that_has_got_stuck_ends_itself_and_the_next_one_delivers(system: System) -> None:
    worker = system.processes[WORKER]
    worker.wait_children(seconds=30)
    children = worker.process.children()
    for child in children:
        child.suspend()

    send("a", "b", "c")
    wait_for(lambda: worker.popen.poll() is not None, seconds=30, what="it has ended itself")
    psutil.wait_procs(children, timeout=10)

    assert worker.popen.returncode == 1
    assert [child for child in children if child.is_running()] == []
    assert "messages wait, but it accepts none" in last_words(worker)
    start(system, WORKER)
    wait_for(lambda: states()["done"] == 3, seconds=30, what="everything is delivered")
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


def test_a_relay_that_has_got_stuck_ends_itself_and_the_next_one_relays(system: System) -> None:
    relay = system.processes[RELAY]

    with locked("eventbook_outboxentry"):
        wait_for(lambda: relay.popen.poll() is not None, seconds=30, what="it has ended itself")

    assert relay.popen.returncode == 1
    assert "nothing was finished" in last_words(relay)
    start(system, RELAY)
    send("d")
    wait_for(lambda: states()["done"] == 1, seconds=30, what="the next one relays")


def test_who_waits_for_a_server_does_not_end(system: System) -> None:
    # Not answering would take it longer to notice than anything may stand still here.
    with system.broker.broken("refuse"):
        for process in system.processes.values():
            process.wait_health(200, "waiting for the broker", seconds=30)
        until = time.monotonic() + STALL_SECONDS + WATCHDOG_SECONDS + 2
        while time.monotonic() < until:
            assert [process.popen.poll() for process in system.processes.values()] == [None, None]
            time.sleep(0.1)


def last_words(process: Watched) -> str:
    lines = process.log.read_text().splitlines()
    return next(line for line in lines if "process.stalled" in line)


class Stuck(Vitals):
    """The vitals of who does nothing."""

    def stalled(self) -> str:
        return "nothing was finished"


def test_the_time_of_a_machine_that_was_suspended_does_not_count(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(watchdog, "end_process_tree", lambda: ended.append(True))
    settings.WATCHDOG_SECONDS = 300
    dog = watchdog.Watchdog(Stuck())

    for _ in range(59):
        dog._checked_at -= 3600
        dog.check()
    spared = not ended
    dog._checked_at -= 3600
    dog.check()

    assert spared
    assert ended == [True]


def test_a_worker_whose_every_task_fails_says_so_and_ends_itself(system: System) -> None:
    worker = start(system, MAINTENANCE)
    del system.processes[MAINTENANCE]

    try:
        with without_a_place_for_results():
            record_a_slot()
            worker.wait_health(503, "every task fails")
            wait_for(lambda: worker.popen.poll() is not None, seconds=30, what="it ended itself")
    finally:
        worker.stop()

    assert worker.popen.returncode == 1
    assert "every task fails" in last_words(worker)
    lines = worker.log.read_text()
    assert "worker.failing" in lines
    assert re.search(r'File ".+", line \d+, in store_result', lines), "where did it fail?"
    found = Process.objects.filter(pid=worker.popen.pid)
    assert [row.trouble.partition(":")[0] for row in found] == ["every task fails"]


@contextmanager
def without_a_place_for_results() -> Iterator[None]:
    """Make each task fail before its body, when Celery stores that it has started."""
    rename = "ALTER TABLE {} RENAME TO {}"
    names = ("django_celery_results_taskresult", "elsewhere")
    with connection.cursor() as cursor:
        cursor.execute(rename.format(*names))
        try:
            yield
        finally:
            cursor.execute(rename.format(*reversed(names)))


def record_a_slot() -> None:
    """Record a due slot of the auditor."""
    schedule = schedules["eventbook.audit"]
    slot = timezone.now().isoformat()
    with transaction.atomic():
        schedule.signal.send(sender=Schedule, event=schedule.event(slot=slot))


def test_a_worker_whose_handler_fails_is_well() -> None:
    tally = Tally()
    for _ in range(SEVERAL):
        tally.add(BrokenOff("The batch broke off."))

    assert "3 in 0 s, with eventbook.deliveries.outcomes.BrokenOff" in tally.describe()
    assert is_worker_fault(BrokenOff("The batch broke off."))
    assert not is_worker_fault(DeliveriesFailed("1 of 1 deliveries died"))
    assert not is_worker_fault(Retry("1 of 1 deliveries failed"))
    tally.reset()
    assert tally.describe() == ""
