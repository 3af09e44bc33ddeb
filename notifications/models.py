"""Notifications, with one row per recipient and event."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import LOOSE
from cards.models import Card, Collection


class Kind(models.TextChoices):
    """The kinds of notifications. Each label completes a sentence that begins with a name."""

    CARD_ADDED = "CARD_ADDED", "added a card"
    PAGE_SAVED = "PAGE_SAVED", "saved a page that you saved"
    FOLLOWED = "FOLLOWED", "follows you"
    COLLECTED = "COLLECTED", "added your card to a collection"
    IMPORTED = "IMPORTED", "imported cards"


class NotificationFields(models.Model):
    """The fields of Notification and of the database view that the admin reads.

    The foreign keys have neither constraints nor indexes: with them, a fan-out costs 3.9 times as
    much. Instead, reads join the rows they show and skip notifications whose rows are gone, and the
    daily task `notifications.prune_orphans` deletes these.
    """

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, **LOOSE)
    # The event that caused the notification; a UUIDv7, so notifications sort like events.
    event_id = models.UUIDField()
    kind = models.CharField(max_length=10, choices=Kind)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, **LOOSE)
    card = models.ForeignKey(Card, models.DO_NOTHING, null=True, **LOOSE)
    collection = models.ForeignKey(Collection, models.DO_NOTHING, null=True, **LOOSE)
    # When the event was recorded.
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.kind} for {self.recipient_id} by {self.event_id}"


class Notification(NotificationFields):
    """A message to one user about one event."""

    # Unique per recipient and event: delivering an event twice cannot notify twice.
    pk = models.CompositePrimaryKey("recipient", "event_id")
    # The number of cards, for the kind IMPORTED.
    count = models.IntegerField(null=True)

    class Meta:
        constraints = [
            # Without it, following and unfollowing again and again would notify each time.
            models.UniqueConstraint(
                fields=["recipient", "actor"],
                name="one_notification_per_follower",
                condition=Q(kind="FOLLOWED"),
            ),
        ]
        indexes = [
            # For the unread count and the list of unread notifications.
            models.Index(
                fields=["recipient", "event_id"],
                name="notification_unread",
                condition=Q(read_at__isnull=True),
            ),
        ]


class NotificationRow(NotificationFields):
    """A notification with a single key, for the admin, which cannot show composite keys."""

    id = models.TextField(primary_key=True)

    class Meta:
        managed = False
        db_table = "notifications_notification_row"
        verbose_name = "notification"
