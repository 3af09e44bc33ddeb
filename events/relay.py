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

from django.db import InterfaceError, OperationalError, connection

from events import deliveries
from events.broker import Broker, BrokerDown
from events.deliveries import Pending
from events.expansion import expand
from events.leases import take_back_expired
from events.listener import Listener
from events.models import Priority
from events.queues import QueuePolicy, all_policies
from events.registry import handlers, subscriptions
from events.sql import execute, plan
from events.subscriptions import catch_up, subscribe

logger = logging.getLogger(__name__)

CLAIM_LIMIT = 2_000  # outbox entries a step
BULK_LIMIT = 500  # of bulk work: others wait for the step's end
DUE_MESSAGES = 20  # a step, of each lane
IDLE_SECONDS = 0.5  # between looks at the outbox without a notification
DUE_SECONDS = 0.5  # between looks for retries, lost messages and expired leases
# After a step with several events, so long for each of them: when they come fast, the next batch is
# larger, and each event in it costs less. One that comes alone finds the relay waiting for it.
GATHER_SECONDS = 0.0012
GATHER_LIMIT = 0.1
GATHERED = 256  # events that are worth a batch without waiting for more
# Held while the relay looks by itself (events/migrations/0005): NOTIFY serializes commits.
AWAKE = 7310579
LAST_LOOK_SECONDS = 0.03  # after which all have committed that found it awake
LOOK_SECONDS = 0.05  # between looks at the length of the broker's queues
OUTAGE_SECONDS = 1.0  # between attempts while a server is down
CATCH_UP_SECONDS = 15.0  # between looks for what an older release's relay left out

Depths = dict[tuple[str, Priority], int]


@dataclass
class Relay:
    """One relay process's work; `stop` ends `run` after the step in hand."""

    broker: Broker = field(default_factory=Broker)
    stopped: threading.Event = field(default_factory=threading.Event)
    _depths: Depths = field(default_factory=dict)
    _next_look: float = 0.0
    _next_due: float = 0.0
    _next_catch_up: float = 0.0
    _subscribed: bool = False
    _awake: bool = False
    # Of the last step: interactive events, and whether there is more to do.
    _arrived: int = 0
    _has_backlog: bool = False

    def run(self) -> None:
        """This relays until it is stopped; a server that is down is waited for."""
        listener = Listener("outbox")
        while not self.stopped.is_set():
            with self._outages():
                self.step()
                if self._has_backlog:
                    continue
                if 1 < self._arrived < GATHERED:
                    self._stay_awake()
                    self.stopped.wait(min(self._arrived * GATHER_SECONDS, GATHER_LIMIT))
                else:
                    # What was committed since the step began has sent a notification; except what
                    # found the relay awake, and was not committed yet.
                    listener.wait(LAST_LOOK_SECONDS if self._fall_asleep() else IDLE_SECONDS)
        listener.close()
        self.broker.close()

    def stop(self) -> None:
        """This asks `run` to return."""
        self.stopped.set()

    def step(self) -> int:
        """This relays what is there now, and answers how many outbox entries there were."""
        plan(lean=True)
        self._subscribe()
        if not self._depths:
            self._look_at_broker()
        many = self._has_backlog or self._arrived >= GATHERED
        self._has_backlog = False
        entries = self._expand(many=many)
        if (now := time.monotonic()) >= self._next_due:
            self._next_due = now + DUE_SECONDS
            take_back_expired()
            self._publish_due()
        if now >= self._next_catch_up:
            self._next_catch_up = now + CATCH_UP_SECONDS
            if missed := catch_up():
                logger.warning("deliveries.caught_up", extra={"count": missed})
        # Not sooner: what was published is on its way already.
        if time.monotonic() >= self._next_look:
            self._look_at_broker()
        return entries

    def _look_at_broker(self) -> None:
        """This asks how long the queues are; until the next time, they are no longer than that
        and what was published since.
        """
        self._depths = self.broker.depths(list(all_policies()))
        self._next_look = time.monotonic() + LOOK_SECONDS

    def _stay_awake(self) -> None:
        """This lets writers know that nobody needs to wake the relay."""
        if not self._awake:
            ((self._awake,),) = execute("SELECT pg_try_advisory_lock(%s)", [AWAKE]).rows

    def _fall_asleep(self) -> bool:
        """This lets writers know that the relay is to be woken; it tells whether that is news."""
        was_awake, self._awake = self._awake, False
        if was_awake:
            execute("SELECT pg_advisory_unlock(%s)", [AWAKE])
        return was_awake

    def _subscribe(self) -> None:
        if not self._subscribed:
            if new := subscribe():
                logger.info("handlers.subscribed", extra={"handlers": new})
            self._subscribed = True

    def _expand(self, *, many: bool) -> int:
        policies = all_policies()
        has_room = {place: self._room(*place) > 0 for place in self._depths}
        lanes = [
            (handler, lane, policies[handler.queue], has_room[handler.queue, lane])
            for handler in subscriptions()
            for lane in Priority
        ]
        entries, pending = expand(lanes, limit=CLAIM_LIMIT, bulk_limit=BULK_LIMIT, many=many)
        self._arrived = entries[Priority.INTERACTIVE]
        if self._arrived == CLAIM_LIMIT or entries[Priority.BULK] == BULK_LIMIT:
            self._has_backlog = True
        for lane in sorted(Priority, reverse=True):
            self._publish([delivery for delivery in pending if delivery.priority == lane], lane)
        return entries.total()

    def _publish_due(self) -> None:
        for policy in all_policies().values():
            names = [name for name, handler in handlers.items() if handler.queue == policy.name]
            for lane in sorted(Priority, reverse=True):
                room = self._room(policy.name, lane)
                if names and room > 0:
                    short = room >= policy.high_water * 3 // 4
                    self._publish_lane(policy, names, lane, room, sweep=short)

    def _publish_lane(
        self, policy: QueuePolicy, names: list[str], lane: Priority, room: int, *, sweep: bool
    ) -> None:
        pending = deliveries.take_due(
            policy,
            priority=lane,
            handlers=names,
            sweep=sweep,
            limit=min(room, DUE_MESSAGES) * policy.largest_batch(lane),
        )
        if swept := sum(delivery.swept for delivery in pending):
            logger.warning("deliveries.swept", extra={"queue": policy.name, "count": swept})
        self._publish(pending, lane)
        if len(pending) >= policy.largest_batch(lane):
            self._next_due, self._has_backlog = 0.0, True

    def _publish(self, pending: list[Pending], lane: Priority) -> None:
        if not pending:
            return
        try:
            for queue, messages in self.broker.publish(pending, priority=lane).items():
                self._depths[queue, lane] += messages
        except BrokerDown:
            deliveries.reopen([delivery.id for delivery in pending])
            raise

    def _room(self, queue: str, lane: Priority) -> int:
        """This answers how many more messages may wait in the broker."""
        return all_policies()[queue].high_water - self._depths[queue, lane]

    @contextmanager
    def _outages(self) -> Iterator[None]:
        try:
            yield
        except BrokerDown as error:
            self._depths = {}  # to be looked at before anything is taken from the outbox again
            logger.warning("relay.broker_down", extra={"error": str(error)})
            self.stopped.wait(OUTAGE_SECONDS)
        except (OperationalError, InterfaceError) as error:
            logger.warning("relay.database_down", extra={"error": str(error)})
            connection.close()
            self._awake = False
            self.stopped.wait(OUTAGE_SECONDS)
