"""Operators' actions on bridges: replay or discard parked messages, forget a bridge's backlog."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.db.models import QuerySet

from eventbook.bridges.reading import Arrival
from eventbook.bridges.taking_in import IGNORED, take_in
from eventbook.conf import conf
from eventbook.models import BridgeEntry, ParkedMessage
from eventbook.operate.actions.operations import record_operation


def replay_parked(bridge: str, ids: Collection[int] | None, *, actor: str) -> int:
    """Pass parked messages on again; None for all. Return how many.

    Those on their way out are published after newer ones. Those that came in are taken in now, and
    parked again if that fails. Raise LookupError if the bridge of such a message is not configured,
    or does not consume its type.
    """
    with transaction.atomic():
        chosen = list(
            _chosen(ParkedMessage.objects.filter(bridge=bridge), ids)
            .select_for_update()
            .order_by("id")
        )
        ParkedMessage.objects.filter(pk__in=[message.pk for message in chosen]).delete()
        BridgeEntry.objects.bulk_create(
            BridgeEntry(bridge=bridge, event_id=message.event_id)
            for message in chosen
            if message.event_id is not None
        )
        came_in = [
            Arrival(message.headers, bytes(message.body))
            for message in chosen
            if message.event_id is None
        ]
        if came_in:
            configured = {each.name: each for each in conf.BRIDGES}
            if bridge not in configured:
                raise LookupError(f"The bridge {bridge} is not configured.")
            if ignored := take_in(configured[bridge], came_in)[IGNORED]:
                raise LookupError(f"{bridge} does not consume the types of {ignored} messages.")
        record_operation("replay parked messages", actor, len(chosen), {"bridge": bridge})
    return len(chosen)


def discard_parked(bridge: str, ids: Collection[int] | None, *, actor: str) -> int:
    """Delete parked messages for good; None for all. Return how many."""
    with transaction.atomic():
        count, _ = _chosen(ParkedMessage.objects.filter(bridge=bridge), ids).delete()
        record_operation("discard parked messages", actor, count, {"bridge": bridge})
    return count


def forget_bridge(bridge: str, *, actor: str) -> int:
    """Delete the entries of a bridge that will never publish them; return how many.

    The events stay in the event store until their own retention deletes them.
    """
    with transaction.atomic():
        count, _ = BridgeEntry.objects.filter(bridge=bridge).delete()
        record_operation("forget a bridge's backlog", actor, count, {"bridge": bridge})
    return count


def _chosen(
    parked: QuerySet[ParkedMessage], ids: Collection[int] | None
) -> QuerySet[ParkedMessage]:
    return parked if ids is None else parked.filter(pk__in=ids)
