"""Tables of audits, operators' actions, queue settings, processes, metrics and stream resets."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from eventbook.database.ids import new_id


class Audit(models.Model):
    """The last result of one audit rule: the number of violations, which must be 0."""

    rule = models.TextField(primary_key=True)
    violations = models.BigIntegerField()
    examples = models.JSONField(default=list)
    checked_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.rule}: {self.violations}"


class Operation(models.Model):
    """An entry of the audit trail: an operator's action, when, and on how many deliveries."""

    action = models.TextField()
    actor = models.TextField()
    details = models.JSONField(default=dict)
    count = models.BigIntegerField(default=0)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}: {self.count}"


class QueueControl(models.Model):
    """An operator's settings of a queue; a null number means the one in the queue table."""

    queue = models.TextField(primary_key=True, editable=False)
    # While set, relays publish nothing of the queue, and workers release deliveries not yet begun.
    paused_at = models.DateTimeField(null=True, editable=False)
    paused_by = models.TextField(blank=True, default="", editable=False)
    # The identity of the database that was paused; a restored copy has another one
    # (eventbook/operate/queries/pauses.py).
    paused_in = models.TextField(blank=True, default="", db_default="", editable=False)
    reason = models.TextField(
        blank=True, default="", help_text="Why it is paused, for other operators."
    )
    # Lateness counts from here on: a pause does not make its deliveries late.
    resumed_at = models.DateTimeField(null=True, editable=False)
    concurrency = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Batches that each worker process runs at once. Empty: as the queue table says.",
    )
    rate_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Calls to outside services in any window, by the whole cluster. 0: no limit."
        " Empty: as the queue table says.",
    )
    rate_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="Length of that window in seconds."
    )
    group_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="The same limit for each group: an account, a host, a recipient.",
    )
    group_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="Length of that window in seconds."
    )
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "queue"
        permissions = [("operate_queues", "May pause, resume, purge, clean and tune queues")]
        constraints = [
            # At 0, nothing would run, and no page would say why; a pause is for that.
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


class ScheduleControl(models.Model):
    """A schedule's state: until when its slots were checked, and whether an operator paused it."""

    schedule = models.TextField(primary_key=True, editable=False)
    # Slots up to here were recorded, or skipped.
    checked_until = models.DateTimeField(editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    paused_by = models.TextField(blank=True, db_default="", editable=False)
    reason = models.TextField(blank=True, db_default="", editable=False)

    class Meta:
        verbose_name = "schedule"

    def __str__(self) -> str:
        return self.schedule


class Process(models.Model):
    """A long-running process, which writes its own row every 5 seconds and deletes it at its end.

    A row that is no longer updated means that its process was killed, is frozen or cut off.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Its name in fly.toml: `feed-worker`, `relay`, `beat`, `web`.
    group = models.TextField()
    host = models.TextField()
    pid = models.IntegerField()
    release = models.TextField()
    queues = ArrayField(models.TextField(), default=list)
    concurrency = models.PositiveSmallIntegerField(default=0)
    # Of the process and its children; shared memory counts once.
    memory_bytes = models.BigIntegerField(default=0)
    # The memory of its machine or container.
    memory_limit_bytes = models.BigIntegerField(default=0)
    # The number of live streams that it holds open.
    streams = models.IntegerField(default=0, db_default=0)
    # The fault that the process itself reports, or "".
    trouble = models.TextField(blank=True, default="", db_default="")
    # How far its clock is ahead of PostgreSQL's; negative if behind.
    clock_ahead_seconds = models.FloatField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    # When it last made progress: polled for work, or did some.
    progressed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "processes"

    def __str__(self) -> str:
        return f"{self.group} on {self.host}, process {self.pid}"


class Measure(models.Model):
    """One value of a counter or histogram, which all processes add to.

    `labels` is a JSON object with sorted names. A histogram has one row for each bucket with a
    value, keyed by its upper bound (`+Inf` too; not cumulative), and one without a bound: the sum.
    """

    pk = models.CompositePrimaryKey("metric", "labels", "bound")
    metric = models.TextField()
    labels = models.TextField()
    bound = models.TextField(blank=True, default="")
    value = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"{self.metric} {self.labels} {self.bound}"


class StreamReset(models.Model):
    """A change of a user's page that leaves no row to stream: live streams send a reset instead.

    The client then reads the page again (eventbook/stream/resets.py).
    """

    pk = models.CompositePrimaryKey("person_id", "source")
    person_id = models.BigIntegerField()
    source = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        # A poll reads the resets of the last minutes.
        indexes = [models.Index(fields=["at"], name="stream_reset_by_time")]

    def __str__(self) -> str:
        return f"{self.source} of {self.person_id}"
