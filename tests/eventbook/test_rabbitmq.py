"""RabbitMQ as the broker: a real server, relay and workers."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import amqp
import psutil
import pytest
from celery import Celery, current_app
from django.conf import settings

from eventbook.brokers.broker import BrokerDown
from eventbook.brokers.lanes import UnknownBroker, broker_settings
from eventbook.brokers.rabbitmq import RabbitMQ
from eventbook.database.ids import new_id
from eventbook.declare.handlers import handlers
from eventbook.declare.queues import all_policies
from eventbook.deliveries.states import Pending
from eventbook.models import Delivery, Priority
from eventbook.operate import actions
from stack import rabbitmq
from stack.binaries import ProgramMissing
from tests.eventbook.findings import doctor
from tests.harness.processes import wait_for
from tests.harness.watched import System
from tests.probe.behaviours import begun_file, go_file
from tests.probe.models import Effect
from tests.probe.sending import send, states

pytestmark = pytest.mark.django_db(transaction=True)
CHILDREN = 2
LANES = ("notifications", "notifications.bulk")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rabbitmq.RabbitMQ]:
    try:
        with rabbitmq.running(tmp_path_factory.mktemp("rabbitmq")) as server:
            yield server
    except ProgramMissing as error:
        pytest.skip(f"NOT TESTED: RabbitMQ. {error}")


@pytest.fixture
def connection(server: rabbitmq.RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> Iterator[RabbitMQ]:
    """A connection of this process to empty queues, by Celery's configuration for RabbitMQ."""
    app = Celery("on-rabbitmq", set_as_current=False)
    found = broker_settings(server.url, all_policies().values())
    app.conf.update(
        broker_url=found.url,
        task_queues=found.queues,
        broker_transport_options=found.transport_options,
        task_routes=current_app.conf.task_routes,
    )
    monkeypatch.setattr("eventbook.brokers.rabbitmq.current_app", app)
    with closing(RabbitMQ()) as connection:
        connection.depths(list(all_policies()))  # creates the queues
        with amqp.Connection(f"127.0.0.1:{server.port}") as other:
            for queue in found.queues:
                other.channel().queue_purge(queue.name)
        yield connection


@pytest.fixture
def system(
    tmp_path: Path, transactional_db: None, server: rabbitmq.RabbitMQ, connection: RabbitMQ
) -> Iterator[System]:
    running = System(tmp_path)
    running.start("relay", "manage.py", "relay", BROKER_URL=server.url)
    running.start("worker", "manage.py", "worker", "notifications", "feeds", **variables(server))
    yield running
    running.stop()
    for file in (*settings.DATA_DIR.glob("go-*"), *settings.DATA_DIR.glob("begun-*")):
        file.unlink()


def variables(server: rabbitmq.RabbitMQ) -> dict[str, str]:
    return {
        "BROKER_URL": server.url,
        "NOTIFICATIONS_CONCURRENCY": str(CHILDREN),
        "FEEDS_CONCURRENCY": "1",
        "SOFT_SHUTDOWN_SECONDS": "1",
    }


def ended(state: str, count: int, handler: str = "probe.write", seconds: float = 60) -> None:
    wait_for(
        lambda: states(handler) == Counter({state: count}),
        seconds=seconds, what=f"{count} deliveries of {handler} are {state}",
    )  # fmt: skip


def effects() -> int:
    return Effect.objects.filter(handler="probe.write").count()


def test_each_event_reaches_each_handler_once(system: System, connection: RabbitMQ) -> None:
    send(*map(str, range(200)))
    send(*map("bulk-{}".format, range(200)), priority=Priority.BULK)

    ended("done", 400)
    ended("done", 400, "probe.call")

    assert effects() == 400
    assert set(connection.depths(["notifications", "feeds"]).values()) == {0}


def test_no_queue_is_there_for_delays(system: System, server: rabbitmq.RabbitMQ) -> None:
    send("a")
    ended("done", 1)

    with amqp.Connection(f"127.0.0.1:{server.port}") as other, pytest.raises(amqp.NotFound):
        other.channel().queue_declare("celery_delayed_0", passive=True)


