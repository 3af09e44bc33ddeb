"""Read a file into batches, such that the next reader can continue after a crash.

The transaction that writes a batch also counts its rows. A parser yields the same rows each time,
so the next reader skips as many rows as are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import Visibility
from cards.limits import COLLECTION_DESCRIPTION_LENGTH
from cards.services import create_collection
from eventbook import Priority, recording
from eventbook.database import execute
from imports import limits
from imports.files import slices
from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.formats import FEEDS, Format, rows
from imports.files.items import Item, Problem, Row, encode, warnings_of
from imports.files.slices import Opened, Stopwatch, aside, limited_rows, steps, within
from imports.jobs import completion, quotas, statements, turns
from imports.jobs.adding import collections_named
from imports.jobs.drafts import names_of
from imports.jobs.fetching import document_of
from imports.jobs.previews import preview
from imports.jobs.quotas import QuotaExceeded
from imports.jobs.reports import record_problems
from imports.models import Import, ImportBatch
from imports.subscriptions.subscribing import subscribe


class SomebodyElse(Exception):
    """The import was cancelled, or another reader has continued it."""


def read(job: Import, document: Document) -> None:
    """Read a whole import into batches, or make a dry run."""
    _go_on(job, lambda: open_file(job, document))


def read_on(job: Import, others_wait: Callable[[Import], bool]) -> bool:
    """Read an import until its end, or until its slice is over and other work waits.

    Return whether rows are left. Raise FetchFailed for an address that cannot be fetched.
    """
    opened = aside.take(job.pk, read=job.read)
    document = None if opened else document_of(job)
    if opened is None and document is None:
        return False
    return _go_on(job, lambda: opened or open_file(job, document), others_wait)  # type: ignore[arg-type]


def _go_on(
    job: Import,
    open_it: Callable[[], Opened],
    others_wait: Callable[[Import], bool] | None = None,
) -> bool:
    """Open a file and read it; put it aside and return True when its turn ends."""
    began = time.monotonic()
    try:
        opened = open_it()
        for _ in opened.work:
            is_over = time.monotonic() - began > slices.SLICE_SECONDS
            if is_over and others_wait and others_wait(job):
                read = Import.objects.values_list("read", flat=True).get(pk=job.pk)
                aside.put(job.pk, replace(opened, read=read))
                return True
    except Unreadable as reason:
        completion.fail(job, reason.code, str(reason))
    except QuotaExceeded as reason:
        completion.fail(job, f"quota_of_{reason.code}", str(reason))
    except (SomebodyElse, Import.DoesNotExist):
        pass
    return False


def open_file(job: Import, document: Document) -> Opened:
    """Detect a file's format, and return the opened file, which is read step by step."""
    watch = Stopwatch()
    with watch.running(), within(slices.STEP_SECONDS):
        known, found = rows(document, job.format)
    Import.objects.filter(pk=job.pk).update(format=known.name)
    parts = steps(limited_rows(found, watch), watch)
    if job.options.get("dry_run"):
        work = preview(job, known, document, parts)
    else:
        work = _work(job, known, parts)
    return Opened(work, job.read, len(document.content))


def _work(job: Import, known: Format, parts: Iterator[list[Row]]) -> Iterator[None]:
    """Read all rows, subscribe to the address if it is a feed, and mark the import as read."""
    yield from Reader(job).steps(parts)
    if known.name in FEEDS and job.source_kind == Import.Source.URL:
        feed = Item(line=0, guid=job.source, feed=job.source)
        subscribe(job.owner, [feed], options=job.options, caught_up=True)
    completion.all_read(job)


