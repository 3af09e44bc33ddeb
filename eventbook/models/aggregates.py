"""The tables of numbered events: the version of each subject, and snapshots of its state."""

from __future__ import annotations

from django.db import models

from eventbook.models.events import Event


class Aggregate(models.Model):
    """A subject with numbered events, whose row is locked while one is recorded.

    `number` is that of its last event: the subject's version.
    """

    subject = models.TextField(primary_key=True)
    number = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.subject} {self.number}"


class NumberedEvent(models.Model):
    """The number of an event among those of its subject: 1, 2, … without gaps.

    A table of its own, so that events without a number pay nothing for it.
    """

    pk = models.CompositePrimaryKey("subject", "number")
    subject = models.TextField()
    number = models.BigIntegerField()
    # Like the outbox, without a foreign key in the database. Retention keeps such events.
    event = models.OneToOneField(Event, models.CASCADE, related_name="+", db_constraint=False)

    def __str__(self) -> str:
        return f"{self.subject} {self.number}"


class Snapshot(models.Model):
    """The state that a fold made of a subject's events up to a number: rebuilding starts there."""

    pk = models.CompositePrimaryKey("subject", "fold")
    subject = models.TextField()
    fold = models.TextField()
    # The fold's version. A snapshot of another version isn't used.
    version = models.IntegerField()
    number = models.BigIntegerField()
    # When the last event was recorded.
    recorded_at = models.DateTimeField()
    state = models.JSONField()

    def __str__(self) -> str:
        return f"{self.fold} of {self.subject} {self.number}"
