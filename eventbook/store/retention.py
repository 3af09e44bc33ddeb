"""Retention: delete done deliveries beyond each queue's `keep_done`, and events beyond an age."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from eventbook.beat.schedule import schedules
from eventbook.conf import conf
from eventbook.database.ids import first_id_at
from eventbook.database.statements import execute
from eventbook.declare.events import numbered_types
from eventbook.declare.queues import all_policies
from eventbook.deliveries import bursts, limits
from eventbook.models import StreamReset

STEP = 5_000  # rows deleted in one transaction
# How long an event of another system is recognized when it comes again.
RECEIVED_AGE = timedelta(days=30)
SLOT_AGE = timedelta(days=7)  # the age at which events of schedules are deleted

# Counted by id, since times may be equal: the newest `keep` done deliveries stay. So do those of
# the last hour, since the auditor and catch_up check that recent events have deliveries.
DELIVERIES = """
    WITH surplus AS MATERIALIZED (
        SELECT id FROM eventbook_delivery
        WHERE queue = %(queue)s AND state = 'done' AND id <= (
            SELECT id FROM eventbook_delivery WHERE queue = %(queue)s AND state = 'done'
            ORDER BY id DESC OFFSET %(keep)s LIMIT 1
        ) AND finished_at < now() - interval '1 hour'
        ORDER BY id LIMIT %(step)s
    ), attempts AS (
        DELETE FROM eventbook_attempt USING surplus WHERE delivery_id = surplus.id
    )
    DELETE FROM eventbook_delivery USING surplus WHERE eventbook_delivery.id = surplus.id
"""
# A separate statement locks the events. EVENTS then sees the deliveries that replays created
# before, and a replay that begins later waits for the lock and finds the events deleted.
OLD = """
    SELECT id FROM eventbook_event
    WHERE recorded_at < now() - %(age)s AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s))
      AND type <> ALL(%(numbered)s)
      AND id > %(after)s AND id < %(before)s
    ORDER BY id LIMIT %(step)s FOR UPDATE SKIP LOCKED
"""
# Events with an outbox entry, an open delivery, a dead letter, a number, or a bridge's entry or
# parked message stay.
EVENTS = """
    WITH settled AS MATERIALIZED (
        SELECT id FROM unnest(%s::uuid[]) AS old (id)
        WHERE NOT EXISTS (SELECT FROM eventbook_outboxentry WHERE event_id = old.id)
          AND NOT EXISTS (SELECT FROM eventbook_numberedevent WHERE event_id = old.id)
          AND NOT EXISTS (SELECT FROM eventbook_bridgeentry WHERE event_id = old.id)
          AND NOT EXISTS (SELECT FROM eventbook_parkedmessage WHERE event_id = old.id)
          AND NOT EXISTS (
              SELECT FROM eventbook_delivery WHERE event_id = old.id
              AND (due_at IS NOT NULL OR state = 'dead'))
    ), attempts AS (
        DELETE FROM eventbook_attempt USING eventbook_delivery delivery, settled
        WHERE delivery.event_id = settled.id AND delivery_id = delivery.id
    ), deliveries AS (
        DELETE FROM eventbook_delivery USING settled WHERE event_id = settled.id
    )
    DELETE FROM eventbook_event USING settled WHERE eventbook_event.id = settled.id
"""
RECEIVED = """
    DELETE FROM eventbook_receivedevent WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM eventbook_receivedevent WHERE received_at < now() - %s
        ORDER BY received_at LIMIT %s
    ))
"""


def prune() -> dict[str, int]:
    """Delete outdated rows in small transactions; return the number of deleted rows by queue.

    Deleted events are counted under `events`. Dead letters and their events stay until an
    operator replays or discards them.
    """
    pruned = Counter({queue: _prune_deliveries(queue) for queue in all_policies()})
    slot_types = [f"{name}.due" for name in schedules]
    pruned["events"] += _prune_events(SLOT_AGE, types=slot_types)
    if conf.KEEP_EVENTS_DAYS:
        pruned["events"] += _prune_events(timedelta(days=conf.KEEP_EVENTS_DAYS), types=None)
    limits.delete_idle()
    bursts.delete_idle()
    StreamReset.objects.filter(at__lt=timezone.now() - timedelta(days=1)).delete()
    _prune_received()
    return pruned


def _prune_received() -> None:
    """Delete the notes of events of other systems that are older than RECEIVED_AGE."""
    while execute(RECEIVED, [RECEIVED_AGE, STEP], prepare=False).count == STEP:
        pass


def _prune_deliveries(queue: str) -> int:
    """Delete a queue's done deliveries except the newest `keep_done`; return how many."""
    keep = all_policies()[queue].keep_done
    parameters: dict[str, Any] = {"queue": queue, "keep": keep, "step": STEP}
    total = 0
    while True:
        deleted = execute(DELIVERIES, parameters, prepare=False).count
        total += deleted
        if deleted < STEP:
            return total


def _prune_events(age: timedelta, *, types: list[str] | None) -> int:
    """Delete finished events of these types (None: all) older than `age`; return how many."""
    # Ids carry times of the web machines' clocks; a day covers the clocks' errors.
    before = first_id_at(timezone.now() - age + timedelta(days=1))
    parameters: dict[str, Any] = {
        "age": age,
        "types": types,
        "numbered": numbered_types(),
        "step": STEP,
        "after": UUID(int=0),
        "before": before,
    }
    total = 0
    while parameters["after"] is not None:
        with transaction.atomic():
            old = [id for (id,) in execute(OLD, parameters, prepare=False).rows]
            parameters["after"] = old[-1] if old else None
            total += execute(EVENTS, [old], prepare=False).count
    return total
