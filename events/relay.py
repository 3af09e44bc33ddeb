"""The relay: it turns outbox entries into deliveries, and deliveries into messages.

Many may run: what one has claimed is locked for the others. It keeps no state of its own, so that
it may be killed at any moment. What it had committed but not published is due again soon.
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

from events import deliveries, due
from events.broker import Broker, BrokerDown
from events.controls import paused_queues
from events.deliveries import Pending
from events.expansion import Columns, columns_of, expand
from events.failures import name_of, reason
from events.floors import Floor
from events.listener import Listener
from events.metrics import counters
from events.models import Priority
from events.processes.vitals import Pulse
from events.queues import QueuePolicy, all_policies
from events.registry import handlers, subscriptions
from events.rescue import take_back_expired
from events.sql import execute, is_refusal, plan
from events.subscriptions import catch_up, subscribe
from events.traced import relayed

logger = logging.getLogger(__name__)

CLAIM_LIMIT = 2_000  # outbox entries a step
BULK_LIMIT = 200  # of bulk work: others wait for the step's end
DUE_MESSAGES = 20  # a step, of each lane
IDLE_SECONDS = 0.5  # between looks at the outbox without a notification
DUE_SECONDS = 0.5  # between looks for pauses, retries, lost messages and expired leases
# After a step with several events, so long for each of them: when they come fast, the next batch is
# larger, and each event in it costs less. One that comes alone finds the relay waiting for it.
GATHER_SECONDS = 0.0012
GATHER_LIMIT = 0.1
GATHERED = 256  # events that are worth a batch without waiting for more
# Held while the relay looks by itself (events/migrations/0005): NOTIFY serializes commits.
AWAKE = 7310579
LAST_LOOK_SECONDS = 0.03  # after which all have committed that found it awake
LOOK_SECONDS = 0.05  # between looks at the length of the broker's queues, if one may be half full
# An event that comes alone is with its workers now: what else there is to do would take the
# processor from them, and waits so long.
ASIDE_SECONDS = 0.01
OUTAGE_SECONDS = 1.0  # between attempts while a server is down
CATCH_UP_SECONDS = 15.0  # between looks for what an older release's relay left out

Depths = dict[tuple[str, Priority], int]


@dataclass
class Relay:
    """One relay process's work; `stop` ends `run` after the step in hand."""

    broker: Broker = field(default_factory=Broker)
    stopped: threading.Event = field(default_factory=threading.Event)
    pulse: Pulse = field(default_factory=Pulse)
    _outbox: Floor = field(default_factory=Floor)
    _due: Floor = field(default_factory=Floor)
    _depths: Depths = field(default_factory=dict)
    _paused: frozenset[str] = frozenset()
    _looked: float = 0.0
    _next_due: float = 0.0
    _stood_aside: bool = False
    _next_catch_up: float = 0.0
    # The handlers, as they are given to `expand`, and what that was made of.
    _handlers: Columns = field(default_factory=dict)
    _known: tuple[Any, Any] = (None, None)
    _subscribed: bool = False
    _awake: bool = False
    # Of the last step: interactive events, and whether there is more to do, of bulk work or at all.
    _arrived: int = 0
    _has_bulk: bool = False
    _has_backlog: bool = False

    def run(self) -> None:
        """Relay until it is stopped; a server that is down is waited for."""
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
                    # What was committed since the step began has sent a notification; except what
                    # found the relay awake, and was not committed yet.
                    longest = LAST_LOOK_SECONDS if self._fall_asleep() else IDLE_SECONDS
                    if self._stood_aside:
                        longest = ASIDE_SECONDS
                if deliveries.DUE_NOW in listener.wait(longest):
                    self._next_due = 0.0
        counters.flush()
        listener.close()
        self.broker.close()

    def stop(self) -> None:
        """Ask `run` to return."""
        self.stopped.set()

    def step(self) -> int:
        """Relay what is there now, and return how many outbox entries there were."""
        plan(lean=True)
        self._subscribe()
        if not self._depths:
            self._look_at_broker()
            self._paused = paused_queues()
            logger.info("relay.broker_connected")
        many = self._has_backlog or self._arrived >= GATHERED
        entries = 0
        if self._has_bulk:
            # What came during the last step does not wait for this one's bulk work, too.
            entries = self._expand(many=False, bulk_limit=0)
        self._has_backlog = self._has_bulk = False
        entries += self._expand(many=many)
        if time.monotonic() >= min(self._next_due, self._next_look, self._next_catch_up):
            self._stood_aside = not self._stood_aside and entries == self._arrived == 1
            if not self._stood_aside:
                self._look_around()
        return entries

    def _look_around(self) -> None:
        """Do what is to be done now and then."""
        if (now := time.monotonic()) >= self._next_due:
            self._next_due = now + DUE_SECONDS
            self._paused = paused_queues()
            self._rescue()
            self._publish_due()
        if now >= self._next_catch_up:
            self._next_catch_up = now + CATCH_UP_SECONDS
            if missed := catch_up():
                logger.warning("deliveries.caught_up", extra={"count": missed})
        # Not sooner: what was published is on its way already.
        if time.monotonic() >= self._next_look:
            self._look_at_broker()

    def _rescue(self) -> None:
        if rescued := take_back_expired():
            counters.count("leases_rescued_total", rescued)

    def _look_at_broker(self) -> None:
        """Ask how long the queues are; until the next time, they are no longer than that
        and what was published since.
        """
        self._depths = self.broker.depths(list(all_policies()))
        self._looked = time.monotonic()

    @property
    def _next_look(self) -> float:
        """The time of the next look: sooner where a lane may be half full."""
        policies, depths = all_policies(), self._depths.items()
        full = any(2 * depth >= policies[queue].high_water for (queue, _), depth in depths)
        return self._looked + (LOOK_SECONDS if full else IDLE_SECONDS)

    def _stay_awake(self) -> None:
        """Let writers know that nobody needs to wake the relay."""
        if not self._awake:
            ((self._awake,),) = execute("SELECT pg_try_advisory_lock(%s)", [AWAKE]).rows

    def _fall_asleep(self) -> bool:
        """Let writers know that the relay is to be woken; tell whether that is news."""
        was_awake, self._awake = self._awake, False
        if was_awake:
            execute("SELECT pg_advisory_unlock(%s)", [AWAKE])
        return was_awake

    def _subscribe(self) -> None:
        if not self._subscribed:
            if new := subscribe():
                logger.info("handlers.subscribed", extra={"handlers": new})
            self._subscribed = True

    def _expand(self, *, many: bool, bulk_limit: int = BULK_LIMIT) -> int:
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
        policies = all_policies()
        has_room = frozenset(place for place in self._depths if self._room(*place) > 0)
        if self._known != (policies, has_room):
            lanes = [
                (handler, lane, policies[handler.queue], (handler.queue, lane) in has_room)
                for handler in subscriptions()
                for lane in Priority
            ]
            self._known, self._handlers = (policies, has_room), columns_of(lanes)
        return self._handlers

    def _publish_due(self) -> None:
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
        pending = due.take(
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
        if not pending:
            return
        tell = partial(relayed, pending, expanding_since, time.time_ns())
        try:
            for queue, messages in self.broker.publish(pending, priority=lane).items():
                self._depths[queue, lane] += messages
                counters.count("messages_published_total", messages, queue=queue)
        except BrokerDown as error:
            deliveries.reopen([delivery.id for delivery in pending])
            logger.warning("relay.publish_failed", extra={"count": len(pending)})
            tell(failed=name_of(error))
            raise
        tell()

    def _room(self, queue: str, lane: Priority) -> int:
        """Return how many more messages may wait in the broker: none of a paused queue."""
        if queue in self._paused:
            return 0
        return all_policies()[queue].high_water - self._depths[queue, lane]

    @contextmanager
    def _outages(self) -> Iterator[None]:
        try:
            yield
        except BrokerDown as error:
            self._depths = {}  # to be looked at before anything is taken from the outbox again
            self.pulse.wait_for("the broker")
            logger.warning("relay.broker_down", extra={"error": reason(error)})
            self.stopped.wait(OUTAGE_SECONDS)
        except (OperationalError, InterfaceError) as error:
            if not is_refusal(error):
                self.pulse.wait_for("the database")
            logger.warning("relay.database_down", extra={"error": reason(error)})
            connection.close()
            self._awake = False
            self.stopped.wait(OUTAGE_SECONDS)
