"""One open stream: its owner, its cursor, and the events that wait to be sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum, auto

from eventbook.stream import cursors
from eventbook.stream.cursors import Moment

# A client that reconnects within this time misses nothing; a later one must read the pages again.
KEPT_SECONDS = 15 * 60
RETRY_MS = 2000
# The size of the send buffer, in pieces. If a slow client's is full, its stream is cut; it can
# reconnect.
MAX_WAITING = 500

END = b""
END_SECONDS = 1.0  # how long the rest of the buffer may take to send at the end

Send = Callable[[bytes], Awaitable[None]]


class Phase(Enum):
    """How far a stream has got. Only a live one has had its first poll."""

    NEW = auto()  # has no start yet
    # Sends nothing in its first poll: a new client reads the existing rows from the API's pages.
    JOINING = auto()
    RESUMING = auto()  # sends in its first poll what the client missed since its cursor
    LIVE = auto()


class Stream:
    """A stream of server-sent events: the hub's thread polls for events, an event loop sends them.

    `last_event_id` is the client's cursor, or "" for a new client.
    """

    def __init__(self, *, person_id: int, credential: str, last_event_id: str = "") -> None:
        self.person_id, self.credential = person_id, credential
        self.last_event_id = last_event_id
        self.horizon = 0
        self.at = 0.0
        self.phase = Phase.NEW
        # The transactions of the row versions that were sent, by mark (cursors.py).
        self.sent_marks: dict[str, int] = {}
        # The same for versions that a reset or a page covers; they count from this poll's end on.
        self._covered_marks: dict[str, int] = {}
        self.resets_due: set[str] = set()  # sources to report as a reset at the end of this poll
        self.sent, self.opened_at = 0, time.monotonic()
        self.sent_at = self.opened_at
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._pump: asyncio.Future[None] | None = None

    # -- in the hub's thread ---------------------------------------------------------------------

    @property
    def cursor(self) -> str:
        """Return the cursor as text, for the client to send when it reconnects."""
        return cursors.format_cursor(self.horizon, self.at, self.sent_marks)

    def begin(self, now: Moment) -> bool:
        """Start at the client's cursor, or now if the client has none, or one that can't be used.

        Return whether the client misses nothing: False if it has a cursor that can't be used.
        """
        kept = cursors.parse_cursor(self.last_event_id)
        if kept and kept.horizon <= now.horizon and now.at - KEPT_SECONDS <= kept.at <= now.at + 1:
            self.horizon, self.at = kept.horizon, float(kept.at)
            # A cursor does not have the transactions of its marks, but all are below `next_xid`.
            self.sent_marks = dict.fromkeys(kept.marks, now.next_xid)
            self.phase = Phase.RESUMING
            return True
        self.horizon, self.at, self.phase = now.horizon, now.at, Phase.JOINING
        return not self.last_event_id

    def is_unsent(self, xid: int, mark: str) -> bool:
        """Return whether a row version was not sent yet; `xid` is its transaction."""
        return xid >= self.horizon and mark not in self.sent_marks

    def mark_without_sending(self, xid: int, mark: str) -> None:
        """Count a row version as sent from the end of this poll on: a reset or a page covers it.

        If it counted earlier, the cursors of events sent before the reset would include it, and a
        client that disconnects in between would never get the reset.
        """
        self._covered_marks[mark] = xid

    def send_event(self, kind: str, data: bytes) -> None:
        """Send an event; its id is the cursor, which includes this event and all before it."""
        head = f"event: {kind}\nid: {self.cursor}\ndata: "
        self.sent += 1
        self.send(head.encode() + data + b"\n\n")

    def end_poll(self, start: Moment, *, full: bool) -> None:
        """End a poll: send the resets and, after a full one, move the horizon to its start.

        The first poll of a stream must be a full one.
        """
        self.sent_marks |= self._covered_marks
        self._covered_marks.clear()
        if self.resets_due:
            self.send_event("reset", json.dumps({"events": sorted(self.resets_due)}).encode())
            self.resets_due.clear()
        if full:
            self.horizon, self.at = start.horizon, start.at
            kept = {mark: xid for mark, xid in self.sent_marks.items() if xid >= self.horizon}
            self.sent_marks = kept
        if self.phase is not Phase.LIVE:
            self.phase = Phase.LIVE
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
