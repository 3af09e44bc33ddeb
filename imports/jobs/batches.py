"""Write the rows of a file as batches, such that the next reader can continue after a crash.

The transaction that writes a batch also counts its rows. A parser yields the same rows each time,
so the next reader skips as many rows as are counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import Visibility
from cards.limits import COLLECTION_DESCRIPTION_LENGTH
from cards.services import create_collection
from eventbook import Priority, recording
from eventbook.database import execute
from imports import limits
from imports.files.errors import Unreadable
from imports.files.items import Item, Problem, Row, encode, warnings_of
from imports.files.slices import Stopwatch, steps
from imports.jobs import quotas, statements, turns
from imports.jobs.adding import collections_named
from imports.jobs.drafts import collection_names_of
from imports.jobs.reports import record_problems
from imports.models import Import, ImportBatch


class ReaderReplaced(Exception):
    """The import was cancelled, or another reader has continued it."""


@dataclass
class BatchWriter:
    """Collects the rows of an import, and writes them as batches."""

    job: Import
    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    last_write: float = field(default_factory=time.monotonic)
    collections: dict[str, UUID] = field(default_factory=dict)

    def write_all(self, found: Iterator[Row]) -> None:
        """Write all rows, without pauses."""
        for _ in self.write_batches(steps(found, Stopwatch())):
            pass

    def write_batches(self, parts: Iterator[list[Row]]) -> Iterator[None]:
        """Write a batch every BATCH_ROWS rows or BATCH_SECONDS; yield after each."""
        found = chain.from_iterable(self._until_error(parts))
        for row in islice(found, self.job.read, None):  # earlier readers have counted the others
            if isinstance(row, Item):
                self.items.append(row)
            else:
                self.problems.append(row)
            full = len(self.items) + len(self.problems) >= limits.BATCH_ROWS
            if full or time.monotonic() - self.last_write > limits.BATCH_SECONDS:
                self.write_batch()
                yield
        self.write_batch()

    def _until_error(self, parts: Iterator[list[Row]]) -> Iterator[list[Row]]:
        """Yield parts; write the rows read so far before an Unreadable ends the import."""
        try:
            yield from parts
        except Unreadable:
            self.write_batch()
            raise

    def write_batch(self) -> None:
        """Write the collected rows as a batch; raise ReaderReplaced if this reader was replaced."""
        items, problems = self.items, self.problems
        warnings = warnings_of(items)
        self.last_write = time.monotonic()
        if not (items or problems):
            return
        with transaction.atomic():
            self._use_quotas(items)
            parameters = {
                "import": self.job.pk,
                "before": self.job.read,
                "rows": len(items) + len(problems),
                "batches": 1 if items else 0,
                "failed": len(problems),
                "warned": len(warnings),
            }
            read = execute(statements.COUNT_READ, parameters).rows
            if not read:
                raise ReaderReplaced
            record_problems(self.job.pk, problems + warnings)
            if items:
                self._store_batch(read[0][0], items)
        self.job.read += len(items) + len(problems)
        self.items, self.problems = [], []

    def _use_quotas(self, items: list[Item]) -> None:
        """Count rows and new collections. Feeds are limited by the number of subscriptions."""
        if self.job.source_kind != Import.Source.FEED:
            new = len(self._missing_collections(items))
            quotas.use(self.job.owner, rows=len(items), collections=new)

    def _store_batch(self, number: int, items: list[Item]) -> None:
        """Store a batch, after creating its missing collections, and announce it."""
        self._create_collections(items)
        ImportBatch.objects.create(
            origin=self.job,
            owner_id=self.job.owner_id,
            number=number,
            rows=len(items),
            items=encode(items),
        )
        turns.announce(self.job.owner_id)

    def _missing_collections(self, items: list[Item]) -> list[str]:
        """Return the names of collections that the owner doesn't have yet, sorted."""
        names = {name for item in items for name in collection_names_of(item)}
        if unknown := names - set(self.collections):
            self.collections |= collections_named(self.job.owner, list(unknown))
        return sorted(names - set(self.collections))

    def _create_collections(self, items: list[Item]) -> None:
        """Create the collections that items name and the owner doesn't have yet."""
        for name in self._missing_collections(items):
            with recording(priority=Priority.BULK):
                collection = create_collection(
                    owner=self.job.owner, name=name, **self._collection_details(name, items)
                )
            self.collections[name] = collection.pk

    def _collection_details(self, name: str, items: list[Item]) -> dict[str, str]:
        """Return the description and visibility of a new collection.

        The collection is private if any of the items says so, as names may repeat in a file.
        """
        stated = list(filter(None, (_stated_details(name, item) for item in items)))
        first = stated[0] if stated else {}
        chosen = self.job.options.get("visibility") or first.get("visibility")
        if any(details.get("visibility") == Visibility.PRIVATE for details in stated):
            chosen = Visibility.PRIVATE
        return {
            "description": str(first.get("description", ""))[:COLLECTION_DESCRIPTION_LENGTH],
            "visibility": chosen or self.job.owner.import_visibility,
        }


def _stated_details(name: str, item: Item) -> Mapping[str, Any]:
    """Return the visibility and description that a row's file states for a collection."""
    return item.folder if item.folder.get("name") == name else item.collection_details.get(name, {})
