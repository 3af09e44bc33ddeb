"""The tables of events: the event store, the outbox, and handlers' subscriptions."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from eventbook.database.ids import new_id
from eventbook.declare.queues import BULK


class Priority(models.IntegerChoices):
    """The urgency of an event's deliveries.

    Each priority has its own lane, a separate line through outbox, relay and broker.
    """

    BULK = BULK, "Bulk"
    INTERACTIVE = 5, "Interactive"


class Event(models.Model):
    """One recorded domain event, written once and never changed: the event store."""

    # UUIDv7: keys sort by the time of recording, as exactly as the web machines' clocks agree.
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    type = models.TextField()
    version = models.SmallIntegerField()
    subject = models.TextField()
    data = models.JSONField()
    priority = models.SmallIntegerField(choices=Priority)
    traceparent = models.TextField(blank=True, default="")
    recorded_at = models.DateTimeField(db_default=Now())
    # An idempotency key: recording a second event with the same key writes nothing.
    key = models.TextField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(key__isnull=False), name="one_event_per_key"
            ),
        ]
        indexes = [
            # For one subject's history, and for replays of one type.
            models.Index(fields=["subject", "id"], name="event_by_subject"),
            models.Index(fields=["type", "id"], name="event_by_type"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class OutboxEntry(models.Model):
    """An event without deliveries yet: the relay deletes the entry when it inserts them.

    In its own table, so that the event store stays append-only and the relay reads open entries
    only. An event that waits for its time (`run_at`) has an entry in a lane of its own, WAITING.
    """

    # Below all priorities, so that scans of the other lanes don't meet it. Its deliveries get the
    # priority of the event.
    WAITING = 0

    # No foreign key in the database: its check would lock the event's row for each event. One
    # statement writes both rows, and retention keeps events that have an entry.
    event = models.OneToOneField(
        Event, models.CASCADE, primary_key=True, related_name="+", db_constraint=False
    )
    type = models.TextField()
    priority = models.SmallIntegerField(choices=[*Priority.choices, (WAITING, "Waiting")])
    # Lag and latency count from then: for an event that waited, it is the time it waited for.
    recorded_at = models.DateTimeField(db_default=Now())
    # The time that an event in the lane WAITING waits for; null in the other lanes.
    due_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "outbox entries"
        constraints = [
            # The relay reads one lane per priority; it would never read an entry of another one.
            models.CheckConstraint(
                name="outbox_priority_has_lane",
                condition=Q(priority__in=list(Priority), due_at__isnull=True)
                | Q(priority=0, due_at__isnull=False),
            ),
        ]
        # A lane is one range of the index, in order; eventbook/relay/scan_start.py says where the
        # relay's scan of it starts.
        indexes = [
            models.Index(fields=["priority", "event"], name="outbox_by_lane"),
            # The lane WAITING is read by time.
            models.Index(
                fields=["due_at"], name="outbox_waiting", condition=Q(due_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class Subscription(models.Model):
    """A handler that relays know; it gets the events recorded from `since` on."""

    handler = models.TextField(primary_key=True)
    event_type = models.TextField()
    since = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.handler} of {self.event_type}"
