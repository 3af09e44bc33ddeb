"""Receive request bodies in the event loop, within limits of size, time and rate.

Only the event loop waits for a body. A thread gets the request once its body is complete.
"""

from __future__ import annotations

import asyncio
import io
import logging
import time
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO

from server.asgi import Receive
from server.limits import Limits

logger = logging.getLogger(__name__)
FULL = "The server is receiving as much as it can hold; try again soon."


class RequestRefused(Exception):
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


class Body:
    """The body of one request: `file` has it in memory or, if it is large, on disk.

    It counts towards the budget until it is closed.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget, self.size, self.in_memory = budget, 0, 0
        self.file: IO[bytes] = io.BytesIO()
        self.is_on_disk = False

    def write(self, piece: bytes) -> None:
        """Append a piece; raise RequestRefused (503) if all bodies would exceed the limit.

        Raise OSError if the disk has no room.
        """
        budget, limits = self.budget, self.budget.limits
        if budget.total + len(piece) > limits.bodies_bytes:
            raise RequestRefused(503, FULL)
        self.size += len(piece)
        budget.total += len(piece)
        is_large = self.size > limits.body_spool_bytes
        if is_large or budget.in_memory + len(piece) > limits.bodies_memory_bytes:
            self._move_to_disk()
        self.file.write(piece)
        if not self.is_on_disk:
            self.in_memory += len(piece)
            budget.in_memory += len(piece)

    def _move_to_disk(self) -> None:
        """Move the body from memory to a temporary file."""
        if self.is_on_disk:
            return
        self.file.seek(0)
        start = self.file.read()
        self.file, self.is_on_disk = TemporaryFile(), True  # noqa: SIM115 - `close` closes it
        self.file.write(start)
        self._release_memory()

    def _release_memory(self) -> None:
        self.budget.in_memory -= self.in_memory
        self.in_memory = 0

    def close(self) -> None:
        """Discard the body, and release its bytes in the budget."""
        self._release_memory()
        self.budget.total -= self.size
        self.size = 0
        with suppress(OSError):  # the disk has no room for the last bytes, which nobody needs now
            self.file.close()


async def receive_body(
    receive: Receive, body: Body, *, max_bytes: int, declared: int | None
) -> None:
    """Receive the whole body from the client.

    `declared` is the request's Content-Length. Raise RequestRefused if the body is too large
    (413), too slow (408) or finds no room (503), and ClientGone if the client disconnects.
    """
    limits = body.budget.limits
    if declared is not None and declared > max_bytes:
        raise too_large(max_bytes)
    began = time.monotonic()
    try:
        async with asyncio.timeout(limits.body_grace_seconds) as deadline:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                piece = message.get("body", b"")
                if body.size + len(piece) > max_bytes:
                    raise too_large(max_bytes)
                body.write(piece)
                if not message.get("more_body", False):
                    break
                deadline.reschedule(
                    asyncio.get_running_loop().time() + seconds_left(body.size, began, limits)
                )
        body.file.seek(0)
    except TimeoutError:
        raise RequestRefused(
            408,
            f"The body arrived too slowly: {body.size} bytes in {time.monotonic() - began:.0f} "
            f"seconds. Send at least {limits.body_bytes_per_second} bytes a second.",
        ) from None
    except OSError as error:
        logger.exception("request.failed")
        raise RequestRefused(503, FULL) from error


def seconds_left(size: int, began: float, limits: Limits) -> float:
    """Return the seconds left for a body, of which `size` bytes came since `began` (monotonic)."""
    by_rate = limits.body_grace_seconds + size / limits.body_bytes_per_second
    return began + min(by_rate, limits.body_seconds) - time.monotonic()


def too_large(max_bytes: int) -> RequestRefused:
    """Return the refusal (413) of a body that is longer than `max_bytes`."""
    return RequestRefused(
        413, f"The body is longer than {max_bytes} bytes; send less, or send it in parts."
    )
