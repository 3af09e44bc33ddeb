"""People take turns: however much somebody hands in, little of it stands before other people's.

Of one person one import is read at a time, and so many batches (`BATCHES`) are announced at once;
whatever ends one announces the next. So in the line of the queue there is a piece of each person's
work, and not all of somebody's. Whoever announces locks the person's turns until their transaction
ends, and looks only then: no end of a batch is missed.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Q

from cards.events import ImportBatchReady, ImportRequested
from cards.imports.models import Import, ImportBatch
from cards.imports.queries import count_dead_letters
from cards.signals import import_batch_ready, import_requested
from events.outbox import Priority, recording
from events.sql import execute

BATCHES = 4
# The first batches of an import go before the rest of other people's.
FIRST_BATCHES = 5
LOCK = 1 << 60  # and a person's id: apart from other advisory locks


def source_of(job: Import) -> str:
    """Name what shares a rate limit: a host, or the uploads of one person.

    Never the address: events stay for long, and an address may hold a password or a token.
    """
    if job.source_kind == Import.Source.UPLOAD:
        return f"upload of {job.owner_id}"
    return host_of(job.source)


def host_of(url: str) -> str:
    """Return the host of an address that is fetched."""
    try:
        return urlsplit(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"


def announce(owner_id: int, *, ended: int = 0, with_dead: bool = False) -> None:
    """Tell the workers of a person's next work, as far as it is their turn.

    Runs in the transaction that added work or ended some; `ended` batches hand on their turn
    whatever else is announced. With `with_dead`, dead letters keep no turn.
    """
    execute("SELECT pg_advisory_xact_lock(%s)", [LOCK + owner_id])
    _announce_import(owner_id, with_dead=with_dead)
    _announce_batches(owner_id, ended=ended, with_dead=with_dead)


def _announce_import(owner_id: int, *, with_dead: bool) -> None:
    uploads = Import.objects.filter(owner=owner_id).exclude(source_kind=Import.Source.FEED)
    queued = uploads.filter(status=Import.Status.QUEUED, announced=False).order_by("id")
    # Whoever ends one of these just now has its row, waits for the lock, and looks afterwards.
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
    batches = ImportBatch.objects.filter(owner=owner_id)
    waiting = batches.filter(announced=False).select_related("origin").defer("items")
    waiting = waiting.select_for_update(of=("self",), skip_locked=True)
    # The first of each import first: so several go on alike, and small ones end soon.
    following = list(waiting.order_by("number", "origin")[:BATCHES])
    if not following:
        return
    announced = list(batches.filter(announced=True).values_list("origin_id", flat=True))
    room = BATCHES - len(announced)
    if with_dead and room <= 0:
        room += sum(count_dead_letters(set(announced)).values())
    for batch in following[: max(room, ended)]:
        ImportBatch.objects.filter(pk=batch.pk).update(announced=True)
        first = batch.number <= FIRST_BATCHES
        first = first and batch.origin.source_kind != Import.Source.FEED
        with recording(priority=Priority.INTERACTIVE if first else Priority.BULK):
            event = ImportBatchReady(
                import_id=batch.origin_id, number=batch.number, source=source_of(batch.origin)
            )
            import_batch_ready.send(sender=Import, event=event)


def others_wait(job: Import) -> bool:
    """Return whether there is other work for the worker that reads this import."""
    status = (Import.Status.QUEUED, Import.Status.READING)
    reads = Import.objects.filter(announced=True, status__in=status).exclude(pk=job.pk)
    batches = ImportBatch.objects.filter(announced=True)
    return reads.exclude(source_kind=Import.Source.FEED).exists() or batches.exists()


def revive() -> int:
    """Announce the work of people who have some and no turn, and return how many they are.

    Their turns were lost with dead letters, or with workers of a release that knows no turns.
    """
    imports = Import.objects.filter(status=Import.Status.QUEUED, announced=False)
    owners = set(imports.values_list("owner_id", flat=True))
    batches = ImportBatch.objects.filter(announced=False).exclude(Q(owner=None))
    owners |= set(batches.values_list("owner_id", flat=True).distinct())
    for owner in sorted(owners):
        with transaction.atomic():
            announce(owner, with_dead=True)
    return len(owners)
