"""One open stream: whose it is, how far it is, and what waits to be sent on it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from events.stream import cursors
from events.stream.cursors import Moment

# A client that comes again within this time has missed nothing; after it, it reads the pages again.
KEPT_SECONDS = 15 * 60
RETRY_MS = 2000
# Pieces that wait for a client which doesn't take them; then it is dropped, and comes again.
MOST_WAITING = 500

END = b""
END_SECONDS = 1.0  # that a client has to take what still waits for it

Send = Callable[[bytes], Awaitable[None]]


class Stream:
    """A stream; a thread looks for what it tells, an event loop sends it."""

    def __init__(self, *, person_id: int, credential: str, last_event_id: str = "") -> None:
        self.person_id, self.credential = person_id, credential
        self.last_event_id = last_event_id
        self.horizon = 0
        self.at = 0.0
        # The mark of what was told, and the transaction that wrote it.
        self.told: dict[str, int] = {}
        # What is there when it begins is told by the pages of the API.
        self.begun = self.settled = self.silent = False
        # Sources of which more has come than was told, and the marks of what a reset tells of.
        self.missed: set[str] = set()
        self._in_reset: dict[str, int] = {}
        self.sent, self.opened_at = 0, time.monotonic()
        self.sent_at = self.opened_at
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self._pump: asyncio.Future[None] | None = None

    # -- in the thread that looks ----------------------------------------------------------------

    @property
    def cursor(self) -> str:
        """Return how far it is, for its client to keep."""
        return cursors.written(self.horizon, self.at, self.told)

    def begin(self, now: Moment) -> bool:
        """Start it where its client left off, or now; the answer is if nothing is missed."""
        self.begun = True
        kept = cursors.read(self.last_event_id)
        if kept and kept.horizon <= now.horizon and now.at - KEPT_SECONDS <= kept.at <= now.at + 1:
            self.horizon, self.at = kept.horizon, float(kept.at)
            # Which transactions wrote it is not known, but all of them had begun.
            self.told = dict.fromkeys(kept.told, now.next)
            return True
        self.horizon, self.at, self.silent = now.horizon, now.at, True
        return not self.last_event_id

    def is_news(self, mark: str, xid: int) -> bool:
        """Return whether a version of a row was not told yet."""
        return xid >= self.horizon and mark not in self.told

    def note(self, marks: dict[str, int]) -> None:
        """Take for told, from the end of this look on, what is not told row by row.

        Not before: what is sent until then would say that its client knows of the reset.
        """
        self._in_reset |= marks

    def tell(self, kind: str, data: bytes) -> None:
        """Send an event; its id says that it, and all before it, was told."""
        head = f"event: {kind}\nid: {self.cursor}\ndata: "
        self.sent += 1
        self.send(head.encode() + data + b"\n\n")

    def end_look(self, looked: Moment, *, full: bool) -> None:
        """Note that what had ended when a full look began has been told."""
        self.told |= self._in_reset
        self._in_reset.clear()
        if self.missed:
            self.tell("reset", json.dumps({"events": sorted(self.missed)}).encode())
            self.missed.clear()
        if full:
            self.horizon, self.at, self.silent = looked.horizon, looked.at, False
            self.told = {mark: xid for mark, xid in self.told.items() if xid >= self.horizon}
        if not self.settled:
            self.settled = True
            self.send(f"retry: {RETRY_MS}\nid: {self.cursor}\n\n".encode())

    def send_heartbeat(self) -> None:
        """Show that it lives, and moves the client's cursor on."""
        self.send(f": still here\nid: {self.cursor}\n\n".encode())

    def send(self, piece: bytes) -> None:
        """Hand a piece to the event loop."""
        self.sent_at = time.monotonic()
        self._call(self._put, piece)

    def end(self) -> None:
        """Close it, from any thread."""
        self._call(self._end)

    def _call(self, function: Callable[..., None], *arguments: bytes) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- in the event loop -----------------------------------------------------------------------

    async def run(self, send: Send, gone: Awaitable[None], *, joined: Callable[[], None]) -> None:
        """Send what there is until the client has gone, or it is ended."""
        self._loop = asyncio.get_running_loop()
        self._pump = asyncio.ensure_future(self._send_all(send))
        watch = asyncio.ensure_future(gone)
        joined()
        try:
            await asyncio.wait({self._pump, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The response ends when nothing refers to its transport any more.
            self._pump.cancel()
            watch.cancel()
            self._pump = None

    async def _send_all(self, send: Send) -> None:
        # An exception would refer to this frame, and so to the transport.
        with suppress(asyncio.CancelledError):
            while piece := await self._waiting.get():
                await send(piece)

    def _put(self, piece: bytes) -> None:
        try:
            self._waiting.put_nowait(piece)
        except asyncio.QueueFull:
            self._drop()

    def _end(self) -> None:
        self._put(END)
        asyncio.get_running_loop().call_later(END_SECONDS, self._drop)

    def _drop(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
