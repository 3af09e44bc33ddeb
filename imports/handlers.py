"""The handlers of the queue `imports`.

They don't run in their delivery's transaction (`atomic=False`), because they fetch from the web,
take long, or share a rate limit per source. Each commits its progress together with its work, so
a repeated delivery finds nothing left to do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from operator import attrgetter

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction

from cards.events import ImportBatchAdded
from cards.signals import import_batch_added
from eventbook import Later, Priority, Recorded, handler, recording
from eventbook.database import execute
from imports import limits
from imports.events import ImportBatchReady, ImportRequested, WebFeedDue
from imports.files import slices
from imports.files.items import decode
from imports.jobs import completion, reading, statements, turns
from imports.jobs.adding import Outcome, add_items
from imports.jobs.reports import record_merges, record_problems
from imports.models import Import, ImportBatch, WebFeed
from imports.signals import import_batch_ready, import_requested, web_feed_due
from imports.subscriptions import refreshing
from outside.errors import FetchFailed

WAITING = "Paused for other people's imports; reading continues after them."


# An event's rate limit group: the host or the uploader of an import.
BY_SOURCE = attrgetter("source")


@handler(import_requested, queue="imports", name="imports.read", atomic=False, group=BY_SOURCE)
def read(events: Sequence[Recorded[ImportRequested]]) -> None:
    """Read imports into batches; postpone the rest of a long file while others wait."""
    for recorded in events:
        job = reading.begin(recorded.event.import_id)
        if job is not None and _read(job):
            raise Later(slices.SLICE_SECONDS, WAITING)


def _read(job: Import) -> bool:
    """Read an import until its turn ends; return whether rows are left."""
    try:
        if reading.continue_reading(job):
            return True
    except FetchFailed as reason:
        if not reason.lasting:
            raise  # the delivery is retried
        completion.fail(job, reason.code, str(reason))
    except SoftTimeLimitExceeded:
        completion.fail(job, "too_slow", slices.TOO_SLOW)
    return False


@handler(
    import_batch_ready, queue="imports", name="imports.add_batch", atomic=False, group=BY_SOURCE
)
def add_batch(events: Sequence[Recorded[ImportBatchReady]]) -> None:
    """Add the rows of batches, each batch in one transaction with a pause after it."""
    for recorded in events:
        began = time.monotonic()
        with transaction.atomic():
            rows = _add_batch(recorded.event)
        time.sleep(rest_seconds(rows, time.monotonic() - began))


def rest_seconds(rows: int, seconds: float) -> float:
    """Return how many seconds to pause, to stay under IMPORT_ROWS_PER_SECOND.

    Without pauses, one import fills a core. Giving its worker a low CPU priority (nice) isn't
    enough, because PostgreSQL does part of the work at normal priority.
    """
    return max(rows / limits.IMPORT_ROWS_PER_SECOND - seconds, 0.0)


def _add_batch(event: ImportBatchReady) -> int:
    """Add the rows of a batch, and return their number."""
    # The batch's row is locked here and deleted below: so a batch is added exactly once.
    waiting = ImportBatch.objects.select_for_update(of=("self",)).select_related("origin__owner")
    batch = waiting.filter(origin_id=event.import_id, number=event.number).first()
    if batch is None:
        return 0
    job = batch.origin
    cancelled = job.status == Import.Status.CANCELLED
    outcome = Outcome() if cancelled else add_items(job, decode(bytes(batch.items)))
    if outcome.public:
        added = ImportBatchAdded(
            import_id=job.pk, curator_id=job.owner_id, card_ids=tuple(outcome.public)
        )
        with recording(priority=Priority.BULK):
            import_batch_added.send(sender=Import, event=added)
    record_problems(job.pk, outcome.problems)
    record_merges(job.pk, outcome.merges)
    batch.delete()
    counts = {
        "import": job.pk,
        "added": outcome.added,
        "known": outcome.known,
        "merged": len(outcome.merges),
        "failed": len(outcome.problems),
        "public": len(outcome.public),
    }
    # Last, because the lock on the import's row blocks its other batches until this one commits.
    rows = execute(statements.COUNT_ADDED, counts).rows
    if rows and rows[0][0]:
        completion.complete(job)
    turns.announce(job.owner_id, ended=1)
    return batch.rows


@handler(
    web_feed_due, queue="imports", name="imports.refresh", atomic=False, group=attrgetter("host")
)
def refresh(events: Sequence[Recorded[WebFeedDue]]) -> None:
    """Fetch feeds that are due, and import their new entries."""
    for recorded in events:
        if feed := WebFeed.objects.filter(pk=recorded.event.feed_id).first():
            refreshing.refresh(feed)
