"""The relay: turn outbox entries into deliveries, and publish deliveries as Celery messages.

Any number of relays may run at once: each locks the rows that it claims, and the others skip locked
rows. A relay may be killed at any moment, since its memory holds only caches. Deliveries that it
committed but did not publish fall due again within seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from eventbook.brokers.broker import Broker, BrokerDown
from eventbook.database.listener import Listener
from eventbook.database.statements import execute, is_timeout, plan
from eventbook.declare.handlers import all_handlers, handlers
from eventbook.declare.queues import QueuePolicy, all_policies
from eventbook.deliveries import states
from eventbook.deliveries.controls import paused_queues
from eventbook.deliveries.states import Pending
from eventbook.deliveries.subscriptions import catch_up, subscribe
from eventbook.models import Priority
from eventbook.observe import counters
from eventbook.observe.failures import connection_error, name_of
from eventbook.observe.vitals import Pulse
from eventbook.relay import due
from eventbook.relay.expansion import Columns, array_parameters, expand
from eventbook.relay.rescue import release_expired_leases
from eventbook.relay.scan_start import ScanStart
from eventbook.relay.traced import relayed

logger = logging.getLogger(__name__)

CLAIM_LIMIT = 2_000  # interactive outbox entries claimed in one step
BULK_LIMIT = 200  # bulk entries in one step; small, since interactive events wait for its end
DUE_MESSAGES = 20  # messages of due deliveries published in one step, for each lane
IDLE_SECONDS = 0.5  # between two polls of the broker, and of the outbox without a notification
DUE_SECONDS = 0.5  # between two polls for pauses, retries, lost messages and expired leases
# After a step with several events, wait this long for each of them: under load the next batch is
# then larger, and each event costs less. After a single event there is no such wait.
GATHER_SECONDS = 0.0012
GATHER_LIMIT = 0.1  # the longest such wait
GATHERED = 256  # after a step with this many events, don't wait for more
# An advisory lock, held while the relay polls without notifications: writers who see it held skip
# NOTIFY, which would serialize their commits (events/migrations/0005).
AWAKE = 7310579
LAST_LOOK_SECONDS = 0.03  # from releasing that lock until writers who saw it held have committed
LOOK_SECONDS = 0.05  # between two polls of the broker's queue lengths, if a lane may be half full
ASIDE_SECONDS = 0.01  # housekeeping waits this long after a single event: workers get the CPU
OUTAGE_SECONDS = 1.0  # between attempts while the broker or PostgreSQL is down
CATCH_UP_SECONDS = 15.0  # between two checks for deliveries that an older release left out

Depths = dict[tuple[str, Priority], int]


@dataclass
class Relay:
    """The main loop of a relay process; `stop` makes `run` return after the current step."""

    broker: Broker = field(default_factory=Broker)
    stopped: threading.Event = field(default_factory=threading.Event)
    pulse: Pulse = field(default_factory=Pulse)
    # Where polls of the outbox and for due deliveries begin.
    _outbox: ScanStart = field(default_factory=ScanStart)
    _due: ScanStart = field(default_factory=ScanStart)
    _depths: Depths = field(default_factory=dict)
    _paused: frozenset[str] = frozenset()
    _looked: float = 0.0
    _next_due: float = 0.0
    _stood_aside: bool = False  # the last step postponed housekeeping
    _next_catch_up: float = 0.0
    # The handlers as arguments of `expand`, and the policies and lanes with room behind them.
    _handlers: Columns = field(default_factory=dict)
    _known: tuple[Any, Any] = (None, None)
    _subscribed: bool = False
    _awake: bool = False
    # About the last step: its interactive events; whether bulk work, or any work, is left.
    _arrived: int = 0
    _has_bulk: bool = False
    _has_backlog: bool = False

    def run(self) -> None:
        """Run steps until `stop` is called; retry once a second while a server is down."""
        listener = Listener("outbox")
        while not self.stopped.is_set():
            with self._outages():
                self.step()
                self.pulse.progress()
                counters.flush(older_than=counters.FLUSH_SECONDS)
                if self._has_backlog:
                    continue
                if 1 < self._arrived < GATHERED:
                    self._stay_awake()
                    self.stopped.wait(min(self._arrived * GATHER_SECONDS, GATHER_LIMIT))
                    longest = 0.0
                else:
                    # Events committed since the step began have sent a notification, except those
                    # whose writers saw the relay awake: a poll soon after finds these.
                    longest = LAST_LOOK_SECONDS if self._fall_asleep() else IDLE_SECONDS
                    if self._stood_aside:
                        longest = ASIDE_SECONDS
                if states.DUE_NOW in listener.wait(longest):
                    self._next_due = 0.0
        counters.flush()
        listener.close()
        self.broker.close()

    def stop(self) -> None:
        """Make `run` return after the current step."""
        self.stopped.set()

    def step(self) -> int:
        """Relay the present outbox entries, do due housekeeping, and return the entries' number."""
        plan(lean=True)
        self._subscribe()
        if not self._depths:
            self._look_at_broker()
            self._paused = paused_queues()
            logger.info("relay.broker_connected")
        many = self._has_backlog or self._arrived >= GATHERED
        entries = 0
        if self._has_bulk:
            # Interactive events that came during the last step must not wait for more bulk work.
            entries = self._expand(many=False, bulk_limit=0)
        self._has_backlog = self._has_bulk = False
        entries += self._expand(many=many)
        if time.monotonic() >= min(self._next_due, self._next_look, self._next_catch_up):
            self._stood_aside = not self._stood_aside and entries == self._arrived == 1
            if not self._stood_aside:
                self._look_around()
        return entries

    def _look_around(self) -> None:
        """Do the housekeeping whose time has come: due deliveries, catch-up, queue lengths."""
        if (now := time.monotonic()) >= self._next_due:
            self._next_due = now + DUE_SECONDS
            self._paused = paused_queues()
            self._rescue()
            self._publish_due()
        if now >= self._next_catch_up:
            self._next_catch_up = now + CATCH_UP_SECONDS
            if missed := catch_up():
                logger.warning("deliveries.caught_up", extra={"count": missed})
        # Last, so that this round trip delays no message.
        if time.monotonic() >= self._next_look:
            self._look_at_broker()

    def _rescue(self) -> None:
        if rescued := release_expired_leases():
            counters.count("leases_rescued_total", rescued)

    def _look_at_broker(self) -> None:
        """Read each lane's length from the broker; `_publish` adds to it until the next time."""
        self._depths = self.broker.depths(list(all_policies()))
        self._looked = time.monotonic()

    @property
    def _next_look(self) -> float:
        """Return when to read the queue lengths next: sooner if a lane may be half full."""
        policies, depths = all_policies(), self._depths.items()
        full = any(2 * depth >= policies[queue].high_water for (queue, _), depth in depths)
        return self._looked + (LOOK_SECONDS if full else IDLE_SECONDS)

    def _stay_awake(self) -> None:
        """Take the `AWAKE` lock, so that writers stop notifying."""
        if not self._awake:
            ((self._awake,),) = execute("SELECT pg_try_advisory_lock(%s)", [AWAKE]).rows

    def _fall_asleep(self) -> bool:
        """Release the `AWAKE` lock, so that writers notify; return whether it was held."""
        was_awake, self._awake = self._awake, False
        if was_awake:
            execute("SELECT pg_advisory_unlock(%s)", [AWAKE])
        return was_awake

    def _subscribe(self) -> None:
        """Record the handlers of this release as subscribed, once in the process's life."""
        if not self._subscribed:
            if new := subscribe():
                logger.info("handlers.subscribed", extra={"handlers": new})
            self._subscribed = True

    def _expand(self, *, many: bool, bulk_limit: int = BULK_LIMIT) -> int:
        """Turn outbox entries into deliveries, publish these, and note what is left to do."""
        began = time.time_ns()
        columns = self._columns()
        entries, pending = expand(
            columns, self._outbox, limit=CLAIM_LIMIT, bulk_limit=bulk_limit, many=many
        )
        self._arrived = entries[Priority.INTERACTIVE]
        self._has_bulk = entries[Priority.BULK] == bulk_limit > 0
        if self._arrived == CLAIM_LIMIT or self._has_bulk:
            self._has_backlog = True
        for lane in sorted(Priority, reverse=True):
            made = [delivery for delivery in pending if delivery.priority == lane]
            self._publish(made, lane, expanding_since=began)
        return entries.total()

    def _columns(self) -> Columns:
        """Return the handlers for `expand`; rebuild when policies or lanes with room change."""
        policies = all_policies()
        has_room = frozenset(place for place in self._depths if self._room(*place) > 0)
        if self._known != (policies, has_room):
            lanes = [
                (handler, lane, policies[handler.queue], (handler.queue, lane) in has_room)
                for handler in all_handlers()
                for lane in Priority
            ]
            self._known, self._handlers = (policies, has_room), array_parameters(lanes)
        return self._handlers

    def _publish_due(self) -> None:
        """Publish due deliveries where the broker has room, in each queue interactive ones first.

        Only a short queue is swept for lost messages: in a long one they may still be waiting.
        """
        waiting = due.lanes(list(all_policies()), self._due)
        for policy in all_policies().values():
            names = [name for name, handler in handlers.items() if handler.queue == policy.name]
            for lane in sorted(Priority, reverse=True):
                room = self._room(policy.name, lane)
                if names and room > 0 and (since := waiting.get((policy.name, lane))):
                    short = room >= policy.high_water * 3 // 4
                    self._publish_lane(policy, names, lane, room, sweep=short, since=since)

    def _publish_lane(
        self,
        policy: QueuePolicy,
        names: list[str],
        lane: Priority,
        room: int,
        *,
        sweep: bool,
        since: float,
    ) -> None:
        """Publish a lane's due deliveries; poll again at once if a whole batch was due."""
        pending = due.claim_due(
            policy,
            priority=lane,
            handlers=names,
            sweep=sweep,
            since=since,
            limit=min(room, DUE_MESSAGES) * policy.largest_batch(lane),
        )
        if swept := sum(delivery.swept for delivery in pending):
            logger.warning("deliveries.swept", extra={"queue": policy.name, "count": swept})
            counters.count("deliveries_swept_total", swept)
        self._publish(pending, lane)
        if len(pending) >= policy.largest_batch(lane):
            self._next_due, self._has_backlog = 0.0, True

    def _publish(
        self, pending: list[Pending], lane: Priority, *, expanding_since: int | None = None
    ) -> None:
        """Publish deliveries; if the broker is down, make them due at once and raise BrokerDown."""
        if not pending:
            return
        tell = partial(relayed, pending, expanding_since, time.time_ns())
        try:
            for queue, messages in self.broker.publish(pending, priority=lane).items():
                self._depths[queue, lane] += messages
                counters.count("messages_published_total", messages, queue=queue)
        except BrokerDown as error:
            swept = [delivery.id for delivery in pending if delivery.swept]
            states.reopen([delivery.id for delivery in pending], suspect=swept)
            logger.warning("relay.publish_failed", extra={"count": len(pending)})
            tell(failed=name_of(error))
            raise
        tell()

    def _room(self, queue: str, lane: Priority) -> int:
        """Return how many more messages a lane may hold in the broker; 0 if its queue is paused."""
        if queue in self._paused:
            return 0
        return all_policies()[queue].high_water - self._depths[queue, lane]

    @contextmanager
    def _outages(self) -> Iterator[None]:
        """Log an outage of the broker or PostgreSQL, and wait before the next attempt."""
        try:
            yield
        except BrokerDown as error:
            self._depths = {}  # so that the next step reads them before it claims an entry
            self.pulse.wait_for("the broker")
            logger.warning("relay.broker_down", extra={"error": connection_error(error)})
            self.stopped.wait(OUTAGE_SECONDS)
        except (OperationalError, InterfaceError) as error:
            if not is_timeout(error):
                self.pulse.wait_for("the database")
            logger.warning("relay.database_down", extra={"error": connection_error(error)})
            connection.close()
            self._awake = False
            self.stopped.wait(OUTAGE_SECONDS)