def test_bulk_work_leaves_a_child_to_interactive_work(system: System) -> None:
    for key in ("bulk-1", "bulk-2"):
        send(key, behaviour="wait_until_told", priority=Priority.BULK)
    wait_for(begun_file("bulk-1").exists, seconds=60, what="bulk work has begun")

    send(*"abc")

    wait_for(lambda: states()["done"] == 3, seconds=20, what="interactive work is done")
    for key in ("bulk-1", "bulk-2"):
        go_file(key).touch()
    ended("done", 5)


def prefetch_counts(server: rabbitmq.RabbitMQ) -> set[tuple[str, str]]:
    """Return the prefetch count of each consumer of the notifications' lanes."""
    text = server.control("list_consumers", "--no-table-headers", "queue_name", "prefetch_count")
    rows = [line.split("\t") for line in text.splitlines()]
    return {(name, count) for name, count in rows if name in LANES}


def test_lanes_follow_a_change_of_concurrency_and_keep_it(
    system: System, server: rabbitmq.RabbitMQ
) -> None:
    def has(children: int) -> bool:
        counts = str(children), str(children - 1)
        return prefetch_counts(server) == set(zip(LANES, counts, strict=True))

    wait_for(lambda: has(CHILDREN), seconds=60, what="the worker consumes both lanes")

    actions.tune("notifications", actor="test", changes={"concurrency": CHILDREN + 1})

    wait_for(lambda: has(CHILDREN + 1), seconds=60, what="a child more is served")
    server.stop()
    server.start()
    wait_for(lambda: has(CHILDREN + 1), seconds=60, what="it is after a reconnection, too")


def test_a_server_that_crashes_under_load_loses_and_doubles_nothing(
    system: System, server: rabbitmq.RabbitMQ
) -> None:
    send("before")
    ended("done", 1)
    for number in range(30):
        send(*(f"{number}-{n}" for n in range(10)))
        if number == 10:
            server.kill()

    assert Delivery.objects.exclude(state="done").exists()
    server.start()

    ended("done", 301)
    assert effects() == 301
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


