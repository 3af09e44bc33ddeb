"""All writes to notifications. The functions take a batch of events as parallel lists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from eventbook import SMALL_BATCH, KeyRange, is_large
from eventbook.database import insert_new
from eventbook.stream import reset
from notifications import statements
from notifications.models import Kind, Notification
from notifications.queries import visible_notifications


def notify_of_added_cards(
    *,
    event_ids: Sequence[UUID],
    times: Sequence[datetime],
    card_ids: Sequence[UUID],
    curator_ids: Sequence[int],
    visibilities: Sequence[str],
    recipients: Sequence[KeyRange],
) -> int:
    """Notify followers who enabled notifications, and users who saved the same page earlier.

    `recipients` are the ranges of user ids to write for, one per event. Return the number of
    notifications written.
    """
    lowest, highest = KeyRange.covering(recipients)
    batch: dict[str, Any] = {
        "events": list(event_ids),
        "times": list(times),
        "cards": list(card_ids),
        "curators": list(curator_ids),
        "visibilities": list(visibilities),
        "firsts": [keys.first for keys in recipients],
        "afters": [keys.after for keys in recipients],
        # As strings: SQL parses the lowest bigint as a minus sign and a number out of range.
        "lowest": str(lowest),
        "highest": str(highest),
    } | statements.REASONS
    few = len(event_ids) <= SMALL_BATCH
    statement = statements.CARD_ADDED_FEW if few else statements.CARD_ADDED_MANY
    return insert_new(statement, batch, many=is_large(recipients))


def notify_of_imports(
    *,
    event_ids: Sequence[UUID],
    times: Sequence[datetime],
    curator_ids: Sequence[int],
    counts: Sequence[int],
    recipients: Sequence[KeyRange],
) -> int:
    """Notify followers who enabled notifications how many cards a user imported."""
    columns = (list(event_ids), list(times), list(curator_ids), list(counts))
    firsts, afters = [keys.first for keys in recipients], [keys.after for keys in recipients]
    return _execute(statements.IMPORTED, Kind.IMPORTED.value, *columns, firsts, afters)


def notify_of_follows(
    *,
    event_ids: Sequence[UUID],
    times: Sequence[datetime],
    follower_ids: Sequence[int],
    followed_ids: Sequence[int],
) -> int:
    """Notify users of new followers, once per pair, and the followers of cards added meanwhile.

    A card added since the follow may have been delivered before the follow was visible to its
    handler. The new follower gets that notification here, if enabled.
    """
    pairs = (list(follower_ids), list(followed_ids))
    told = _execute(statements.FOLLOWED, Kind.FOLLOWED.value, list(event_ids), list(times), *pairs)
    return told + _execute(statements.ADDED_MEANWHILE, Kind.CARD_ADDED.value, *pairs)


def notify_of_collected_cards(
    *,
    event_ids: Sequence[UUID],
    times: Sequence[datetime],
    collection_ids: Sequence[UUID],
    card_ids: Sequence[UUID],
    added_by_ids: Sequence[int],
) -> int:
    """Notify curators whose cards other users added to public collections."""
    columns = (list(event_ids), list(times), list(collection_ids), list(card_ids))
    return _execute(statements.COLLECTED, Kind.COLLECTED.value, *columns, list(added_by_ids))


def mark_read(*, recipient: User, ids: Collection[UUID] | None = None) -> int:
    """Mark the recipient's unread notifications of these events, or all, as read.

    Return how many were marked. Only visible notifications are marked, so that the number agrees
    with the unread count.
    """
    seen = visible_notifications(recipient).filter(read_at=None)
    if ids is not None:
        seen = seen.filter(event_id__in=ids)
    unread = Notification.objects.filter(recipient=recipient, read_at=None)
    with transaction.atomic():
        marked = unread.filter(event_id__in=seen.values("event_id")).update(read_at=timezone.now())
        if marked:
            reset("notification", [recipient.pk])
    return marked


def prune_orphans() -> int:
    """Delete notifications whose recipient, actor, card or collection is gone; return how many."""
    return _execute(statements.PRUNE_ORPHANS)


def _execute(statement: str, *parameters: Any, **named: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, named or parameters)
        return int(cursor.rowcount)
