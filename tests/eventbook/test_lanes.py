"""Bulk work never takes the last free child of a worker; what is urgent finds one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from django.conf import settings

from eventbook.declare.queues import policy_of
from eventbook.models import Delivery, Priority
from stack.embedded import Servers
from tests.harness.processes import wait_for
from tests.harness.watched import BROKER_PART, System
from tests.probe.behaviours import begun_file, go_file
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)

CHILDREN = 3
BULK_LANE = "notifications\x06\x169"


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    socket = str(Servers(settings.DATA_DIR).valkey_socket)
    with redis.Redis(unix_socket_path=socket, db=BROKER_PART, decode_responses=True) as client:
        client.flushdb()
        yield client
        client.acl_deluser("limited")


@pytest.fixture
def system(tmp_path: Path, transactional_db: None, broker: redis.Redis) -> Iterator[System]:
    running = System(tmp_path)
    yield running
    running.kill()
    for file in (*settings.DATA_DIR.glob("go-bulk*"), *settings.DATA_DIR.glob("begun-bulk*")):
        file.unlink()


def start(system: System, **variables: str) -> None:
    """Start a relay and the worker of one queue, and wait until both work."""
    system.start("relay", "manage.py", "relay")
    command = ("manage.py", "worker", "notifications")
    variables |= {"NOTIFICATIONS_CONCURRENCY": f"{CHILDREN}", "SOFT_SHUTDOWN_SECONDS": "1"}
    system.start("worker", *command, **variables)
    send("warm")
    wait_for(lambda: done("warm"), seconds=60, what="it works")


def done(*keys: str) -> bool:
    """Return whether the effects of all these probes are written."""
    subjects = [f"probes/{key}" for key in keys]
    found = Delivery.objects.filter(
        handler="probe.write", state="done", event__subject__in=subjects
    )
    return found.count() == len(keys)


def send_bulk(*keys: str) -> None:
    """Send bulk probes that wait for their go files, each in its own message."""
    for key in keys:
        send(key, behaviour="wait_until_told", priority=Priority.BULK)
        wait_for(begun_file(key).exists, seconds=10, what=f"{key} has begun")


def unblocked(broker: redis.Redis) -> int:
    """Return the number of polls of the broker that ended early."""
    calls = broker.info("commandstats").get("cmdstat_client|unblock", {})
    return int(calls.get("calls", 0))


def test_bulk_work_leaves_a_child_to_what_is_urgent(system: System, broker: redis.Redis) -> None:
    start(system)
    send_bulk("bulk-1", "bulk-2")
    send("bulk-3", behaviour="wait_until_told", priority=Priority.BULK)
    wait_for(lambda: broker.llen(BULK_LANE) == 1, seconds=10, what="the third one waits")

    for key in ("urgent-1", "urgent-2", "urgent-3"):
        send(key)
        wait_for(partial(done, key), seconds=10, what="what is urgent passes")

    assert not begun_file("bulk-3").exists()
    before = unblocked(broker)
    go_file("bulk-1").touch()
    wait_for(begun_file("bulk-3").exists, seconds=10, what="the third one comes when one has ended")
    assert unblocked(broker) > before
    for key in ("bulk-2", "bulk-3"):
        go_file(key).touch()
    wait_for(lambda: done("bulk-1", "bulk-2", "bulk-3"), seconds=10, what="nothing was lost")


def test_what_is_urgent_may_have_all_children(system: System) -> None:
    start(system)

    keys = [f"bulk-urgent-{number}" for number in range(CHILDREN)]
    for key in keys:
        send(key, behaviour="wait_until_told")
        wait_for(begun_file(key).exists, seconds=10, what=f"{key} has begun")

    for key in keys:
        go_file(key).touch()
    wait_for(lambda: done(*keys), seconds=10, what="all have ended")


def test_a_broker_that_ends_no_questions_gives_all_children_to_bulk_work(
    system: System, broker: redis.Redis
) -> None:
    broker.acl_setuser(
        "limited", enabled=True, passwords=["+word"], keys=["*"], channels=["*"],
        categories=["+@all"], commands=["-client"],
    )  # fmt: skip
    address = system.broker_url.replace("redis://", "redis://limited:word@")
    start(system, REDIS_URL=address)

    send_bulk(*(f"bulk-{number}" for number in range(CHILDREN)))

    for number in range(CHILDREN):
        go_file(f"bulk-{number}").touch()
    wait_for(lambda: done("bulk-0", "bulk-1", "bulk-2"), seconds=10, what="nothing was lost")


def test_small_bulk_work_is_shared_out_among_the_children_that_may_take_it() -> None:
    policy = policy_of("notifications")

    assert policy.concurrency_for(Priority.BULK) == policy.concurrency - 1
    assert policy.concurrency_for(Priority.INTERACTIVE) == policy.concurrency
    assert policy_of("events").concurrency_for(Priority.BULK) == 1
