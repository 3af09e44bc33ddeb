"""Receive request bodies in the event loop, within limits of size, time and rate.

Only the event loop waits for a body. A thread gets the request once its body is complete.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, MutableMapping
from tempfile import TemporaryFile
from typing import IO, Any

from server.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

RETRY_AFTER_SECONDS = 5


class Refused(Exception):
    """The server refuses a request; `status` is the HTTP status, the message is for the client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class Budget:
    """Counts the bytes of all bodies that this process holds: in memory, and in total with disk."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.in_memory = self.total = 0

    def open(self) -> Body:
        """Return an empty body that counts towards this budget; the caller must close it."""
        return Body(self)


class Body:
    """The body of one request: `file` has it in memory or, if it is large, on disk."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.size, self.in_memory = budget, 0, 0
        self.file: IO[bytes] = io.BytesIO()
        self.is_on_disk = False

    def write(self, piece: bytes) -> None:
        """Append a piece; raise Refused (503) if all bodies together would exceed the limit."""
        budget, limits = self.budget, self.budget.limits
        if budget.total + len(piece) > limits.bodies_bytes:
            raise Refused(503, "The server is receiving as much as it can hold; try again soon.")
        self.size += len(piece)
        budget.total += len(piece)
        is_large = self.size > limits.body_spool_bytes
        if is_large or budget.in_memory + len(piece) > limits.bodies_memory_bytes:
            self._to_disk()
        self.file.write(piece)
        if not self.is_on_disk:
            self.in_memory += len(piece)
            budget.in_memory += len(piece)

    def _to_disk(self) -> None:
        """Move the body from memory to a temporary file."""
        if self.is_on_disk:
            return
        self.file.seek(0)
        begun = self.file.read()
        self.file, self.is_on_disk = TemporaryFile(), True  # noqa: SIM115 - `close` closes it
        self.file.write(begun)
        self._forget_memory()

    def _forget_memory(self) -> None:
        self.budget.in_memory -= self.in_memory
        self.in_memory = 0

    def close(self) -> None:
        """Discard the body, and release its bytes in the budget."""
        self._forget_memory()
        self.budget.total -= self.size
        self.size = 0
        self.file.close()


async def take(receive: Receive, body: Body, *, most: int, declared: int | None) -> None:
    """Receive the whole body from the client.

    `most` is the allowed size in bytes, `declared` the request's Content-Length. Raise Refused if
    the body is too large (413) or too slow (408), and ClientGone if the client disconnects.
    """
    limits = body.budget.limits
    if declared is not None and declared > most:
        raise too_large(most)
    began = time.monotonic()
    try:
        async with asyncio.timeout(limits.body_grace_seconds) as deadline:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                piece = message.get("body", b"")
                if body.size + len(piece) > most:
                    raise too_large(most)
                body.write(piece)
                if not message.get("more_body", False):
                    break
                deadline.reschedule(
                    asyncio.get_running_loop().time() + allowed(body.size, began, limits)
                )
    except TimeoutError:
        raise Refused(
            408,
            f"The body arrived too slowly: {body.size} bytes in {time.monotonic() - began:.0f} "
            f"seconds. Send at least {limits.body_bytes_per_second} bytes a second.",
        ) from None
    body.file.seek(0)


def allowed(size: int, began: float, limits: Limits) -> float:
    """Return the seconds until the deadline of a client that has sent `size` bytes so far."""
    by_rate = limits.body_grace_seconds + size / limits.body_bytes_per_second
    return began + min(by_rate, limits.body_seconds) - time.monotonic()


def too_large(most: int) -> Refused:
    """Return the refusal (413) of a body that is longer than `most` bytes."""
    return Refused(413, f"The body is longer than {most} bytes; send less, or send it in parts.")
