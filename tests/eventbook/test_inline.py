"""`relay --inline`: a relay that runs the handlers itself, without broker and workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from eventbook.models import Delivery, Priority
from tests.eventbook.findings import doctor
from tests.harness.processes import environment, wait_for
from tests.harness.watched import System
from tests.probe.behaviours import begun_file, go_file
from tests.probe.models import Effect
from tests.probe.sending import send, states
from tests.probe.signals import (
    ProbeRepeated,
    ProbeSent,
    ProbeTried,
    probe_repeated,
    probe_sent,
    probe_tried,
)

NO_BROKER = "redis://127.0.0.1:1/0"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def system(tmp_path: Path, transactional_db: None) -> Iterator[System]:
    running = System(tmp_path)
    yield running
    running.stop()
    for file in (*settings.DATA_DIR.glob("go-*"), *settings.DATA_DIR.glob("begun-*")):
        file.unlink()


def start(system: System, name: str = "relay", **variables: str) -> psutil.Process:
    """Start a relay that finds no broker at its address."""
    process = system.start(
        name, "manage.py", "relay", "--inline", BROKER_URL=NO_BROKER,
        METADATA_CONCURRENCY="1", SOFT_SHUTDOWN_SECONDS=variables.pop("SOFT_SHUTDOWN_SECONDS", "1"),
        **variables,
    )  # fmt: skip
    return process.process


def ended(state: str, count: int, handler: str = "probe.write") -> None:
    wait_for(
        lambda: states(handler) == Counter({state: count}),
        seconds=60, what=f"{count} deliveries of {handler} are {state}",
    )  # fmt: skip


def test_each_event_reaches_each_handler_once(system: System) -> None:
    start(system)

    send(*map(str, range(100)))
    send("bulk", priority=Priority.BULK)

    ended("done", 101)
    ended("done", 101, "probe.call")
    assert Effect.objects.filter(handler="probe.write").count() == 101
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


@pytest.mark.parametrize("behaviour", ["die_once", "hang_up_once", "put_off_once"])
def test_what_fails_once_is_done_and_has_its_effect_once(system: System, behaviour: str) -> None:
    start(system)

    send("once", behaviour=behaviour)

    ended("done", 1)
    assert Effect.objects.filter(handler="probe.write").count() == 1


def test_a_child_survives_what_its_handler_raises(system: System) -> None:
    start(system, NOTIFICATIONS_MAX_ATTEMPTS="3", NOTIFICATIONS_BACKOFF_SECONDS="0")

    send("refused", behaviour="raise")

    ended("dead", 1)
    assert "child.replaced" not in system.processes["relay"].log.read_text()


def test_a_child_that_can_not_be_replaced_at_once_is_replaced_later(system: System) -> None:
    relay = start(system)
    send("first")
    ended("done", 1)
    limits = relay.rlimit(psutil.RLIMIT_NOFILE)
    relay.rlimit(psutil.RLIMIT_NOFILE, (3, limits[1]))
    send("dies", behaviour="die_once")
    log = system.folder / "relay.log"
    wait_for(lambda: "child.not_started" in log.read_text(), seconds=30, what="none is left")

    relay.rlimit(psutil.RLIMIT_NOFILE, limits)

    ended("done", 2)


def test_poison_ends_as_dead_letters_and_spares_its_neighbours(system: System) -> None:
    start(system, NOTIFICATIONS_TIME_LIMIT_SECONDS="1", NOTIFICATIONS_GRACE_SECONDS="1")

    send("a", "b")
    for behaviour in ("raise", "die", "hang", "hang_for_good"):
        send(behaviour, behaviour=behaviour)
    send("c")

    wait_for(lambda: states() == Counter(done=3, dead=4), seconds=120, what="the poison is dead")
    assert sorted(Effect.objects.values_list("key", flat=True).distinct()) == ["a", "b", "c"]


def test_own_time_limits_delays_and_bursts_hold_too(system: System) -> None:
    start(system)
    soon = timezone.now() + timedelta(seconds=2)

    with transaction.atomic():
        probe_tried.send(sender=None, event=ProbeTried(key="a", behaviour="hang"))
        probe_sent.send(sender=None, event=ProbeSent(key="later"), run_at=soon)
        for key in "123":
            probe_repeated.send(sender=None, event=ProbeRepeated(group="a", key=key))

    ended("dead", 1, "probe.try")
    ended("dead", 1, "probe.try_outside")
    ended("done", 1)
    ended("done", 3, "probe.debounce")
    later = Delivery.objects.get(handler="probe.write")
    assert later.finished_at
    assert soon <= later.finished_at
    assert [each.key for each in Effect.objects.filter(handler="probe.debounce")] == ["3"]
    assert set(Delivery.objects.filter(state="dead").values_list("attempts", flat=True)) == {4}


def test_bulk_work_leaves_a_child_to_interactive_work(system: System) -> None:
    start(system)
    send("bulk-1", behaviour="wait_until_told", priority=Priority.BULK)
    wait_for(begun_file("bulk-1").exists, seconds=30, what="bulk work has begun")
    send("bulk-2", behaviour="wait_until_told", priority=Priority.BULK)

    send("urgent")

    wait_for(lambda: states()["done"] == 1, seconds=10, what="the urgent one is done")
    assert not begun_file("bulk-2").exists()
    for key in ("bulk-1", "bulk-2"):
        go_file(key).touch()
    ended("done", 3)


def test_a_relay_that_is_killed_leaves_its_work_to_the_next_one(system: System) -> None:
    relay = start(system)
    send(*"abcdef", behaviour="slow")
    send("held", behaviour="wait_until_told")
    wait_for(begun_file("held").exists, seconds=30, what="a handler runs")
    children = relay.children(recursive=True)

    os.kill(relay.pid, signal.SIGKILL)

    wait_for(
        lambda: not any(child.is_running() for child in children),
        seconds=10, what="its children have ended",
    )  # fmt: skip
    go_file("held").touch()
    start(system, "next")
    ended("done", 7)
    assert Effect.objects.filter(handler="probe.write").count() == 7


def test_a_stop_waits_for_what_runs(system: System) -> None:
    relay = start(system, SOFT_SHUTDOWN_SECONDS="10")
    send("held", behaviour="wait_until_told")
    wait_for(begun_file("held").exists, seconds=30, what="a handler runs")

    relay.terminate()
    go_file("held").touch()

    wait_for(
        lambda: not relay.is_running() or relay.status() == "zombie", seconds=15, what="it ended"
    )
    assert states() == Counter(done=1)


@pytest.mark.parametrize("broker", ["an unreachable one", "none"])
def test_the_doctor_misses_neither_broker_nor_workers(system: System, broker: str) -> None:
    url = "none" if broker == "none" else NO_BROKER
    arguments = [] if broker == "none" else ["--inline"]
    assert well(url, "broker") == {broker == "none"}

    system.start("relay", "manage.py", "relay", *arguments, BROKER_URL=url)

    send("a")
    ended("done", 1)
    assert well(url, "broker", "workers of notifications", "queue notifications") == {True}


def well(broker_url: str, *subjects: str) -> set[bool]:
    """Return whether these subjects are well, according to the doctor."""
    findings = doctor(BROKER_URL=broker_url)
    return {findings[subject]["well"] for subject in subjects}


def manage(broker_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this broker."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], env=environment() | {"BROKER_URL": broker_url},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_worker_without_broker_says_what_to_do_instead() -> None:
    done = manage("none", "worker", "feeds")

    assert done.returncode == 1
    assert "the relay runs the handlers" in done.stderr


def test_an_unknown_broker_is_refused_in_one_line() -> None:
    done = manage("kafka://host", "queues", "status")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "must be none, or begin with one of redis://" in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hush/hush@127.0.0.1:6379/0",
        "amqp://user:hush#hush@127.0.0.1:5672//",
        "rediss://:hush@127.0.0.1:99999/0",
        "sentinel://:hush@127.0.0.1:1;sentinel://:hush?hush@127.0.0.1:2",
    ],
)
def test_an_address_with_a_fault_is_refused_in_one_line_without_its_password(url: str) -> None:
    done = manage(url, "queues", "status")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "percent-encoded" in done.stderr
    assert "hush" not in done.stderr
