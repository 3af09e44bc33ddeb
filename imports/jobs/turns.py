"""Share the import workers fairly between users, however much one user imports.

To *announce* an import or a batch is to record the event that makes a worker process it. Each
user's *turns* are limited: one import being read, and BATCHES_PER_PERSON batches announced. The
transaction that ends one announces the next. So the queue holds some work of every user, not all
work of one. Announcing first locks the user's turns until its transaction ends, so that the end of
no batch is missed.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.db import transaction

from eventbook import Priority, recording
from eventbook.database import execute
from imports.events import ImportBatchReady, ImportRequested
from imports.models import Import, ImportBatch
from imports.queries import count_dead_letters
from imports.signals import import_batch_ready, import_requested

BATCHES_PER_PERSON = 4
# The first batches of an import are interactive, so they overtake the rest of other imports.
FIRST_BATCHES = 5
LOCK = 1 << 60  # plus the user's id; the offset avoids the keys of other advisory locks


def source_of(job: Import) -> str:
    """Return the rate limit group of an import: its host, or the uploads of one user.

    Never the whole address: events are kept long, and an address may hold a password or a token.
    """
    if job.source_kind == Import.Source.UPLOAD:
        return f"upload of {job.owner_id}"
    return host_of(job.source)


def host_of(url: str) -> str:
    """Return the host of an address, or "nowhere" if there is none."""
    try:
        return urlsplit(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"


def announce(owner_id: int, *, ended: int = 0, with_dead: bool = False) -> None:
    """Announce a user's next work, as far as turns are free.

    Call within the transaction that added or ended work. `ended` is the number of batches that it
    ended; at least this many others are announced. With `with_dead`, dead letters occupy no turn.
    """
    execute("SELECT pg_advisory_xact_lock(%s)", [LOCK + owner_id])
    _announce_import(owner_id, with_dead=with_dead)
    _announce_batches(owner_id, ended=ended, with_dead=with_dead)


def _announce_import(owner_id: int, *, with_dead: bool) -> None:
    """Announce the user's next queued import, unless another is being read."""
    uploads = Import.objects.filter(owner=owner_id).exclude(source_kind=Import.Source.FEED)
    queued = uploads.filter(status=Import.Status.QUEUED, announced=False).order_by("id")
    # A transaction that ends one of these holds its row and waits for our lock. Skip that row, or
    # both would deadlock; that transaction announces the next import itself.
    job = queued.select_for_update(skip_locked=True).first()
    if job is None:
        return
    status = (Import.Status.QUEUED, Import.Status.READING)
    being_read = set(uploads.filter(announced=True, status__in=status).values_list("pk", flat=True))
    if with_dead and being_read:
        being_read -= {each for each in being_read if str(each) in count_dead_letters(being_read)}
    if being_read:
        return
    Import.objects.filter(pk=job.pk).update(announced=True)
    with recording(priority=Priority.INTERACTIVE):
        event = ImportRequested(import_id=job.pk, source=source_of(job))
        import_requested.send(sender=Import, event=event)


def _announce_batches(owner_id: int, *, ended: int, with_dead: bool) -> None:
    """Announce the user's next waiting batches, as far as turns are free."""
    batches = ImportBatch.objects.filter(owner=owner_id)
    waiting = batches.filter(announced=False).select_related("origin").defer("items")
    waiting = waiting.select_for_update(of=("self",), skip_locked=True)
    # By number, so that a user's imports advance side by side and small ones end soon.
    next_batches = list(waiting.order_by("number", "origin")[:BATCHES_PER_PERSON])
    if not next_batches:
        return
    announced = list(batches.filter(announced=True).values_list("origin_id", flat=True))
    room = BATCHES_PER_PERSON - len(announced)
    if with_dead and room <= 0:
        room += sum(count_dead_letters(set(announced)).values())
    for batch in next_batches[: max(room, ended)]:
        ImportBatch.objects.filter(pk=batch.pk).update(announced=True)
        is_feed = batch.origin.source_kind == Import.Source.FEED
        is_urgent = batch.number <= FIRST_BATCHES and not is_feed
        with recording(priority=Priority.INTERACTIVE if is_urgent else Priority.BULK):
            event = ImportBatchReady(
                import_id=batch.origin_id, number=batch.number, source=source_of(batch.origin)
            )
            import_batch_ready.send(sender=Import, event=event)


def others_wait(job: Import) -> bool:
    """Return whether other imports or batches wait for the worker that reads this import."""
    status = (Import.Status.QUEUED, Import.Status.READING)
    reads = Import.objects.filter(announced=True, status__in=status).exclude(pk=job.pk)
    batches = ImportBatch.objects.filter(announced=True)
    return reads.exclude(source_kind=Import.Source.FEED).exists() or batches.exists()


def recover_turns() -> int:
    """Announce waiting work of users whose turns were lost; return the number of users checked.

    Turns are lost with dead letters.
    """
    imports = Import.objects.filter(status=Import.Status.QUEUED, announced=False)
    owners = set(imports.values_list("owner_id", flat=True))
    batches = ImportBatch.objects.filter(announced=False)
    owners |= set(batches.values_list("owner_id", flat=True).distinct())
    for owner in sorted(owners):
        with transaction.atomic():
            announce(owner, with_dead=True)
    return len(owners)
