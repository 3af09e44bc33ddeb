"""Operators' actions on bridges: replay or discard parked messages, forget a bridge's backlog."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.db.models import QuerySet

from eventbook.models import BridgeEntry, ParkedMessage
from eventbook.operate.actions.operations import record_operation


def replay_parked(bridge: str, ids: Collection[int] | None, *, actor: str) -> int:
    """Publish parked messages again, after newer ones; None for all. Return how many."""
    with transaction.atomic():
        parked = ParkedMessage.objects.filter(bridge=bridge, event__isnull=False)
        chosen = list(_chosen(parked, ids).select_for_update().order_by("id"))
        BridgeEntry.objects.bulk_create(
            BridgeEntry(bridge=bridge, event_id=message.event_id)
            for message in chosen
            if message.event_id is not None
        )
        ParkedMessage.objects.filter(pk__in=[message.pk for message in chosen]).delete()
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
