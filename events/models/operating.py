from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from events.ids import new_id


class Audit(models.Model):
    """What the auditor found last under one rule of the guarantee: it must be 0."""

    rule = models.TextField(primary_key=True)
    violations = models.BigIntegerField()
    examples = models.JSONField(default=list)
    checked_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.rule}: {self.violations}"


class Operation(models.Model):
    """Something an operator did to deliveries: who, what, when, and to how many."""

    action = models.TextField()
    actor = models.TextField()
    details = models.JSONField(default=dict)
    count = models.BigIntegerField(default=0)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}: {self.count}"


class QueueControl(models.Model):
    """What operators set for a queue while it runs; null where the queue table's number holds."""

    queue = models.TextField(primary_key=True, editable=False)
    # While it is set, nothing is published, and workers give back what they have not begun.
    paused_at = models.DateTimeField(null=True, editable=False)
    paused_by = models.TextField(blank=True, default="", editable=False)
    # The database in which that was (events/queries/pauses.py): a restored one is another.
    paused_in = models.TextField(blank=True, default="", db_default="", editable=False)
    reason = models.TextField(
        blank=True, default="", help_text="Why it is paused, for whoever looks next."
    )
    # What waited meanwhile is not overdue at once.
    resumed_at = models.DateTimeField(null=True, editable=False)
    concurrency = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Batches at once of each worker process. Empty: as the queue table says.",
    )
    rate_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Calls outside in any window, of the whole cluster. 0: no limit. Empty: as the"
        " queue table says.",
    )
    rate_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="Length of that window in seconds."
    )
    group_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="The same of each group: an account, a host, a recipient.",
    )
    group_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="Length of that window in seconds."
    )
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "queue"
        permissions = [("operate_queues", "May pause, resume, purge, clean and tune queues")]
        constraints = [
            # Without a slot nothing would run, and nobody would see why: that is what pausing is.
            models.CheckConstraint(
                name="a_worker_has_a_slot",
                condition=Q(concurrency__isnull=True) | Q(concurrency__gte=1),
                violation_error_message="The concurrency is at least 1; pause the queue instead.",
            ),
            models.CheckConstraint(
                name="a_window_has_a_length",
                condition=(Q(rate_seconds__isnull=True) | Q(rate_seconds__gte=1))
                & (Q(group_seconds__isnull=True) | Q(group_seconds__gte=1)),
                violation_error_message="The window of a limit is at least 1 second.",
            ),
        ]

    def __str__(self) -> str:
        return self.queue


class Process(models.Model):
    """A process of the system as it was seen last: each writes its own row, every few seconds.

    A row that is no longer written tells that its process died without a word.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # As in fly.toml: `feed-worker`, `relay`, `beat`, `web`.
    group = models.TextField()
    host = models.TextField()
    pid = models.IntegerField()
    release = models.TextField()
    queues = ArrayField(models.TextField(), default=list)
    concurrency = models.PositiveSmallIntegerField(default=0)
    # Of the process and its children, what they share counted once.
    memory_bytes = models.BigIntegerField(default=0)
    # What its machine, or its container, has.
    memory_limit_bytes = models.BigIntegerField(default=0)
    # Live streams that it holds open.
    streams = models.IntegerField(default=0, db_default=0)
    # What is wrong with it, as it says itself.
    trouble = models.TextField(blank=True, default="", db_default="")
    # How far its clock is ahead of PostgreSQL's.
    clock_ahead_seconds = models.FloatField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    # When it last did what it is for: looked for work, or took some.
    progressed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "processes"

    def __str__(self) -> str:
        return f"{self.group} on {self.host}, process {self.pid}"


class Measure(models.Model):
    """What was counted under a metric's name: every process adds to it, and none of them owns it.

    `labels` is a JSON object with sorted names. A histogram has a row for each bucket that was
    met, by its upper bound (`+Inf` included, not cumulative), and one for the sum, without a bound.
    """

    pk = models.CompositePrimaryKey("metric", "labels", "bound")
    metric = models.TextField()
    labels = models.TextField()
    bound = models.TextField(blank=True, default="")
    value = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"{self.metric} {self.labels} {self.bound}"


class StreamReset(models.Model):
    """Somebody's page has changed in a way that their streams don't tell row by row."""

    pk = models.CompositePrimaryKey("person_id", "source")
    person_id = models.BigIntegerField()
    source = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        # A look reads those of the last minutes.
        indexes = [models.Index(fields=["at"], name="stream_reset_by_time")]

    def __str__(self) -> str:
        return f"{self.source} of {self.person_id}"
