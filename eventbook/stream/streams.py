"""One open stream: its owner, its cursor, and the events that wait to be sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from eventbook.stream import cursors
from eventbook.stream.cursors import Moment

# A client that reconnects within this time misses nothing; a later one must read the pages again.
KEPT_SECONDS = 15 * 60
RETRY_MS = 2000
# The size of the send buffer, in pieces. If a slow client's is full, its stream is cut; it can
# reconnect.
MOST_WAITING = 500

END = b""
END_SECONDS = 1.0  # how long the rest of the buffer may take to send at the end

Send = Callable[[bytes], Awaitable[None]]


class Stream:
    """A stream of server-sent events: the hub's thread polls for events, an event loop sends them.

    `last_event_id` is the client's cursor, or "" for a new client.
    """

    def __init__(self, *, person_id: int, credential: str, last_event_id: str = "") -> None:
        self.person_id, self.credential = person_id, credential
        self.last_event_id = last_event_id
        self.horizon = 0
        self.at = 0.0
        # Marks of the row versions that were sent, each with its transaction.
        self.told: dict[str, int] = {}
        # begun: has a start; settled: has had its first poll; silent: sends nothing in its first
        # poll, since a new client reads the existing rows from the API's pages.
        self.begun = self.settled = self.silent = False
        # Sources to report as a reset, and the marks of the row versions that the reset covers.
        self.missed: set[str] = set()
        self._in_reset: dict[str, int] = {}
        self.sent, self.opened_at = 0, time.monotonic()
        self.sent_at = self.opened_at
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self._pump: asyncio.Future[None] | None = None

    # -- in the hub's thread ---------------------------------------------------------------------

    @property
    def cursor(self) -> str:
        """Return the cursor as text, for the client to send when it reconnects."""
        return cursors.written(self.horizon, self.at, self.told)

    def begin(self, now: Moment) -> bool:
        """Start at the client's cursor, or now if it has none or an old one.

        Return whether the client misses nothing: False for one whose cursor can't be used.
        """
        self.begun = True
        kept = cursors.read(self.last_event_id)
        if kept and kept.horizon <= now.horizon and now.at - KEPT_SECONDS <= kept.at <= now.at + 1:
            self.horizon, self.at = kept.horizon, float(kept.at)
            # A cursor does not have the transactions of its marks, but all are below `next`.
            self.told = dict.fromkeys(kept.told, now.next)
            return True
        self.horizon, self.at, self.silent = now.horizon, now.at, True
        return not self.last_event_id

    def is_news(self, mark: str, xid: int) -> bool:
        """Return whether a row version was not sent yet; `xid` is its transaction."""
        return xid >= self.horizon and mark not in self.told

    def note(self, marks: dict[str, int]) -> None:
        """Count row versions that a reset covers as sent, from the end of this poll on.

        Not earlier: the cursors of events sent before the reset would then include it, and a client
        that disconnects in between would never get the reset.
        """
        self._in_reset |= marks

    def tell(self, kind: str, data: bytes) -> None:
        """Send an event; its id is the cursor, which includes this event and all before it."""
        head = f"event: {kind}\nid: {self.cursor}\ndata: "
        self.sent += 1
        self.send(head.encode() + data + b"\n\n")

    def end_look(self, looked: Moment, *, full: bool) -> None:
        """End a poll: send the resets and, after a full one, move the horizon to its start."""
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
        """Send a comment that keeps the connection alive, with the current cursor."""
        self.send(f": still here\nid: {self.cursor}\n\n".encode())

    def send(self, piece: bytes) -> None:
        """Hand a piece of the response to the event loop; callable in any thread."""
        self.sent_at = time.monotonic()
        self._call(self._put, piece)

    def end(self) -> None:
        """End the stream after the pieces that wait; callable in any thread."""
        self._call(self._end)

    def _call(self, function: Callable[..., None], *arguments: bytes) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- in the event loop -----------------------------------------------------------------------

    async def run(self, send: Send, gone: Awaitable[None], *, joined: Callable[[], None]) -> None:
        """Send pieces until `gone` is done (the client has disconnected) or the stream ends.

        `joined` is called once the stream can be given pieces.
        """
        self._loop = asyncio.get_running_loop()
        self._pump = asyncio.ensure_future(self._send_all(send))
        watch = asyncio.ensure_future(gone)
        joined()
        try:
            await asyncio.wait({self._pump, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The response ends only once nothing refers to its transport any more.
            self._pump.cancel()
            watch.cancel()
            self._pump = None

    async def _send_all(self, send: Send) -> None:
        """Send pieces as they come, until END."""
        # A stored CancelledError would refer to this frame, and so keep the transport alive.
        with suppress(asyncio.CancelledError):
            while piece := await self._waiting.get():
                await send(piece)

    def _put(self, piece: bytes) -> None:
        """Add a piece to the buffer; cut the stream if the buffer is full."""
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
