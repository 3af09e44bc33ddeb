"""All reads of notifications: only a user's own, about rows that the user may see now."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Count, F, Q, QuerySet

from accounts.models import User
from cards.queries import visible as visible_to
from notifications.models import Notification


def notifications_of(user: User, *, unread: bool = False) -> QuerySet[Notification]:
    """Return the user's notifications, newest first, with all that the API shows of them."""
    notifications = as_shown(visible_notifications(user))
    if unread:
        notifications = notifications.filter(read_at=None)
    return notifications.order_by("-event_id")


def as_shown(notifications: QuerySet[Notification]) -> QuerySet[Notification]:
    """Load all that the API shows of notifications, in one query."""
    notifications = notifications.select_related("actor", "card", "collection")
    # Skipped to save memory: a card's text can have 20,000 characters, and is not shown.
    return notifications.defer("card__text", "card__reference", "collection__description")


def unread_count(user: User) -> int:
    """Return the number of unread notifications in the user's list."""
    return visible_notifications(user).filter(read_at=None).count()


def unread_counts(recipients: Collection[int]) -> dict[int, int]:
    """Return the number of unread notifications of each recipient; recipients with 0 are absent."""
    unread = visible().filter(recipient__in=recipients, read_at=None)
    counted = unread.order_by().values("recipient_id").annotate(count=Count("event_id"))
    return dict(counted.values_list("recipient_id", "count"))


def visible_notifications(user: User) -> QuerySet[Notification]:
    """Return the user's notifications about rows that still exist and are visible to the user."""
    return visible().filter(recipient=user)


def visible() -> QuerySet[Notification]:
    """Return the notifications about rows that still exist and are visible to their recipients.

    Visibility is checked at each read, because a card can be removed or made private at any time
    after its notification was written.
    """
    return Notification.objects.filter(
        Q(card_id__isnull=True) | visible_to(F("recipient"), by="curator", at="card__"),
        Q(collection_id__isnull=True) | visible_to(F("recipient"), by="owner", at="collection__"),
        # The join for this condition also excludes deleted actors.
        actor__is_active=True,
    )
