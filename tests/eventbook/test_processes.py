"""Processes tell that they are there; operators change how much they do at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from eventbook.models import Delivery, Process, QueueControl
from eventbook.observe import figures
from eventbook.observe.presence import Presence
from eventbook.observe.vitals import Vitals
from eventbook.operate.queries.processes import (
    ProcessState,
    live_workers,
    process_groups,
    processes,
)
from tests.harness.processes import wait_for
from tests.harness.watched import CHILDREN, System, Watched
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)
WEB = ("-m", "server")


@pytest.fixture
def system(tmp_path: Path, transactional_db: None) -> Iterator[System]:
    running = System(tmp_path)
    yield running
    running.kill()


def worker_in(system: System) -> Watched:
    """Start the worker of one queue."""
    return system.start("notification-worker", "manage.py", "worker", "notifications")


def known(system: System) -> dict[str, Process]:
    """These are the rows of the system's processes; other tests' workers have theirs too."""
    return {
        process.group: process
        for process in Process.objects.all()
        if process.group in system.processes
        and process.pid in {each.pid for each in family(system.processes[process.group])}
    }


def family(watched: Watched) -> list[Any]:
    return [watched.process, *watched.process.children()] if watched.popen.poll() is None else []


def test_whoever_runs_is_known_and_whoever_ends_in_peace_is_not(system: System) -> None:
    system.start("web", *WEB, WEB_PORT="0")
    system.start("relay", "manage.py", "relay")
    system.start("beat", "-m", "celery", "--quiet", "-A", "config", "beat")
    worker = worker_in(system)

    wait_for(lambda: len(known(system)) == 4, seconds=60, what="all have told of themselves")
    worker.wait_health(200)

    wait_for(
        lambda: known(system)["notification-worker"].concurrency == CHILDREN,
        seconds=10,
        what="it has told of its children",
    )
    row = known(system)["notification-worker"]
    assert (row.pid, row.queues) == (worker.popen.pid, ["notifications"])
    assert {process.release for process in known(system).values()} == {settings.RELEASE}
    assert 50 * 2**20 < row.memory_bytes < row.memory_limit_bytes
    assert abs(row.clock_ahead_seconds) < 0.1
    (status,) = [each for each in live_workers("notifications") if each.pid == row.pid]
    assert (status.state, status.seen_seconds_ago < 10) == (ProcessState.RUNNING, True)

    ids = {process.pk for process in known(system).values()}
    system.stop()

    assert not Process.objects.filter(pk__in=ids).exists()


def test_a_web_process_that_is_asked_to_end_while_it_loads_ends_at_once(system: System) -> None:
    web = system.start("web", *WEB, WEB_PORT="0")
    # Its applications are there, but it does not serve yet.
    wait_for(lambda: known(system), seconds=30, what="it has told of itself")
    row = known(system)["web"]

    web.popen.terminate()

    assert web.popen.wait(timeout=5) == 0
    assert not Process.objects.filter(pk=row.pk).exists()


def test_who_ends_without_a_word_is_silent_and_forgotten_after_a_day(system: System) -> None:
    worker = worker_in(system)
    wait_for(lambda: known(system), seconds=60, what="it has told of itself")
    row = known(system)["notification-worker"]
    rows = Process.objects.filter(pk=row.pk)
    among_the_workers = row.pid in {each.pid for each in live_workers("notifications")}

    worker.kill()
    rows.update(seen_at=Now() - timedelta(seconds=16))

    (status,) = [each for each in processes() if each.pid == row.pid]
    assert status.state == ProcessState.SILENT
    assert among_the_workers
    assert row.pid not in {each.pid for each in live_workers("notifications")}

    rows.update(seen_at=Now() - timedelta(hours=25))
    system.start("relay", "manage.py", "relay")
    wait_for(lambda: not rows.exists(), seconds=60, what="the next one deletes it")


def want(concurrency: int | None) -> None:
    """Store an operator's settings of the queue."""
    QueueControl.objects.update_or_create(
        queue="notifications", defaults={"concurrency": concurrency}
    )


def has_children(worker: Watched, count: int) -> bool:
    return worker.health()[1].get("concurrency") == count == len(worker.process.children())


