"""The tables of deliveries, their failed attempts, and workers' leases."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from eventbook.database.ids import new_id
from eventbook.models.events import Event, Priority


class Delivery(models.Model):
    """One event for one handler: its state, retries, and its end as done, dead or discarded.

    A part is one of several deliveries into which a large one was split by key.
    """

    class State(models.TextChoices):
        # A handler in a transaction runs in this state: the lock on the row is its claim.
        QUEUED = "queued", "Queued"
        # Only handlers with outside effects (`atomic=False`), which run outside a transaction.
        RUNNING = "running", "Running"
        RETRY = "retry", "Waiting for a retry"
        DONE = "done", "Done"
        DEAD = "dead", "Dead"
        DISCARDED = "discarded", "Discarded"

    id = models.BigAutoField(primary_key=True)
    # No foreign key in the database: the check would lock the event's row (record 16). The audit
    # rule `every_delivery_has_its_event` finds a violation.
    event = models.ForeignKey(
        Event, models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    handler = models.TextField()
    # A delivery too large for one transaction is split by key. Part 0 is the whole delivery, which
    # becomes done when parts 1, 2, … replace it.
    part = models.IntegerField(db_default=0)
    # The first key of a part, and the key after its last one; null for a whole delivery.
    bounds = models.JSONField(null=True)
    queue = models.TextField()
    state = models.TextField(choices=State, default=State.QUEUED)
    priority = models.SmallIntegerField(choices=Priority)
    # When the relay publishes its message next: the first time, for a retry, or because the last
    # message counts as lost. Unused while it is running: then the lease's expiry counts. Null once
    # it is finished.
    due_at = models.DateTimeField(null=True)
    # When its last wait for a retry or a rate limit ended. Lateness counts from then, or from
    # `recorded_at` if it never waited (null).
    ready_at = models.DateTimeField(null=True)
    # How often it failed or killed its worker.
    attempts = models.SmallIntegerField(db_default=0)
    # How many messages were published for it.
    publications = models.SmallIntegerField(db_default=0)
    # True for a part, and once its batch has killed a worker or timed out. An isolated delivery
    # runs alone, so that another death costs only the delivery that causes it.
    isolated = models.BooleanField(db_default=False)
    error = models.TextField(blank=True, db_default="")
    recorded_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        permissions = [("operate_deliveries", "May replay and discard dead letters")]
        constraints = [
            # Without it, two relays, or a relay and a replay, could deliver an event twice.
            models.UniqueConstraint(
                fields=["event", "handler", "part"], name="one_delivery_per_handler"
            ),
            # An open delivery without a due time would never be published again.
            models.CheckConstraint(
                name="open_delivery_is_due",
                condition=Q(state__in=["queued", "running", "retry"], due_at__isnull=False)
                | Q(state__in=["done", "dead", "discarded"], due_at__isnull=True),
            ),
        ]
        indexes = [
            # The relay's query: open deliveries of a queue that are due.
            models.Index(
                fields=["queue", "priority", "due_at"],
                name="delivery_due",
                condition=Q(due_at__isnull=False),
            ),
            # The few of them that are retries, which the queue's `retry_rate` limits.
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
    """One failed attempt of a delivery: when, on which worker, and its traceback."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="failures")
    number = models.SmallIntegerField()
    worker = models.TextField()
    error = models.TextField()
    failed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"number {self.number}"


class Burst(models.Model):
    """A handler's events with one key, of which it gets only some (eventbook/declare/bursts.py)."""

    handler = models.TextField()
    key = models.TextField()
    # The delivery that waits for the burst's end; null while none does.
    delivery = models.BigIntegerField(null=True)
    # When the first event of the burst came.
    began_at = models.DateTimeField(null=True)
    # Until then, no further event is delivered (Throttle).
    closed_until = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # Workers lock the row of a key, and decide one after another.
            models.UniqueConstraint(fields=["handler", "key"], name="one_burst_per_key"),
        ]

    def __str__(self) -> str:
        return f"{self.handler} {self.key}"


class Lease(models.Model):
    """A worker's claim on a batch of deliveries, which it extends while it runs.

    An expired lease means that its worker died, hangs or is slow.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    handler = models.TextField()
    queue = models.TextField()
    worker = models.TextField()
    deliveries = ArrayField(models.BigIntegerField())
    started_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    # The worker's PostgreSQL session (pid and start). It ends when the process does, so a live
    # session means that the worker is only slow.
    backend = models.IntegerField(null=True)
    backend_start = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.handler} × {len(self.deliveries)} on {self.worker}"
