"""Health checks of workers, relays and beat: what they answer when something is wrong."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.utils import timezone

from eventbook.models import QueueControl
from eventbook.observe.health import serve
from eventbook.observe.vitals import Vitals
from tests.harness.interleaving import locked
from tests.harness.processes import wait_for
from tests.harness.watched import CHILDREN, STALL_SECONDS, System, Watched
from tests.probe.sending import send, states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def system(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A relay, the worker of one queue, and beat."""
    running = System(tmp_path_factory.mktemp("watched"))
    running.start("relay", "manage.py", "relay")
    running.start("notification-worker", "manage.py", "worker", "notifications")
    running.start("beat", "-m", "celery", "--quiet", "-A", "config", "beat")
    try:
        for process in running.processes.values():
            process.wait_health(200, seconds=40)
        yield running
    finally:
        running.stop()


@pytest.fixture
def relay(system: System) -> Watched:
    return system.processes["relay"]


@pytest.fixture
def worker(system: System) -> Watched:
    process = system.processes["notification-worker"]
    process.wait_children(seconds=10)
    return process


def test_whoever_gets_on_with_its_work_is_well(system: System, worker: Watched) -> None:
    send("d")
    wait_for(lambda: states()["done"] == 1, seconds=10, what="the worker works")

    answers = {name: process.health() for name, process in system.processes.items()}

    assert {code for code, _ in answers.values()} == {200}
    facts = answers["notification-worker"][1]
    assert (facts["status"], facts["queues"]) == ("ok", ["notifications"])
    assert (facts["group"], facts["concurrency"]) == ("notification-worker", CHILDREN)


def test_a_worker_that_is_up_but_no_longer_consumes_fails_its_check(
    system: System, worker: Watched
) -> None:
    system.control("cancel_consumer", "notifications")
    try:
        worker.wait_health(503, "it does not consume notifications")
    finally:
        system.control("add_consumer", "notifications")

    worker.wait_health(200)


def test_a_worker_that_is_frozen_does_not_answer(worker: Watched) -> None:
    with worker.frozen():
        assert worker.health() == (0, {})

    worker.wait_health(200)


def test_a_worker_whose_children_take_nothing_fails_while_messages_wait(worker: Watched) -> None:
    with worker.frozen(*worker.process.children()):
        time.sleep(2 * STALL_SECONDS)
        assert worker.health()[0] == 200  # there is nothing to do

        send("a", "b", "c")
        worker.wait_health(503, "messages wait, but it accepts none")

    worker.wait_health(200)
    wait_for(lambda: states()["done"] == 3, seconds=15, what="everything is delivered")


@contextmanager
def paused(queue: str) -> Iterator[None]:
    """Pause a queue during the block."""
    row, _ = QueueControl.objects.update_or_create(
        queue=queue, defaults={"paused_at": timezone.now(), "paused_by": "alice"}
    )
    try:
        yield
    finally:
        QueueControl.objects.filter(pk=row.pk).delete()


def test_a_paused_queue_fails_no_check(worker: Watched, relay: Watched) -> None:
    with paused("notifications"):
        send("a", "b", "c")
        until = time.monotonic() + 2 * STALL_SECONDS + 2
        while time.monotonic() < until:
            assert (worker.health()[0], relay.health()[0]) == (200, 200)
            time.sleep(0.2)


def test_a_relay_that_is_kept_from_its_work_fails_its_check(relay: Watched) -> None:
    with locked("eventbook_outboxentry"):
        relay.wait_health(503, "nothing was finished")
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert relay.health()[0] == 503  # however often it tries
            time.sleep(0.1)

    relay.wait_health(200)
    send("d")
    wait_for(lambda: states()["done"] == 1, seconds=15, what="the relay relays")


def test_without_the_broker_processes_wait_and_are_not_to_blame(
    system: System, worker: Watched, relay: Watched
) -> None:
    with system.broker.broken("blackhole"):
        for process in (worker, relay):
            process.wait_health(200, "waiting for the broker", seconds=30)

    for process in (worker, relay):
        process.wait_health(200)
        wait_for(lambda: process.health()[1]["status"] == "ok", seconds=30, what="it goes on")  # noqa: B023


def test_without_the_database_processes_wait_and_are_not_to_blame(
    system: System, worker: Watched
) -> None:
    with system.database.broken("blackhole"):
        for process in system.processes.values():
            process.wait_health(200, "waiting for the database", seconds=30)

    for process in system.processes.values():
        wait_for(lambda: process.health()[1].get("status") == "ok", seconds=30, what="it goes on")  # noqa: B023


def test_a_port_that_is_taken_stops_no_work(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.HEALTH_PORT = taken.getsockname()[1]

        assert serve("relay", Vitals()) is None
