"""The tables of bridges: events on their way out, events that came in, and parked ones of both."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from eventbook.models.events import Event


class BridgeEntry(models.Model):
    """An event that a bridge has yet to publish: deleted when the target has confirmed it.

    Entries are written by the statement that records their event. Ids are numbered then, so that
    the entries of one subject, whose row is locked while its event is recorded, are in order.
    """

    # Two indexes, because one bridge's backlog must not slow down the polls of another.
    id = models.BigAutoField(primary_key=True)
    bridge = models.TextField()
    # Like the outbox, without a foreign key in the database.
    event = models.ForeignKey(
        Event, models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )

    class Meta:
        verbose_name_plural = "bridge entries"
        indexes = [models.Index(fields=["bridge", "id"], name="entry_by_bridge")]

    def __str__(self) -> str:
        return f"{self.event_id} for {self.bridge}"


class ReceivedEvent(models.Model):
    """An event of another system that was taken in: it is ignored when it comes again."""

    pk = models.CompositePrimaryKey("source", "identifier")
    source = models.TextField()
    identifier = models.TextField()
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        # For retention.
        indexes = [models.Index(fields=["received_at"], name="received_by_time")]

    def __str__(self) -> str:
        return f"{self.identifier} of {self.source}"


class ParkedMessage(models.Model):
    """A message that a bridge can't pass on until an operator or a release has changed something.

    A message on its way out has an event; one that came in has a body, as it was received.
    """

    bridge = models.TextField()
    event = models.ForeignKey(
        Event, models.CASCADE, null=True, related_name="+", db_constraint=False
    )
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")
    reason = models.TextField()
    parked_at = models.DateTimeField(db_default=Now())

    class Meta:
        permissions = [("operate_bridges", "May replay and discard parked messages")]
        constraints = [
            models.UniqueConstraint(fields=["bridge", "event"], name="parked_once_per_bridge")
        ]

    def __str__(self) -> str:
        return f"{self.bridge}: {self.reason}"
