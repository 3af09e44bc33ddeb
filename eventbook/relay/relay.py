"""The relay: turn outbox entries into deliveries, and publish deliveries as Celery messages.

Any number of relays may run at once: each locks the rows that it claims, and the others skip locked
rows. A relay may be killed at any moment, since its memory holds only caches. Deliveries that a
killed relay committed but did not publish are due again after their queue's `redelivery_seconds`.
A *lane* is the messages of one priority in a queue.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import product

from django.db import InterfaceError, OperationalError, connection

from eventbook.brokers.broker import Broker, BrokerDown, Lane, open_broker
from eventbook.database.listener import Listener
from eventbook.database.statements import execute, is_timeout, plan
from eventbook.declare.queues import all_policies
from eventbook.deliveries import states
from eventbook.deliveries.controls import paused_queues
from eventbook.deliveries.states import Pending
from eventbook.deliveries.subscriptions import catch_up, subscribe
from eventbook.models import Priority
from eventbook.observe import counters
from eventbook.observe.failures import connection_error, name_of
from eventbook.observe.vitals import BROKER, DATABASE, Pulse
from eventbook.relay import due
from eventbook.relay.expansion import ArrayParameters, array_parameters, expand, expand_due
from eventbook.relay.rescue import release_expired_leases
from eventbook.relay.rhythm import (
    BULK_LIMIT,
    BUSY_DEPTHS_SECONDS,
    CLAIM_LIMIT,
    IDLE_SECONDS,
    LAST_POLL_SECONDS,
    SHORTEST_DUE_SECONDS,
    Rhythm,
)
from eventbook.relay.scan_start import ScanStart
from eventbook.relay.spans import record_spans

logger = logging.getLogger(__name__)

DUE_MESSAGES = 20  # messages of due deliveries published in one step, for each lane
OUTAGE_SECONDS = 1.0  # between attempts while the broker or PostgreSQL is down
# An advisory lock, held while the relay polls without notifications: writers who see it held skip
# NOTIFY, which would serialize their commits (eventbook/migrations/0002).
POLLING_LOCK = 7310579


@dataclass
class Relay:
    """The main loop of a relay process; `stop` makes `run` return after the current step."""

    broker: Broker = field(default_factory=open_broker)
    stopped: threading.Event = field(default_factory=threading.Event)
    pulse: Pulse = field(default_factory=Pulse)
    rhythm: Rhythm = field(default_factory=Rhythm)
    # Where polls of the outbox begin.
    _outbox_start: ScanStart = field(default_factory=ScanStart)
    # Where polls for events whose time has come begin.
    _waiting_start: ScanStart = field(default_factory=ScanStart)
    # Where polls for due deliveries begin.
    _due_start: ScanStart = field(default_factory=ScanStart)
    # The number of messages in each lane: read from the broker, plus those published since.
    _depths: dict[Lane, int] = field(default_factory=dict)
    _paused: frozenset[str] = frozenset()
    # `array_parameters`, cached, since the lanes with room in the broker rarely change.
    _handlers: Callable[[frozenset[Lane]], ArrayParameters] = field(
        default_factory=lambda: lru_cache(maxsize=16)(array_parameters)
    )
    _subscribed: bool = False
    _notifications_stopped: bool = False

    def run(self) -> None:
        """Run steps until `stop` is called; retry once a second while a server is down."""
        listener = Listener("outbox")
        while not self.stopped.is_set():
            with self._outages():
                self.step()
                self.pulse.progress()
                counters.flush(older_than=counters.FLUSH_SECONDS)
                if not self.rhythm.work_is_left:
                    self._wait(listener)
        counters.flush()
        listener.close()
        self.broker.close()

    def stop(self) -> None:
        """Make `run` return after the current step."""
        self.stopped.set()

    def _wait(self, listener: Listener) -> None:
        """Wait before the next step: for more events under load, else for a notification."""
        seconds = 0.0
        until_due = self.rhythm.due_timer.seconds_left
        if gather := self.rhythm.gather_seconds:
            self._stop_notifications()
            self.stopped.wait(min(gather, until_due))
        elif self._allow_notifications():
            # Writers who saw the lock have sent no notification: poll once more for their events.
            seconds = LAST_POLL_SECONDS
        else:
            seconds = min(IDLE_SECONDS, until_due)
        if states.DUE_NOW in listener.wait(seconds):
            self.rhythm.due_timer.expire()

    def _stop_notifications(self) -> None:
        """Take POLLING_LOCK, unless another relay holds it, so that writers stop notifying."""
        if not self._notifications_stopped:
            ((was_free,),) = execute("SELECT pg_try_advisory_lock(%s)", [POLLING_LOCK]).rows
            self._notifications_stopped = was_free

    def _allow_notifications(self) -> bool:
        """Release POLLING_LOCK, so that writers notify; return whether this relay held it."""
        was_held, self._notifications_stopped = self._notifications_stopped, False
        if was_held:
            execute("SELECT pg_advisory_unlock(%s)", [POLLING_LOCK])
        return was_held

    def step(self) -> int:
        """Expand outbox entries, do the housekeeping that is due; return the number of entries."""
        plan(lean=True)
        self._subscribe()
        if not self._depths:
            self._read_depths()
            self._paused = paused_queues()
            logger.info("relay.broker_connected")
        overtaking = 0
        if self.rhythm.bulk_is_left:
            # Interactive events that came during the last step must not wait for more bulk work.
            overtaking = self._expand(many=False, bulk_limit=0).total()
        entries = self._expand(many=self.rhythm.is_busy)
        self.rhythm.note_claimed(entries)
        self._do_housekeeping()
        return overtaking + entries.total()

    def _subscribe(self) -> None:
        """Store this release's handlers as subscribed, once per process."""
        if not self._subscribed:
            if new := subscribe():
                logger.info("handlers.subscribed", extra={"handlers": new})
            self._subscribed = True

    def _expand(self, *, many: bool, bulk_limit: int = BULK_LIMIT) -> Counter[int]:
        """Turn outbox entries into deliveries, and publish the deliveries whose lane has room.

        Return the number of entries by priority.
        """
        began = time.time_ns()
        entries, pending = expand(
            self._handlers_now(),
            self._outbox_start,
            limit=CLAIM_LIMIT,
            bulk_limit=bulk_limit,
            many=many,
        )
        self._publish_created(pending, began)
        return entries

    def _expand_due(self) -> None:
        """Turn the outbox entries of events whose time has come into deliveries, as `_expand`."""
        began = time.time_ns()
        entries, pending = expand_due(self._handlers_now(), self._waiting_start, limit=CLAIM_LIMIT)
        self._publish_created(pending, began)
        if entries.total() == CLAIM_LIMIT:
            self.rhythm.due_timer.expire()
            self.rhythm.work_is_left = True

    def _look_ahead(self) -> None:
        """Poll again as soon as the next event or retry is due that waits for its time."""
        seconds = due.seconds_to_next(list(all_policies()))
        if seconds is not None:
            self.rhythm.due_timer.shorten(max(seconds, SHORTEST_DUE_SECONDS))

    def _handlers_now(self) -> ArrayParameters:
        """Return the handlers as parameters for an expansion, with the lanes that have room."""
        return self._handlers(frozenset(lane for lane in self._depths if self._room(*lane) > 0))

    def _publish_created(self, pending: list[Pending], began: int) -> None:
        """Publish the deliveries of an expansion that began at `began`, interactive ones first."""
        for priority in sorted(Priority, reverse=True):
            created = [delivery for delivery in pending if delivery.priority == priority]
            self._publish(created, priority, expanding_since=began)

    def _room(self, queue: str, priority: Priority) -> int:
        """Return how many more messages a lane may hold in the broker; 0 if its queue is paused."""
        if queue in self._paused:
            return 0
        return all_policies()[queue].high_water - self._depths[queue, priority]

    def _publish(
        self, pending: list[Pending], priority: Priority, *, expanding_since: int | None = None
    ) -> None:
        """Publish deliveries; if the broker is down, make them due at once and raise BrokerDown."""
        if not pending:
            return
        trace = partial(record_spans, pending, expanding_since, time.time_ns())
        try:
            for queue, messages in self.broker.publish(pending, priority=priority).items():
                self._depths[queue, priority] += messages
                counters.count("messages_published_total", messages, queue=queue)
        except BrokerDown as error:
            swept = [delivery.id for delivery in pending if delivery.swept]
            states.reopen([delivery.id for delivery in pending], suspect=swept)
            logger.warning("relay.publish_failed", extra={"count": len(pending)})
            trace(failed=name_of(error))
            raise
        trace()

    def _do_housekeeping(self) -> None:
        """Release expired leases, publish due deliveries, create missed ones, read lane lengths."""
        rhythm = self.rhythm
        if rhythm.due_timer.is_due():
            rhythm.due_timer.restart()
            self._paused = paused_queues()
            if released := release_expired_leases():
                counters.count("leases_rescued_total", released)
            self._expand_due()
            self._publish_due()
            self._look_ahead()
        if rhythm.catch_up_timer.is_due():
            rhythm.catch_up_timer.restart()
            if missed := catch_up():
                logger.warning("deliveries.caught_up", extra={"count": missed})
        # Last, so that this round trip delays no message.
        if self._depths_are_due():
            self._read_depths()

    def _depths_are_due(self) -> bool:
        """Return whether to read the lanes' lengths: sooner if a lane may be half full."""
        policies, depths = all_policies(), self._depths.items()
        half_full = any(2 * depth >= policies[queue].high_water for (queue, _), depth in depths)
        return self.rhythm.depths_timer.is_due(BUSY_DEPTHS_SECONDS if half_full else None)

    def _read_depths(self) -> None:
        """Read each lane's length from the broker; `_publish` adds to it until the next reading."""
        self._depths = self.broker.depths(list(all_policies()))
        self.rhythm.depths_timer.restart()

    def _publish_due(self) -> None:
        """Publish due deliveries in lanes with room; in each queue, the interactive lane first.

        Lost messages are published again (*swept*) while the lane is short: in a long lane, they
        may still be waiting. If a whole batch was due, more may be: the next step begins at once.
        """
        first_due = due.first_due(list(all_policies()), self._due_start)
        for policy, priority in product(all_policies().values(), sorted(Priority, reverse=True)):
            since = first_due.get((policy.name, priority))
            room = self._room(policy.name, priority)
            if since is None or room <= 0:
                continue
            batch = policy.largest_batch(priority)
            pending = due.claim_due(
                policy,
                priority=priority,
                since=since,
                sweep=room >= policy.high_water * 3 // 4,
                limit=min(room, DUE_MESSAGES) * batch,
            )
            if swept := sum(delivery.swept for delivery in pending):
                logger.warning("deliveries.swept", extra={"queue": policy.name, "count": swept})
                counters.count("deliveries_swept_total", swept)
            self._publish(pending, priority)
            if len(pending) >= batch:
                self.rhythm.due_timer.expire()
                self.rhythm.work_is_left = True

    @contextmanager
    def _outages(self) -> Iterator[None]:
        """Log an outage of the broker or PostgreSQL, and wait before the next attempt."""
        try:
            yield
        except BrokerDown as error:
            self._depths = {}  # so that the next step reads them before it claims an entry
            self.pulse.wait_for(BROKER)
            logger.warning("relay.broker_down", extra={"error": connection_error(error)})
            self.stopped.wait(OUTAGE_SECONDS)
        except (OperationalError, InterfaceError) as error:
            if not is_timeout(error):
                self.pulse.wait_for(DATABASE)
            logger.warning("relay.database_down", extra={"error": connection_error(error)})
            connection.close()
            self._notifications_stopped = False
            self.stopped.wait(OUTAGE_SECONDS)
