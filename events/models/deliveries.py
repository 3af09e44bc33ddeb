from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from events.ids import new_id
from events.models.events import Event, Priority


class Delivery(models.Model):
    """One event on its way to one handler: inbox, retry state, dead letter and audit in one."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        RETRY = "retry", "Waiting for a retry"
        DONE = "done", "Done"
        DEAD = "dead", "Dead"
        DISCARDED = "discarded", "Discarded"

    id = models.BigAutoField(primary_key=True)
    # No constraint, as with outbox entries; an audit rule (`every_delivery_has_its_event`) watches.
    event = models.ForeignKey(
        Event, models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    handler = models.TextField()
    # What is too large for one transaction is split by key: part 0 is the whole, which ends as
    # done when the others, with the bounds of their keys, take its place.
    part = models.IntegerField(db_default=0)
    bounds = models.JSONField(null=True)
    queue = models.TextField()
    state = models.TextField(choices=State, default=State.QUEUED)
    priority = models.SmallIntegerField(choices=Priority)
    # When the relay has to look at it next: to publish it, to retry it, or because its message
    # must have been lost. Null once it is finished.
    due_at = models.DateTimeField(null=True)
    # When it came back from a wait for a retry or a rate limit, to be run again. It is late from
    # then on; null if it never waited, and is late from `recorded_at` on.
    ready_at = models.DateTimeField(null=True)
    # How often it failed, or took its worker down with it.
    attempts = models.SmallIntegerField(db_default=0)
    # How often a message was published for it.
    publications = models.SmallIntegerField(db_default=0)
    # Its batch took a worker down: from now on it runs alone, so that neighbours pay nothing.
    isolated = models.BooleanField(db_default=False)
    error = models.TextField(blank=True, db_default="")
    recorded_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        permissions = [("operate_deliveries", "May replay and discard dead letters")]
        constraints = [
            # Two relays, or a replay beside one, must not make a second delivery of an event.
            models.UniqueConstraint(
                fields=["event", "handler", "part"], name="one_delivery_per_handler"
            ),
            # An open delivery that nobody looks at again would be lost.
            models.CheckConstraint(
                name="open_delivery_is_due",
                condition=Q(state__in=["queued", "running", "retry"], due_at__isnull=False)
                | Q(state__in=["done", "dead", "discarded"], due_at__isnull=True),
            ),
        ]
        indexes = [
            # All that the relay ever looks for: open deliveries of a queue whose time has come.
            models.Index(
                fields=["queue", "priority", "due_at"],
                name="delivery_due",
                condition=Q(due_at__isnull=False),
            ),
            # The few among them that failed before, which a budget paces.
            models.Index(
                fields=["queue", "priority", "due_at"],
                name="delivery_retry",
                condition=Q(state="retry"),
            ),
            models.Index(fields=["queue", "id"], name="delivery_dead", condition=Q(state="dead")),
            models.Index(fields=["recorded_at"], name="delivery_parts", condition=Q(part__gt=0)),
            BrinIndex(fields=["finished_at"], name="delivery_finished", pages_per_range=32),
        ]

    def __str__(self) -> str:
        return f"{self.handler} of {self.event_id}"


class Attempt(models.Model):
    """One attempt of a delivery that failed: when, on which worker, and why."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="failures")
    number = models.SmallIntegerField()
    worker = models.TextField()
    error = models.TextField()
    failed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"number {self.number}"


class Lease(models.Model):
    """A batch in a worker's hands; one that ran out tells that it died, hangs or is slow."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    handler = models.TextField()
    queue = models.TextField()
    worker = models.TextField()
    deliveries = ArrayField(models.BigIntegerField())
    started_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    # The worker's session, which ends with its process however that ends.
    backend = models.IntegerField(null=True)
    backend_start = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.handler} × {len(self.deliveries)} on {self.worker}"
