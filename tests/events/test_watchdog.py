"""A process that has got stuck ends itself, so that its supervisor starts it anew."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from events.models import Delivery
from events.processes import watchdog
from events.processes.vitals import Vitals
from tests.events.test_health import delivered, locked, send
from tests.running import wait_for
from tests.watched import STALL_SECONDS, System, Watched

pytestmark = pytest.mark.django_db(transaction=True)

WATCHDOG_SECONDS = 1.5
WORKER, RELAY = "notification-worker", "relay"


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
    """This does what a supervisor does."""
    arguments = {RELAY: ["relay"], WORKER: ["worker", "notifications"]}[name]
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

    send(3)
    wait_for(lambda: worker.popen.poll() is not None, seconds=30, what="it has ended itself")
    psutil.wait_procs(children, timeout=10)

    assert worker.popen.returncode == 1
    assert [child for child in children if child.is_running()] == []
    assert "messages wait, and it takes none" in last_words(worker)
    start(system, WORKER)
    wait_for(lambda: delivered() == 3, seconds=30, what="everything is delivered")
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


def test_a_relay_that_has_got_stuck_ends_itself_and_the_next_one_relays(system: System) -> None:
    relay = system.processes[RELAY]

    with locked("events_outboxentry"):
        wait_for(lambda: relay.popen.poll() is not None, seconds=30, what="it has ended itself")

    assert relay.popen.returncode == 1
    assert "nothing was finished" in last_words(relay)
    start(system, RELAY)
    send()
    wait_for(lambda: delivered() == 1, seconds=30, what="the next one relays")


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
    monkeypatch.setattr(watchdog, "end_family", lambda: ended.append(True))
    settings.WATCHDOG_SECONDS = 300
    dog = watchdog.Watchdog(Stuck())

    for _ in range(59):
        dog._looked -= 3600
        dog.look()
    spared = not ended
    dog._looked -= 3600
    dog.look()

    assert spared
    assert ended == [True]
