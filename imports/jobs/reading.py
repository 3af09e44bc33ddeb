"""Read the file of an import in slices, so that long files don't hold up other users' imports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

from django.utils import timezone

from imports.files import slices
from imports.files.errors import Unreadable
from imports.files.formats import FEEDS, Format, rows
from imports.files.items import Item, Row
from imports.files.slices import OpenFile, Stopwatch, cpu_limit, limited_rows, open_files, steps
from imports.jobs import completion, turns
from imports.jobs.batches import BatchWriter, ReaderReplaced
from imports.jobs.fetching import document_of
from imports.jobs.previews import preview
from imports.jobs.quotas import QuotaExceeded
from imports.models import Import
from imports.subscriptions.subscribing import subscribe


def continue_reading(job: Import) -> bool:
    """Read an import until its end, or until its slice is over and other work waits.

    Return whether rows are left. If the file is unreadable or exceeds a quota, the import fails.
    Raise FetchFailed for an address that cannot be fetched.
    """
    try:
        file = open_files.pop(job.pk, read=job.read) or open_file(job)
        return file is not None and _read_slice(job, file)
    except Unreadable as reason:
        completion.fail(job, reason.code, str(reason))
    except QuotaExceeded as reason:
        completion.fail(job, f"quota_of_{reason.code}", str(reason))
    except (ReaderReplaced, Import.DoesNotExist):
        pass
    return False


def _read_slice(job: Import, file: OpenFile) -> bool:
    """Read a file. When the slice is over and other work waits, keep it open and return True."""
    began = time.monotonic()
    for _ in file.work:
        is_over = time.monotonic() - began > slices.SLICE_SECONDS
        if is_over and turns.others_wait(job):
            read = Import.objects.values_list("read", flat=True).get(pk=job.pk)
            open_files.put(job.pk, replace(file, read=read))
            return True
    return False


def open_file(job: Import) -> OpenFile | None:
    """Open an import's file and detect its format; return None if the file is gone."""
    document = document_of(job)
    if document is None:
        return None
    watch = Stopwatch()
    with watch.running(), cpu_limit(slices.STEP_SECONDS):
        format, found = rows(document, job.format)
    Import.objects.filter(pk=job.pk).update(format=format.name)
    parts = steps(limited_rows(found, watch), watch)
    if job.options.get("dry_run"):
        work = preview(job, format, document, parts)
    else:
        work = _work(job, format, parts)
    return OpenFile(work, job.read, len(document.content))


def _work(job: Import, format: Format, parts: Iterator[list[Row]]) -> Iterator[None]:
    """Read all rows step by step; subscribe to an address that is a feed; end the reading."""
    yield from BatchWriter(job).write_batches(parts)
    if format.name in FEEDS and job.source_kind == Import.Source.URL:
        feed = Item(line=0, guid=job.source, feed=job.source)
        subscribe(job.owner, [feed], options=job.options, caught_up=True)
    completion.finish_reading(job)


def begin(import_id: UUID) -> Import | None:
    """Mark a queued import as being read. Return the import if it is being read, else None."""
    waiting = Import.objects.filter(pk=import_id, status=Import.Status.QUEUED)
    waiting.update(status=Import.Status.READING, started_at=timezone.now())
    reading = Import.objects.filter(pk=import_id, status=Import.Status.READING)
    return reading.select_related("owner").first()
