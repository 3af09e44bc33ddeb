"""The writes to notifications by their recipients."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from eventbook.database import execute
from eventbook.stream import reset
from notifications import statements
from notifications.models import Notification
from notifications.queries import visible_notifications

# The most notifications that one statement marks as read: a statement of a web process may take 4
# seconds, enough for a few hundred thousand.
MARKED_AT_ONCE = 20_000
# The namespace of advisory locks on recipients; an arbitrary number that no other code uses.
READ_LOCKS = 0x7264


def mark_read(*, recipient: User, ids: Collection[UUID] | None = None) -> int:
    """Mark the recipient's unread notifications as read: all, or those with these event ids.

    Return how many were marked. Only visible notifications are marked, so that the number agrees
    with the unread count. Many are marked in several transactions.
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
