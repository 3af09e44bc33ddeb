"""All writes to notifications. The functions that handlers call take a batch of events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.events import UserFollowed
from accounts.models import User
from cards.events import CardAdded, CardsImported, CollectionCardAdded
from eventbook import KeyRange, Recorded, insert_batch
from eventbook.database import execute
from eventbook.stream import reset
from notifications import statements
from notifications.models import Kind, Notification
from notifications.queries import visible_notifications

# The most notifications that one statement marks as read: a statement of a web process may take 4
# seconds, enough for a few hundred thousand.
MARKED_AT_ONCE = 20_000
# The namespace of advisory locks on recipients; an arbitrary number that no other code uses.
READ_LOCKS = 0x7264


def notify_of_added_cards(events: Sequence[Recorded[CardAdded]]) -> int:
    """Notify followers who enabled notifications, and users who saved the same page earlier.

    Return the number of notifications written.
    """
    ranges = [recorded.keys for recorded in events]
    parameters = (
        _columns(events)
        | KeyRange.parameters(ranges)
        | statements.KINDS
        | {
            "cards": [recorded.event.card_id for recorded in events],
            "curators": [recorded.event.curator_id for recorded in events],
            "visibilities": [recorded.event.visibility for recorded in events],
        }
    )
    few, many = statements.CARD_ADDED_FEW, statements.CARD_ADDED_MANY
    return insert_batch(parameters, ranges, few=few, many=many)


def notify_of_imports(events: Sequence[Recorded[CardsImported]]) -> int:
    """Notify followers who enabled notifications how many cards a user imported."""
    parameters = (
        _columns(events)
        | KeyRange.parameters([recorded.keys for recorded in events])
        | {
            "kind": Kind.IMPORTED.value,
            "curators": [recorded.event.curator_id for recorded in events],
            "counts": [recorded.event.count for recorded in events],
        }
    )
    return execute(statements.IMPORTED, parameters, prepare=False).count


def notify_of_follows(events: Sequence[Recorded[UserFollowed]]) -> int:
    """Notify users of new followers, once per pair, and the new followers of cards added meanwhile.

    A card added since the follow may have been delivered before its handler could see the follow.
    The new follower is notified of that card here, if notifications are enabled.
    """
    pairs = {
        "followers": [recorded.event.follower_id for recorded in events],
        "followed": [recorded.event.followed_id for recorded in events],
    }
    followed = _columns(events) | pairs | {"kind": Kind.FOLLOWED.value}
    added = pairs | {"kind": Kind.CARD_ADDED.value}
    count = execute(statements.FOLLOWED, followed, prepare=False).count
    return count + execute(statements.ADDED_MEANWHILE, added, prepare=False).count


def notify_of_collected_cards(events: Sequence[Recorded[CollectionCardAdded]]) -> int:
    """Notify curators whose cards other users added to public collections."""
    parameters = _columns(events) | {
        "kind": Kind.COLLECTED.value,
        "collections": [recorded.event.collection_id for recorded in events],
        "cards": [recorded.event.card_id for recorded in events],
        "added_by": [recorded.event.added_by_id for recorded in events],
    }
    return execute(statements.COLLECTED, parameters, prepare=False).count


def _columns(events: Sequence[Recorded[Any]]) -> dict[str, Any]:
    """Return the SQL parameters that every kind of notification needs."""
    return {
        "events": [recorded.id for recorded in events],
        "times": [recorded.time for recorded in events],
    }


def mark_read(*, recipient: User, ids: Collection[UUID] | None = None) -> int:
    """Mark the recipient's unread notifications as read: all, or those with these event ids.

    Return how many were marked. Only visible notifications are marked, so that the number agrees
    with the unread count.
    """
    unread = visible_notifications(recipient).filter(read_at=None)
    if ids is not None:
        unread = unread.filter(event_id__in=ids)
    total = 0
    while marked := _mark(recipient, unread.values("event_id")[:MARKED_AT_ONCE]):
        total += marked
        if marked < MARKED_AT_ONCE:
            break
    return total


@transaction.atomic
def _mark(recipient: User, event_ids: QuerySet[Notification, Any]) -> int:
    """Mark the recipient's notifications of these events as read; return how many."""
    # Without this lock, two requests at once could lock rows in different orders and deadlock.
    execute(statements.LOCK_RECIPIENT, [READ_LOCKS, recipient.pk % 2**31])
    own = Notification.objects.filter(recipient=recipient, event_id__in=event_ids)
    if marked := own.update(read_at=timezone.now()):
        reset("notification", [recipient.pk])
    return marked
