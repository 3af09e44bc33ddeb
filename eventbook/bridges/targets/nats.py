"""NATS JetStream: at least once; the server drops repetitions within its `duplicate_window`.

The URL is `nats://user:password@host:4222/STREAM` (`tls://` for TLS). JetStream recognizes a
message by its id (the header Nats-Msg-Id) for the stream's `duplicate_window`.

By default, a NATS client begins without TLS and changes to it if the server asks for it. So anybody
on the way could prevent that and read the password. Over `tls://`, the handshake therefore comes
first: the server needs `handshake_first: auto` in its `tls` settings.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import UUID

from nats.aio.client import Client
from nats.errors import Error, MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import APIError, NotFoundError

from eventbook.bridges.envelope import STRUCTURED, Message
from eventbook.bridges.targets.base import TargetDown, destination
from eventbook.declare.bridges import Bridge

STREAM = "EVENTS"
SUBJECT = "events.{type}"
CONNECT_SECONDS = 3.0
CONFIRM_SECONDS = 10.0
# Of a stream that the bridge creates: how long it keeps events, and recognizes repetitions.
KEEP_SECONDS = 7 * 24 * 3600
DUPLICATES_SECONDS = 3600
TOO_LARGE = 10054  # JetStream's error code for a message above the stream's limit
# What the client raises when the connection fails.
FAILURES = (Error, OSError, asyncio.TimeoutError)

T = TypeVar("T")


class LoopThread:
    """A thread with an event loop, in which the client responds to the server's pings."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="nats")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], *, seconds: float) -> T:
        """Run a coroutine in the loop; raise TimeoutError after `seconds`."""
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), self._loop)
        return future.result()

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Connection:
    """A connection to NATS that is opened on first use, and dropped by `drop` after an error."""

    def __init__(self, bridge: Bridge) -> None:
        parts = urlsplit(bridge.url)
        self.stream = parts.path.strip("/") or STREAM
        self.subject = bridge.subject or SUBJECT
        self._is_tls = parts.scheme == "tls"
        self._url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
        # The client would not decode them. A name without a password is a token.
        user, password = (text and unquote(text) for text in (parts.username, parts.password))
        self._login: dict[str, Any] = (
            {"token": user} if password is None else {"user": user, "password": password}
        )
        self._name = f"commonplace-{bridge.name}"
        self._loop = LoopThread()
        self._client: Client | None = None
        self._jetstream: JetStreamContext  # of the client

    def run(self, work: Coroutine[Any, Any, T], *, seconds: float) -> T:
        """Run a coroutine within `seconds`; raise TargetDown if the connection fails."""
        try:
            return self._loop.run(work, seconds=seconds)
        except FAILURES as error:
            self.drop()
            # Of this class are the server's own errors, for example of a wrong password.
            text = str(error) if type(error) is Error else type(error).__name__
            raise TargetDown(f"NATS: {text}") from error

    def require_open(self) -> None:
        """Open a connection if there is none; raise TargetDown if that fails."""
        if self._client is None or not self._client.is_connected:
            self.run(self.jetstream(), seconds=CONNECT_SECONDS + CONFIRM_SECONDS)

    async def jetstream(self) -> JetStreamContext:
        """Return JetStream on an open connection; create the stream if there is none."""
        if self._client is None or not self._client.is_connected:
            # Without the client's own reconnection, which would buffer messages for minutes. The
            # first connection is tried twice even so; by default, 60 times.
            client = Client()
            try:
                await client.connect(
                    self._url, name=self._name, error_cb=_ignore,
                    allow_reconnect=False, max_reconnect_attempts=1, reconnect_time_wait=0,
                    connect_timeout=int(CONNECT_SECONDS), tls_handshake_first=self._is_tls,
                    **self._login,
                )  # fmt: skip
            except BaseException:  # also if it takes too long
                with suppress(*FAILURES):
                    await asyncio.wait_for(client.close(), CONNECT_SECONDS)
                raise
            self._client = client
            self._jetstream = self._client.jetstream(timeout=CONFIRM_SECONDS)
            await self._require_stream(self._jetstream)
        return self._jetstream

    async def _require_stream(self, jetstream: JetStreamContext) -> None:
        try:
            await jetstream.stream_info(self.stream)
        except NotFoundError:
            subjects = [f"{self.subject.partition('{type}')[0]}>"]
            await jetstream.add_stream(
                StreamConfig(
                    name=self.stream,
                    subjects=subjects,
                    max_age=KEEP_SECONDS,
                    duplicate_window=DUPLICATES_SECONDS,
                )
            )

    def drop(self) -> None:
        """Close the connection; the next use opens another one."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(*FAILURES):  # it may be broken
                self._loop.run(client.close(), seconds=CONNECT_SECONDS)

    def close(self) -> None:
        """Close the connection, and end its thread."""
        self.drop()
        self._loop.close()


async def _ignore(error: Exception) -> None:
    """Do nothing with an error, which the failing call raises anyway."""


class NatsTarget:
    """A JetStream stream to which events are published."""

    def __init__(self, bridge: Bridge) -> None:
        self._connection = Connection(bridge)

    def publish(self, messages: Sequence[Message]) -> Mapping[UUID, str]:
        """Publish messages concurrently, and wait until JetStream has stored each.

        Return and raise as `Target.publish`. A batch has at most one event of each subject
        (translating.py, `waves`), so their order does not matter.
        """
        seconds = CONNECT_SECONDS + 2 * CONFIRM_SECONDS
        results = self._connection.run(self._publish(messages), seconds=seconds)
        refused, failed = {}, None
        confirmed = set()
        for message, result in zip(messages, results, strict=True):
            if result is None:
                confirmed.add(message.id)
            elif reason := _refusal(result):
                refused[message.id] = reason
            else:
                failed = result
        if failed is not None:
            self._connection.drop()
            raise TargetDown(f"NATS: {type(failed).__name__}", confirmed)
        return refused

    async def _publish(self, messages: Sequence[Message]) -> list[BaseException | None]:
        """Return None or the error for each message."""
        jetstream = await self._connection.jetstream()
        sending: list[Awaitable[Any]] = [self._send(jetstream, message) for message in messages]
        results = await asyncio.gather(*sending, return_exceptions=True)
        return [result if isinstance(result, BaseException) else None for result in results]

    async def _send(self, jetstream: JetStreamContext, message: Message) -> None:
        subject = destination(self._connection.subject, message.type)
        headers = {"Nats-Msg-Id": str(message.id), "Content-Type": STRUCTURED}
        await jetstream.publish(
            subject, message.structured, stream=self._connection.stream, headers=headers
        )

    def idle(self) -> None:
        """Connect if there is no connection; raise TargetDown if that fails.

        The client's thread responds to the server's pings.
        """
        self._connection.require_open()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _refusal(error: BaseException) -> str:
    """Return why a message can never be stored, or "" if it may be later."""
    if isinstance(error, MaxPayloadError):
        return "It is larger than the NATS server's max_payload."
    if isinstance(error, APIError) and error.err_code == TOO_LARGE:
        return "It is larger than the stream's maximum message size."
    return ""
