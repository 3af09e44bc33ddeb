from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
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
        indexes = [models.Index(fields=["-priority", "event"], name="outbox_in_order")]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


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


class Subscription(models.Model):
    """A handler that the relays know, and since when: events from then on are due to it."""

    handler = models.TextField(primary_key=True)
    event_type = models.TextField()
    since = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.handler} of {self.event_type}"


class RateGroup(models.Model):
    """What shares a rate limit: a queue, or one account, host, endpoint or recipient of it.

    Its row is the lock under which permits are given; its times are the ends of waiting lines.
    """

    name = models.TextField(primary_key=True)
    reserved_until = models.DateTimeField(db_default=Now())
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class Permit(models.Model):
    """One use of a rate limit: counted until the window after it has passed."""

    group = models.TextField()
    until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["group", "until"], name="permit_by_group")]

    def __str__(self) -> str:
        return f"{self.group} until {self.until}"


class Audit(models.Model):
    """What the auditor found last under one rule of the guarantee: it must be 0."""

    rule = models.TextField(primary_key=True)
    violations = models.BigIntegerField()
    examples = models.JSONField(default=list)
    checked_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.rule}: {self.violations}"


class Lease(models.Model):
    """A batch in a worker's hands; one that has run out tells that the worker died or hangs."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    handler = models.TextField()
    queue = models.TextField()
    worker = models.TextField()
    deliveries = ArrayField(models.BigIntegerField())
    started_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.handler} × {len(self.deliveries)} on {self.worker}"


class Operation(models.Model):
    """Something an operator did to deliveries: who, what, when, and to how many."""

    action = models.TextField()
    actor = models.TextField()
    details = models.JSONField(default=dict)
    count = models.BigIntegerField(default=0)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}: {self.count}"