def test_a_server_that_is_frozen_delays_no_call_for_long(
    connection: RabbitMQ, server: rabbitmq.RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbook.brokers.rabbitmq.REPLY_SECONDS", 1)
    connection.depths(["notifications"])
    assert server.process is not None
    frozen = psutil.Process(server.process.pid)
    frozen.suspend()
    try:
        with pytest.raises(BrokerDown):
            connection.depths(["notifications"])
        with pytest.raises(BrokerDown):
            connection.publish(pending(1), priority=Priority.INTERACTIVE)
    finally:
        frozen.resume()

    wait_for(lambda: depth_of(connection) is not None, seconds=20, what="it responds again")


def depth_of(connection: RabbitMQ) -> int | None:
    try:
        return connection.depths(["notifications"])["notifications", Priority.INTERACTIVE]
    except BrokerDown:
        return None


@pytest.mark.parametrize("behaviour", ["die_once", "die"])
def test_a_worker_that_dies_costs_its_event_alone(system: System, behaviour: str) -> None:
    send("a", "b")
    send("c", behaviour=behaviour)
    send("d")

    dead = 1 if behaviour == "die" else 0
    wait_for(
        lambda: states() == Counter(done=4 - dead, **{"dead": 1} if dead else {}),
        seconds=90, what="each has ended",
    )  # fmt: skip
    assert effects() == 4 - dead


def test_messages_of_a_killed_worker_are_delivered_by_the_next_one(
    system: System, server: rabbitmq.RabbitMQ
) -> None:
    send("held", behaviour="wait_until_told")
    wait_for(begun_file("held").exists, seconds=60, what="a handler runs")
    send(*"abcdefgh")
    os.killpg(system.processes["worker"].popen.pid, signal.SIGKILL)
    go_file("held").touch()

    system.start("next", "manage.py", "worker", "notifications", "feeds", **variables(server))

    ended("done", 9)
    assert effects() == 9


def pending(count: int, lane: Priority = Priority.INTERACTIVE) -> list[Pending]:
    return [Pending(number, new_id(), "probe.write", lane) for number in range(count)]


def test_messages_are_counted_by_lane(connection: RabbitMQ) -> None:
    connection.publish(pending(3), priority=Priority.INTERACTIVE)
    connection.publish(pending(250, Priority.BULK), priority=Priority.BULK)

    depths = connection.depths(["notifications", "feeds"])

    assert depths["notifications", Priority.INTERACTIVE] == 1
    assert depths["notifications", Priority.BULK] == 3  # of at most 100 deliveries each
    assert depths["feeds", Priority.INTERACTIVE] == 0


def test_a_message_whose_queue_was_deleted_is_not_taken_for_sent(
    connection: RabbitMQ, server: rabbitmq.RabbitMQ
) -> None:
    connection.depths(["notifications"])
    with amqp.Connection(f"127.0.0.1:{server.port}") as other:
        other.channel().queue_delete("notifications")

    with pytest.raises(BrokerDown, match="returned"):
        connection.publish(pending(1), priority=Priority.INTERACTIVE)

    connection.publish(pending(1), priority=Priority.INTERACTIVE)
    assert depth_of(connection) == 1


def test_a_message_is_what_celery_would_send(
    connection: RabbitMQ, server: rabbitmq.RabbitMQ
) -> None:
    connection.publish(pending(2), priority=Priority.INTERACTIVE)
    handler = handlers["probe.write"]
    headers, properties, body, _ = current_app.amqp.create_task_message(
        str(new_id()), handler.name, args=([0, 1],), ignore_result=not handler.keep_result
    )
    with current_app.connection_for_write(server.url) as other:
        other.Producer(auto_declare=False).publish(
            body, routing_key=handler.queue, headers=headers, serializer="json", **properties
        )

    with amqp.Connection(f"127.0.0.1:{server.port}") as other:
        channel = other.channel()
        ours, theirs = (channel.basic_get("notifications", no_ack=True) for _ in range(2))

    assert comparable(ours) == comparable(theirs)


def comparable(message: Any) -> dict[str, Any]:
    """Return a message without the fields that differ each time, and the texts for operators."""
    properties = dict(message.properties)
    headers = properties.pop("application_headers")
    id = headers.pop("id")
    assert (headers.pop("root_id"), properties.pop("correlation_id")) == (id, id)
    for name in ("argsrepr", "kwargsrepr", "origin"):
        headers.pop(name, None)
    properties.pop("priority", None)  # our lanes are queues
    return {"body": json.loads(message.body), "headers": headers, "properties": properties}


@pytest.mark.parametrize("url", ["sqs://", "None", "kafka://h", "redis:/h", "amqp:h", ""])
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(UnknownBroker, match="must be none, or begin with one of redis://"):
        broker_settings(url, [])


def test_the_doctor_knows_it(system: System, server: rabbitmq.RabbitMQ) -> None:
    send("a")
    ended("done", 1)

    running = doctor(BROKER_URL=server.url)
    server.stop()
    try:
        stopped = doctor(BROKER_URL=server.url)
    finally:
        server.start()

    assert "it responds in" in running["broker"]["text"]
    assert running["workers of notifications"]["text"] == "1 running"
    assert "BROKER_URL" in stopped["broker"]["advice"]


def test_a_certificate_must_be_trusted_and_that_of_the_host(
    tmp_path: Path, certificate: Path, transactional_db: None
) -> None:
    with rabbitmq.running(tmp_path / "server", certificate=certificate) as server:
        # Another name for the same address, which the certificate lacks.
        url, other = (
            f"amqps://guest:guest@{host}:{server.tls_port}//" for host in ("127.0.0.1", "127.1")
        )
        unknown = doctor(BROKER_URL=url)
        trusted = doctor(BROKER_URL=url, SSL_CERT_FILE=str(certificate))
        of_another = doctor(BROKER_URL=other, SSL_CERT_FILE=str(certificate))

    assert "certificate verify failed" in unknown["broker"]["text"]
    assert trusted["broker"]["well"], trusted["broker"]
    assert "certificate is not valid for '127.1'" in of_another["broker"]["text"]
