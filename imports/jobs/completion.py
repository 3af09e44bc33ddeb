"""End imports: done, failed or cancelled."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from cards.events import CardsImported
from cards.models import Card
from cards.services import record_update
from cards.services.parents import DEPTH, lock_completion, lock_parents
from cards.signals import cards_imported
from eventbook import Priority, recording
from eventbook.database import execute
from imports.jobs import statements, turns
from imports.models import Import, ImportBatch, ImportFile

LINK_BATCH = 2_000


def finish_reading(job: Import) -> None:
    """Mark an import as completely read, and complete it if no batch is left to add."""
    with transaction.atomic():
        rows = execute(statements.FINISH_READING, {"import": job.pk}).rows
        ImportFile.objects.filter(pk=job.pk).delete()
        if rows and rows[0][0]:
            complete(job)
        turns.announce(job.owner_id)


def complete(job: Import) -> None:
    """Mark an import as done, in the transaction of its last batch.

    Record one event for all its public cards, so that followers get one notification.
    """
    ended = Import.objects.filter(pk=job.pk, status=Import.Status.RUNNING)
    ended.update(status=Import.Status.DONE, finished_at=timezone.now())
    link_parents(job)
    public = Import.objects.values_list("added_public", flat=True).get(pk=job.pk)
    if public:
        event = CardsImported(import_id=job.pk, curator_id=job.owner_id, count=public)
        cards_imported.send(sender=Import, event=event)


def link_parents(job: Import) -> None:
    """Give imported cards the parents that they had in their source."""
    owner = {"owner": job.owner_id}
    # Of two imports that end at once, the second waits for this lock and sees the first's cards.
    lock_completion(job.owner_id)
    if not execute(statements.HAS_WAITING, owner, prepare=False).count:
        return
    lock_parents()
    chosen = LINK_BATCH
    with recording(priority=Priority.BULK):
        while chosen == LINK_BATCH:
            numbers = {"limit": LINK_BATCH, "depth": DEPTH}
            rows = execute(statements.LINK, owner | numbers, prepare=False).rows
            chosen = sum(count for id, count, *_ in rows if id is None)
            for id, curator_id, url_id, visibility in rows:
                if id is not None:
                    record_update(
                        Card(pk=id, curator_id=curator_id, url_id=url_id, visibility=visibility)
                    )


def fail(job: Import, code: str, message: str) -> None:
    """End an import that cannot be read any further; rows read before are still added."""
    with transaction.atomic():
        reading = Import.objects.filter(pk=job.pk, status=Import.Status.READING)
        reading.update(
            status=Import.Status.FAILED, error=f"{code}: {message}", finished_at=timezone.now()
        )
        ImportFile.objects.filter(pk=job.pk).delete()
        turns.announce(job.owner_id)


def cancel(job: Import) -> bool:
    """End an import now, keeping the cards added so far; return whether it was still open."""
    with transaction.atomic():
        running = Import.objects.filter(pk=job.pk).exclude(status__in=Import.ENDS)
        cancelled = running.update(status=Import.Status.CANCELLED, finished_at=timezone.now())
        if cancelled:
            ImportFile.objects.filter(pk=job.pk).delete()
            # A batch that a worker holds locked is still added completely.
            waiting = ImportBatch.objects.filter(origin=job).select_for_update(skip_locked=True)
            ImportBatch.objects.filter(pk__in=list(waiting.values_list("pk", flat=True))).delete()
            turns.announce(job.owner_id)
    return bool(cancelled)
