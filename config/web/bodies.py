"""Taking the body of a request in the event loop, within bounds of size, time and rate.

Nothing else waits for a body: a thread gets it when it is complete.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, MutableMapping
from tempfile import TemporaryFile
from typing import IO, Any

from config.web.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

RETRY_AFTER_SECONDS = 5


class Refused(Exception):
    """The server does not take this request; `status` and the message say why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class Budget:
    """The bytes of all bodies that a process holds, whether in memory or on disk."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.in_memory = self.total = 0

    def open(self) -> Body:
        """Return an empty body; its holder must close it."""
        return Body(self)


class Body:
    """The body of one request."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.size, self.in_memory = budget, 0, 0
        self.file: IO[bytes] = io.BytesIO()
        self.is_on_disk = False

    def write(self, piece: bytes) -> None:
        """Add a piece; raise Refused if this process holds as much as it may."""
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
        """Give its bytes back."""
        self._forget_memory()
        self.budget.total -= self.size
        self.size = 0
        self.file.close()


async def take(receive: Receive, body: Body, *, most: int, declared: int | None) -> None:
    """Fill the body from the client.

    Raise Refused when it is larger than `most` or comes too slowly, ClientGone when it breaks off.
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
            f"The body came too slowly: {body.size} bytes in {time.monotonic() - began:.0f} "
            f"seconds. Send at least {limits.body_bytes_per_second} bytes a second.",
        ) from None
    body.file.seek(0)


def allowed(size: int, began: float, limits: Limits) -> float:
    """Return the seconds that a client still has, who has sent so many bytes."""
    by_rate = limits.body_grace_seconds + size / limits.body_bytes_per_second
    return began + min(by_rate, limits.body_seconds) - time.monotonic()


def too_large(most: int) -> Refused:
    """Return the refusal of a body that is longer than so many bytes."""
    return Refused(413, f"The body is longer than {most} bytes; send less, or send it in parts.")
