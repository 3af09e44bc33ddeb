"""Every read of notifications: only one's own, and only of what one may see now."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Count, F, Q, QuerySet

from accounts.models import User
from cards.queries import visible as visible_to
from notifications.models import Notification


def notifications_of(user: User, *, unread: bool = False) -> QuerySet[Notification]:
    """Return what the user is told, newest first, with all that a representation shows."""
    notifications = as_shown(visible_notifications(user))
    if unread:
        notifications = notifications.filter(read_at=None)
    return notifications.order_by("-event_id")


def as_shown(notifications: QuerySet[Notification]) -> QuerySet[Notification]:
    """Read along all that a representation shows."""
    notifications = notifications.select_related("actor", "card", "collection")
    # A card may carry 20,000 characters that no notification shows.
    return notifications.defer("card__text", "card__reference", "collection__description")


def unread_count(user: User) -> int:
    """Count the unread notifications in the user's list."""
    return visible_notifications(user).filter(read_at=None).count()


def unread_counts(recipients: Collection[int]) -> dict[int, int]:
    """Count the unread notifications in the lists of many."""
    unread = visible().filter(recipient__in=recipients, read_at=None)
    counted = unread.order_by().values("recipient_id").annotate(count=Count("event_id"))
    return dict(counted.values_list("recipient_id", "count"))


def visible_notifications(user: User) -> QuerySet[Notification]:
    """Return the user's notifications of what still exists and is visible to the user."""
    return visible().filter(recipient=user)


def visible() -> QuerySet[Notification]:
    """Return the notifications of what still exists and is visible to their recipients.

    The rule must stand here: a notification is written once, while a card may be removed or made
    private at any time after.
    """
    return Notification.objects.filter(
        Q(card_id__isnull=True) | visible_to(F("recipient"), by="curator", at="card__"),
        Q(collection_id__isnull=True) | visible_to(F("recipient"), by="owner", at="collection__"),
        # Also the join that leaves out actors who are gone.
        actor__is_active=True,
    )
