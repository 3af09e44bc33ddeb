"""The brokers that the fault suite runs on, and what it does to each."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import amqp
import redis

from eventbook.brokers.lanes import BULK_SUFFIX
from stack import debian, rabbitmq
from stack.binaries import valkey_server
from stack.embedded import START_SECONDS, Servers

QUEUES = ("notifications", "feeds", "events")
Target = Path | tuple[str, int]


class Broker(Protocol):
    """A broker of a fault test."""

    target: Target  # where a process's link leads

    def url(self, port: int | None = None) -> str:
        """Return the address for processes: through a link's port, or without a link."""

    def start(self) -> None:
        """Start the server, unless it runs."""

    def stop(self, *, forget: bool = False) -> None:
        """Stop the server; with `forget`, also delete its data on disk."""

    def pid(self) -> int | None:
        """Return the server's process id."""

    def forget_everything(self) -> None:
        """Delete all messages."""

    def set_full(self, full: bool) -> None:
        """Let the server have no memory left, or enough again."""

    def push(self, queue: str, bodies: Iterable[bytes]) -> None:
        """Put malformed messages with these bodies into a queue."""

    def length(self, queue: str) -> int:
        """Return the number of messages in a queue's interactive lane."""

    def multiply(self, queues: Sequence[str], times: int, dice: random.Random) -> int:
        """Replace the messages by several copies of each, shuffled; return their number."""


class Valkey:
    """Valkey, as `make up` runs it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.target: Target = self.servers.valkey_socket

    @cached_property
    def servers(self) -> Servers:
        return Servers(self.data)

    def url(self, port: int | None = None) -> str:
        return f"redis://127.0.0.1:{port}/0" if port else self.servers.redis_url

    def start(self) -> None:
        self.servers.prepare()
        self.servers.valkey.start(responds=self.servers.valkey_responds, seconds=START_SECONDS)

    def stop(self, *, forget: bool = False) -> None:
        self.servers.valkey.stop()
        if forget:
            shutil.rmtree(self.data / "valkey")

    def pid(self) -> int | None:
        return self.servers.valkey.pid()

    def client(self) -> redis.Redis:
        """Return a client of the server without a link."""
        return redis.Redis.from_url(self.servers.unix_url, socket_timeout=10)

    def forget_everything(self) -> None:
        with self.client() as client:
            client.flushall()

    def set_full(self, full: bool) -> None:
        with self.client() as client:
            client.config_set("maxmemory", 1_000_000 if full else 0)

    def push(self, queue: str, bodies: Iterable[bytes]) -> None:
        with self.client() as client:
            client.lpush(queue, *bodies)

    def length(self, queue: str) -> int:
        with self.client() as client:
            return int(client.llen(queue))

    def multiply(self, queues: Sequence[str], times: int, dice: random.Random) -> int:
        copied = 0
        with self.client() as client:
            for queue in queues:
                for lane in (queue, f"{queue}\x06\x169"):
                    messages: list[bytes] = client.lrange(lane, 0, -1) * times
                    dice.shuffle(messages)
                    if messages:
                        client.delete(lane)
                        client.rpush(lane, *messages)
                    copied += len(messages)
        return copied


class RedisServers(Servers):
    """The embedded servers, with Debian's Redis in place of Valkey."""

    def valkey_command(self, *, death_signal: str = "") -> list[str]:
        program = debian.program("redis-server", "redis-server")
        variables = [f"{name}={text}" for name, text in program.environment.items()]
        command = super().valkey_command(death_signal=death_signal)
        place = command.index(str(valkey_server()))
        return [*command[:place], "env", *variables, str(program.path), *command[place + 1 :]]


class Redis(Valkey):
    """Redis 7.0, from Debian's package."""

    @cached_property
    def servers(self) -> Servers:
        return RedisServers(self.data)


class RabbitMQ:
    """RabbitMQ 3.10, from Debian's package."""

    def __init__(self, data: Path) -> None:
        self.data = data / "rabbitmq"
        self.server = rabbitmq.RabbitMQ(self.data)
        self.target: Target = ("127.0.0.1", self.server.port)

    def url(self, port: int | None = None) -> str:
        return self.server.url.replace(str(self.server.port), str(port or self.server.port))

    def start(self) -> None:
        if not self.pid():
            self.server.start()

    def stop(self, *, forget: bool = False) -> None:
        self.server.stop()
        if forget:
            shutil.rmtree(self.data / "mnesia")

    def pid(self) -> int | None:
        process = self.server.process
        return process.pid if process and process.poll() is None else None

    def channel(self) -> amqp.Channel:
        """Return a channel of a new connection without a link."""
        connection = amqp.Connection(f"127.0.0.1:{self.server.port}")
        connection.connect()
        return connection.channel()

    def lanes(self, queues: Sequence[str]) -> list[str]:
        """Return the names of the queues' lanes."""
        return [name for queue in queues for name in (queue, queue + BULK_SUFFIX)]

    def forget_everything(self) -> None:
        channel = self.channel()
        for lane in self.lanes(QUEUES):
            channel.queue_purge(lane)
        channel.connection.close()

    def set_full(self, full: bool) -> None:
        # A watermark of nothing: the server blocks all connections that publish.
        self.server.control("set_vm_memory_high_watermark", "0" if full else "0.4")

    def push(self, queue: str, bodies: Iterable[bytes]) -> None:
        channel = self.channel()
        for body in bodies:
            channel.basic_publish(amqp.Message(body), routing_key=queue)
        channel.connection.close()

    def length(self, queue: str) -> int:
        channel = self.channel()
        count = int(channel.queue_declare(queue, passive=True).message_count)
        channel.connection.close()
        return count

    def multiply(self, queues: Sequence[str], times: int, dice: random.Random) -> int:
        channel = self.channel()
        copied = 0
        for lane in self.lanes(queues):
            messages = []
            while message := channel.basic_get(lane, no_ack=True):
                messages += [message] * times
            dice.shuffle(messages)
            for message in messages:
                copy = amqp.Message(message.body, **message.properties)
                channel.basic_publish(copy, routing_key=lane)
            copied += len(messages)
        channel.connection.close()
        return copied


class NoBroker(Valkey):
    """No broker: processes are told of none, and the server that others would use is idle."""

    def url(self, port: int | None = None) -> str:
        return "none"


def client_of(broker: Broker) -> redis.Redis:
    """Return a client of Valkey or Redis without a link."""
    assert isinstance(broker, Valkey)
    return broker.client()


BROKERS: dict[str, Callable[[Path], Broker]] = {
    "valkey": Valkey, "redis": Redis, "rabbitmq": RabbitMQ, "none": NoBroker,
}  # fmt: skip
