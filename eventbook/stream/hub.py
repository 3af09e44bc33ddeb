"""The hub: all open streams of one web process, and the one thread that polls for them."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from heapq import nsmallest

from django.db import DatabaseError, InterfaceError, connection

from eventbook.observe.failures import connection_error
from eventbook.observe.vitals import Vitals
from eventbook.stream.polling import Render, poll
from eventbook.stream.streams import Phase, Send, Stream

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # between two polls
CHECK_SECONDS = 5.0  # between two checks of the streams' credentials
HEARTBEAT_SECONDS = 15.0
# The number of streams that get a full poll (polling.py) at once; all streams take turns.
FULL_POLLS_AT_ONCE = 100

# Returns those of the given credentials that are still valid.
StillValid = Callable[[Collection[str]], set[str]]


class TooManyStreams(Exception):
    """This person has as many open streams as one person may have: close one first."""


class ProcessFull(Exception):
    """This process holds as many streams as it can, or is stopping; another may have room."""


class Hub:
    """All open streams of this process.

    `still_valid` returns the credentials that are still valid. `render` turns data into JSON. At
    most `per_person` streams of one person, and `most` in all, may be open.
    """

    def __init__(
        self, *, still_valid: StillValid, render: Render, per_person: int, most: int, vitals: Vitals
    ) -> None:
        self._still_valid, self._render, self._vitals = still_valid, render, vitals
        self._per_person, self._most = per_person, most
        self._lock = threading.Lock()
        self._held: Counter[int] = Counter()
        self._open: dict[Stream, None] = {}
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = self._database_down = False
        self._next_poll = self._next_check = 0.0

    def admit(self, *, person_id: int, credential: str, last_event_id: str) -> Stream:
        """Return a new stream, which the caller must `run` or `leave`.

        Raise TooManyStreams or ProcessFull.
        """
        with self._lock:
            if self._closing or self._held.total() >= self._most:
                raise ProcessFull
            if self._held[person_id] >= self._per_person:
                raise TooManyStreams
            self._count(person_id, 1)
        return Stream(person_id=person_id, credential=credential, last_event_id=last_event_id)

    def leave(self, stream: Stream) -> None:
        """Remove a stream that has ended."""
        with self._lock:
            self._open.pop(stream, None)
            self._count(stream.person_id, -1)

    def _count(self, person_id: int, number: int) -> None:
        """Add `number` to the count of a person's streams; the caller holds the lock."""
        self._held[person_id] += number
        if not self._held[person_id]:
            del self._held[person_id]
        self._vitals.streams = self._held.total()

    async def run(self, stream: Stream, send: Send, gone: Awaitable[None]) -> None:
        """Send a stream's events until it ends; called in the event loop."""
        try:
            await stream.run(send, gone, joined=lambda: self._join(stream))
        finally:
            self.leave(stream)

    def _join(self, stream: Stream) -> None:
        """Add a stream to those that are polled, and wake or start the thread."""
        with self._lock:
            if self._closing:
                stream.end()
                return
            self._open[stream] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True, name="stream")
                self._thread.start()
        self._woken.set()

    def close(self) -> None:
        """End all streams and admit no more, because the process is stopping."""
        # Without the lock: this runs in a signal handler, and the interrupted code may hold it.
        self._closing = True
        for stream in list(self._open):
            stream.end()

    # -- the thread ------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Poll for the open streams for ever; sleep while there are none."""
        while True:
            wait = max(0.0, self._next_poll - time.monotonic()) if self._open else None
            self._woken.wait(wait)
            self._woken.clear()
            with self._lock:
                streams = list(self._open)
            if streams:
                self._poll_or_log(streams)
                self._send_heartbeats(streams)

    def _poll_or_log(self, streams: list[Stream]) -> None:
        """Poll once; log an error instead of raising it."""
        try:
            self._poll_if_due(streams)
            self._database_down = False
        except (DatabaseError, InterfaceError) as error:
            if not self._database_down:
                logger.warning("stream.database_down", extra={"error": connection_error(error)})
            self._database_down = True
        except Exception:
            # A source that fails must not end the thread, and with it all streams.
            logger.exception("stream.look_failed")
        finally:
            # Release the connection to its pool: streams hold none between polls.
            connection.close()

    def _poll_if_due(self, streams: list[Stream]) -> None:
        """Check credentials if due; poll for all streams if a poll is due, else for new ones."""
        now = time.monotonic()
        # First: a source that fails must not keep streams of revoked credentials open.
        if now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            self._end_invalid(streams)
        if now >= self._next_poll:
            self._next_poll = now + POLL_SECONDS
            # Polling all streams fully would cost too much: take those not polled for longest.
            fully = set(nsmallest(FULL_POLLS_AT_ONCE, streams, key=lambda stream: stream.at))
            poll(streams, fully=fully, render=self._render)
        elif fresh := [stream for stream in streams if stream.phase is not Phase.LIVE]:
            poll(fresh, fully=(), render=self._render)

    def _end_invalid(self, streams: list[Stream]) -> None:
        """End the streams whose credentials are no longer valid."""
        valid = self._still_valid({stream.credential for stream in streams})
        for stream in streams:
            if stream.credential not in valid:
                stream.end()

    def _send_heartbeats(self, streams: list[Stream]) -> None:
        """Send a heartbeat to each stream that has sent nothing for HEARTBEAT_SECONDS."""
        silent_since = time.monotonic() - HEARTBEAT_SECONDS
        for stream in streams:
            if stream.sent_at < silent_since:
                stream.send_heartbeat()
