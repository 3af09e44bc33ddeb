"""A worker that is told to stop ends when what it has in hand is done, whatever it is about."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from eventbook.models import Delivery
from tests.harness.processes import wait_for
from tests.harness.watched import System, Watched
from tests.probe.behaviours import begun_file, go_file
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)

# A worker that is told to stop just when it is about something in its pool.
AT_A_BAD_MOMENT = """
import os, signal, sys
from celery.concurrency.asynpool import AsynPool
from django.core.management import execute_from_command_line
from eventbook.brokers.pool import Pool

def interrupted(kind, name):
    whole = getattr(kind, name)
    def halves(*arguments, **options):
        if os.path.exists(sys.argv[2]):
            os.unlink(sys.argv[2])
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(*arguments, **options)
    setattr(kind, name, halves)

kind, name = sys.argv[1].split(".")
interrupted({"AsynPool": AsynPool, "Pool": Pool}[kind], name)
execute_from_command_line(["manage.py", "worker", "notifications"])
"""

# A worker that sends many heartbeats.
RESTLESS = """
from celery.worker import heartbeat
from django.core.management import execute_from_command_line

class Restless(heartbeat.Heart):
    def __init__(self, timer, eventer, interval):
        super().__init__(timer, eventer, 0.1)

heartbeat.Heart = Restless
execute_from_command_line(["manage.py", "worker", "notifications"])
"""


@pytest.fixture
def system(tmp_path: Path, transactional_db: None) -> Iterator[System]:
    running = System(tmp_path)
    running.start("relay", "manage.py", "relay")
    yield running
    running.kill()
    for file in (*settings.DATA_DIR.glob("go-*"), *settings.DATA_DIR.glob("begun-*")):
        file.unlink()


def start(system: System, *command: str, **variables: str) -> Watched:
    """Start a worker, and wait until it works."""
    variables = {"SOFT_SHUTDOWN_SECONDS": "60"} | variables
    command = command or ("manage.py", "worker", "notifications")
    worker = system.start("worker", *command, **variables)
    worker.wait_children()
    send("warm")
    wait_for(lambda: done("warm"), seconds=60, what="it works")
    return worker


def done(key: str) -> bool:
    """Return whether the effect of this probe is written."""
    found = Delivery.objects.filter(handler="probe.write", event__subject=f"probes/{key}")
    return found.filter(state="done").exists()


def wait_end(worker: Watched, *, seconds: float) -> None:
    """Wait until the worker has ended; fail with its log after `seconds`."""
    try:
        worker.popen.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{error}\n{worker.log.read_text()[-3000:]}") from error


def send_and_hold(key: str) -> None:
    """Keep the worker busy with a probe that waits for its go file."""
    send(key, behaviour="wait_until_told")
    wait_for(begun_file(key).exists, seconds=10, what=f"{key} has begun")


def wait_said(worker: Watched, words: str) -> None:
    """Wait until the log contains these words."""
    wait_for(lambda: words in worker.log.read_text(), seconds=10, what=words)


def test_a_worker_stops_though_it_is_taking_a_task(system: System, tmp_path: Path) -> None:
    now = tmp_path / "now"
    worker = start(system, "-c", AT_A_BAD_MOMENT, "Pool.apply_async", str(now))

    now.touch()
    send("last")

    wait_end(worker, seconds=20)
    assert not now.exists()
    assert done("last")


def test_a_worker_stops_though_it_is_reading_a_result(system: System, tmp_path: Path) -> None:
    now = tmp_path / "now"
    worker = start(system, "-c", AT_A_BAD_MOMENT, "AsynPool.on_job_ready", str(now))
    send_and_hold("last")  # so it is in hand, whichever result is the one

    now.touch()
    go_file("last").touch()

    wait_end(worker, seconds=20)
    assert not now.exists()
    assert done("last")


def test_a_worker_ends_with_the_last_task_it_has(system: System) -> None:
    worker = start(system)
    children = worker.process.children()
    send_and_hold("held")

    worker.popen.send_signal(signal.SIGTERM)
    wait_said(worker, "worker.draining")
    send("not-taken")
    go_file("held").touch()

    wait_end(worker, seconds=10)
    assert done("held")
    assert not done("not-taken")
    assert not any(map(psutil.Process.is_running, children))
    start(system)
    wait_for(lambda: done("not-taken"), seconds=30, what="the next one takes it")


def test_a_task_that_takes_longer_is_given_back(system: System) -> None:
    worker = start(system, SOFT_SHUTDOWN_SECONDS="1")
    send_and_hold("held")

    worker.popen.send_signal(signal.SIGTERM)

    wait_end(worker, seconds=10)
    assert not done("held")
    go_file("held").touch()
    start(system)
    wait_for(lambda: done("held"), seconds=60, what="the next one does it")


def test_a_child_that_dies_meanwhile_does_not_hold_it_up(system: System) -> None:
    worker = start(system)
    children = worker.process.children()
    send_and_hold("held")

    worker.popen.send_signal(signal.SIGTERM)
    wait_said(worker, "worker.draining")
    for child in children:
        child.kill()

    wait_end(worker, seconds=30)


def test_a_worker_stops_without_a_broker(system: System) -> None:
    worker = start(system)

    with system.broker.broken("refuse"):
        wait_said(worker, "broker.connection_failed")
        worker.popen.send_signal(signal.SIGTERM)

        wait_end(worker, seconds=10)


def test_a_worker_that_sends_heartbeats_stops_though_the_broker_goes_meanwhile(
    system: System,
) -> None:
    worker = start(system, "-c", RESTLESS)
    send_and_hold("held")
    system.control("enable_events")

    worker.popen.send_signal(signal.SIGTERM)
    wait_said(worker, "worker.draining")
    system.broker.refuse()
    go_file("held").touch()

    wait_end(worker, seconds=10)
