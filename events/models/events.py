from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from events.ids import new_id
from events.queues import BULK


class Priority(models.IntegerChoices):
    """How urgent an event's deliveries are; each is a lane of its own through every queue."""

    BULK = BULK, "Bulk"
    INTERACTIVE = 5, "Interactive"


class Event(models.Model):
    """One domain event, as recorded: written once, never changed (the event store)."""

    # UUIDv7: the key is also the order of recording.
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    type = models.TextField()
    version = models.SmallIntegerField()
    subject = models.TextField()
    data = models.JSONField()
    priority = models.SmallIntegerField(choices=Priority)
    traceparent = models.TextField(blank=True, default="")
    recorded_at = models.DateTimeField(db_default=Now())
    # An event recorded with the key of one that exists is the same event.
    key = models.TextField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(key__isnull=False), name="one_event_per_key"
            ),
        ]
        indexes = [
            # One subject's history, and replays of one type.
            models.Index(fields=["subject", "id"], name="event_by_subject"),
            models.Index(fields=["type", "id"], name="event_by_type"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class OutboxEntry(models.Model):
    """An event that the relay has not turned into deliveries yet; deleted when it has.

    A table of its own, so that the store stays append-only and a claim reads only what is open.
    """

    # No constraint: it would be checked for each event, and lock the event's row; both rows are
    # written by one statement, and retention leaves events that have an entry.
    event = models.OneToOneField(
        Event, models.CASCADE, primary_key=True, related_name="+", db_constraint=False
    )
    type = models.TextField()
    priority = models.SmallIntegerField(choices=Priority)
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "outbox entries"
        constraints = [
            # The relay has one lane for each priority; an entry outside them would stay for ever.
            models.CheckConstraint(
                name="outbox_priority_has_lane", condition=Q(priority__in=list(Priority))
            ),
        ]
        # A lane is a range of it, in order: the relay begins where it found something of late.
        indexes = [models.Index(fields=["priority", "event"], name="outbox_by_lane")]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class Subscription(models.Model):
    """A handler that the relays know, and since when: events from then on are due to it."""

    handler = models.TextField(primary_key=True)
    event_type = models.TextField()
    since = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.handler} of {self.event_type}"