def test_concurrency_is_changed_while_a_worker_works(system: System) -> None:
    want(3)
    system.start("relay", "manage.py", "relay")
    worker = worker_in(system)
    wait_for(lambda: has_children(worker, 3), seconds=60, what="what was set holds from the start")
    wait_for(lambda: len(known(system)) == 2, seconds=20, what="they have told of themselves")
    before = known(system)["notification-worker"]

    want(4)
    wait_for(lambda: has_children(worker, 4), seconds=10, what="it does four things at once")
    for number in range(12):
        with transaction.atomic():
            probe_sent.send(sender=None, event=ProbeSent(key=f"{number}", behaviour="slow"))
    want(1)

    wait_for(lambda: has_children(worker, 1), seconds=20, what="it does one thing at a time")
    done = Delivery.objects.filter(handler="probe.write", state="done", attempts=0)
    wait_for(lambda: done.count() == 12, seconds=30, what="nothing was lost, nor begun twice")
    want(None)
    wait_for(
        lambda: has_children(worker, CHILDREN), seconds=10, what="it is as the queue table says"
    )
    # Its connection outlives the children, who have inherited it.
    wait_for(
        lambda: Process.objects.get(pk=before.pk).seen_at > timezone.now() - timedelta(seconds=5),
        seconds=10,
        what="it still tells of itself",
    )


def prepared() -> int:
    """Return the number of sessions whose last statement was a handler's."""
    statements = "SELECT FROM pg_stat_activity WHERE query LIKE '%%WITH claimed AS%%'"
    with connection.cursor() as cursor:
        cursor.execute(f"{statements} AND application_name = %s", ["notification-worker"])
        return len(cursor.fetchall())


def test_children_are_ready_before_the_first_event_and_without_a_database_when_there_is_one(
    system: System,
) -> None:
    worker = worker_in(system)
    wait_for(lambda: prepared() == CHILDREN, seconds=30, what="each child is ready")
    worker.stop()

    system.database.refuse()
    worker = worker_in(system)
    wait_for(
        lambda: has_children(worker, CHILDREN), seconds=30, what="it starts without a database"
    )
    system.database.pass_on()
    system.start("relay", "manage.py", "relay")
    with transaction.atomic():
        probe_sent.send(sender=None, event=ProbeSent(key="late"))
    done = Delivery.objects.filter(handler="probe.write", state="done")
    wait_for(done.exists, seconds=30, what="it works when there is one")


def test_what_children_need_is_their_parents() -> None:
    alone = figures.memory_bytes()
    hoard = "x = bytearray(b'x') * 60_000_000; print(flush=True); input()"

    with subprocess.Popen(
        [sys.executable, "-c", hoard], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        together = figures.memory_bytes()
        child.communicate(b"\n")

    assert 55_000_000 < together - alone < 120_000_000


@pytest.mark.parametrize("wrong", [5.0, -5.0])
def test_a_wrong_clock_is_known(wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + wrong)

    assert figures.clock_ahead_seconds() == pytest.approx(wrong, abs=0.1)


def test_a_slow_answer_is_no_wrong_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "CLOCK", f"{figures.CLOCK} FROM pg_sleep(0.3)")

    assert figures.clock_ahead_seconds() == 0


def test_a_process_tells_the_database_by_one_row_however_often() -> None:
    presence = Presence("relay", Vitals())

    presence.write_row()
    presence.write_row()

    assert Process.objects.filter(pk=presence.id).count() == 1


def test_of_a_group_the_process_with_the_least_memory_left_is_told() -> None:
    for memory, limit in ((700, 1000), (450, 500), (900, 0)):
        Process.objects.create(
            group="reader", host="h", pid=1, release="r",
            memory_bytes=memory, memory_limit_bytes=limit,
        )  # fmt: skip

    found = {each.name: each for each in process_groups(["reader"], other="other")}["reader"]

    assert (found.processes, found.memory_bytes, found.memory_limit_bytes) == (3, 450, 500)


def test_a_statement_without_an_answer_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    from eventbook.observe import presence

    monkeypatch.setattr(presence, "REPLY_SECONDS", 0.2)
    vitals = Vitals()

    def sleep() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(2)")

    began = time.monotonic()
    Presence("relay", vitals)._query(sleep)

    assert time.monotonic() - began < 1.5
    assert vitals.health().reason == "waiting for the database"
