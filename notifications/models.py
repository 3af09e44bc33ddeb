from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from cards.models import Card, Collection


class Kind(models.TextChoices):
    """What a notification tells of; the labels complete "Bob ..."."""

    CARD_ADDED = "CARD_ADDED", "added a card"
    PAGE_SAVED = "PAGE_SAVED", "saved a page that you saved"
    FOLLOWED = "FOLLOWED", "follows you"
    COLLECTED = "COLLECTED", "added your card to a collection"
    IMPORTED = "IMPORTED", "imported cards"


class NotificationFields(models.Model):
    """What the table and the admin's view of it have in common.

    No foreign key is a constraint or has an index: on this table they cost 3.9 times the work of
    a fan-out. In their place reads join what they show and skip what is gone, and a sweep
    (`notifications.prune_orphans`) deletes it.
    """

    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # The event that caused it; UUIDv7, so its order is that of the events.
    event_id = models.UUIDField()
    kind = models.CharField(max_length=10, choices=Kind)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    card = models.ForeignKey(
        Card, models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False
    )
    collection = models.ForeignKey(
        Collection,
        models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # When the event was recorded.
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.kind} for {self.recipient_id} by {self.event_id}"


class Notification(NotificationFields):
    """One person is told of one event, once."""

    # Unique per recipient and cause: delivering an event twice cannot notify twice.
    pk = models.CompositePrimaryKey("recipient", "event_id")
    # How many cards it tells of, if of several.
    count = models.IntegerField(null=True)

    class Meta:
        constraints = [
            # Who follows, unfollows and follows again would ring as often.
            models.UniqueConstraint(
                fields=["recipient", "actor"],
                name="one_notification_per_follower",
                condition=Q(kind="FOLLOWED"),
            ),
        ]
        indexes = [
            # The unread count, and the list of what is unread.
            models.Index(
                fields=["recipient", "event_id"],
                name="notification_unread",
                condition=Q(read_at__isnull=True),
            ),
        ]


class NotificationRow(NotificationFields):
    """A notification under a single key, for the admin, which cannot show composite keys."""

    id = models.TextField(primary_key=True)

    class Meta:
        managed = False
        db_table = "notifications_notification_row"
        verbose_name = "notification"