@dataclass
class Reader:
    """Collects rows of an import, and writes them as batches."""

    job: Import
    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    named: dict[str, UUID] = field(default_factory=dict)

    def read_all(self, found: Iterator[Row]) -> None:
        """Read all rows at once."""
        for _ in self.steps(steps(found, Stopwatch())):
            pass

    def steps(self, parts: Iterator[list[Row]]) -> Iterator[None]:
        """Write a batch every BATCH_ROWS rows or BATCH_SECONDS; yield after each batch."""
        seen = 0
        for part in self._whole(parts):
            for row in part:
                seen += 1
                if seen <= self.job.read:
                    continue  # an earlier reader has counted this row
                (self.items if isinstance(row, Item) else self.problems).append(row)  # type: ignore[arg-type]
                full = len(self.items) + len(self.problems) >= limits.BATCH_ROWS
                if full or time.monotonic() - self.since > limits.BATCH_SECONDS:
                    self.write()
                    yield
        self.write()

    def _whole(self, parts: Iterator[list[Row]]) -> Iterator[list[Row]]:
        """Yield parts; write the rows read so far before an Unreadable ends the import."""
        try:
            yield from parts
        except Unreadable:
            self.write()
            raise

    def write(self) -> None:
        """Write the collected rows as a batch; raise SomebodyElse if this reader was replaced."""
        items, problems = self.items, self.problems
        warnings = warnings_of(items)
        self.since = time.monotonic()
        if not (items or problems):
            return
        with transaction.atomic():
            self._take_quotas(items)
            parameters = {
                "import": self.job.pk,
                "before": self.job.read,
                "rows": len(items) + len(problems),
                "batches": 1 if items else 0,
                "failed": len(problems),
                "warned": len(warnings),
            }
            read = execute(statements.READ, parameters).rows
            if not read:
                raise SomebodyElse
            record_problems(self.job.pk, problems + warnings)
            if items:
                self._write_batch(read[0][0], items)
        self.job.read += len(items) + len(problems)
        self.items, self.problems = [], []

    def _take_quotas(self, items: list[Item]) -> None:
        """Count rows and new collections. Feeds are limited by the number of subscriptions."""
        if self.job.source_kind != Import.Source.FEED:
            new = len(self._missing(items))
            quotas.take(self.job.owner, rows=len(items), collections=new)

    def _write_batch(self, number: int, items: list[Item]) -> None:
        """Store a batch, after creating its missing collections, and announce it."""
        self._make_collections(items)
        ImportBatch.objects.create(
            origin=self.job,
            owner_id=self.job.owner_id,
            number=number,
            rows=len(items),
            items=encode(items),
            announced=False,
        )
        turns.announce(self.job.owner_id)

    def _missing(self, items: list[Item]) -> list[str]:
        """Return the names of collections that the owner doesn't have yet, sorted."""
        names = {name for item in items for name in names_of(item)}
        if unknown := names - set(self.named):
            self.named |= collections_named(self.job.owner, list(unknown))
        return sorted(names - set(self.named))

    def _make_collections(self, items: list[Item]) -> None:
        for name in self._missing(items):
            with recording(priority=Priority.BULK):
                made = create_collection(
                    owner=self.job.owner, name=name, **self._told_of(name, items)
                )
            self.named[name] = made.pk

    def _told_of(self, name: str, items: list[Item]) -> dict[str, str]:
        """Return the description and visibility of a new collection, as far as they are given."""
        told = next(filter(None, (_said_of(name, item) for item in items)), {})
        private = told.get("visibility") == Visibility.PRIVATE
        stated = told.get("visibility") or self.job.owner.import_visibility
        asked = self.job.options.get("visibility")
        visibility = Visibility.PRIVATE if private else asked or stated
        wanted = {"description": str(told.get("description", ""))[:COLLECTION_DESCRIPTION_LENGTH]}
        return wanted | ({"visibility": visibility} if visibility in Visibility.values else {})


def _said_of(name: str, item: Item) -> Mapping[str, Any]:
    """Return what a row's file says about a collection: visibility, description."""
    return item.folder if item.folder.get("name") == name else item.told.get(name, {})


def begin(import_id: UUID) -> Import | None:
    """Mark a queued import as being read, and return it; None if it has ended."""
    waiting = Import.objects.filter(pk=import_id, status=Import.Status.QUEUED)
    waiting.update(status=Import.Status.READING, started_at=timezone.now())
    reading = Import.objects.filter(pk=import_id, status=Import.Status.READING)
    return reading.select_related("owner").first()
