"""Give each subscriber of a web feed the entries that they don't have yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from eventbook.database import execute
from imports.files.items import Item, Row, identity
from imports.jobs import completion, statements
from imports.jobs.batches import BatchWriter
from imports.models import FeedSubscription, Import, WebFeed

PAGE = 200  # subscribers per query


@dataclass(frozen=True, kw_only=True)
class FeedContent:
    """The content of a feed when it was fetched: its rows, oldest first."""

    format: str
    size: int
    rows: Sequence[Row]

    def rows_missing(self, missing: set[UUID]) -> list[Row]:
        """Return the rows with the missing identities, and all problems."""
        return [
            row
            for row in self.rows
            if not isinstance(row, Item) or identity(row.source, row.guid) in missing
        ]


def distribute(feed: WebFeed, content: FeedContent) -> None:
    """Create an import for each subscriber who lacks entries of a feed.

    Each import has its own transaction. If the worker dies, the next one may create an import
    again; its rows then count as known.
    """
    last = None
    while page := _page(feed, last):
        missing = missing_by_owner([each.owner_id for each in page], content)
        for subscription in page:
            if missing_ids := missing.get(subscription.owner_id):
                import_entries(feed, subscription, content, missing_ids)
        ids = [each.pk for each in page]
        FeedSubscription.objects.filter(pk__in=ids, caught_up=False).update(caught_up=True)
        last = page[-1].pk


def _page(feed: WebFeed, last: UUID | None) -> list[FeedSubscription]:
    subscriptions = FeedSubscription.objects.filter(feed=feed).order_by("id")
    return list((subscriptions.filter(pk__gt=last) if last else subscriptions)[:PAGE])


def missing_by_owner(owners: Sequence[int], content: FeedContent) -> dict[int, set[UUID]]:
    """Return the identities that each owner has never imported, by owner id."""
    items = [row for row in content.rows if isinstance(row, Item)]
    identities = list({identity(item.source, item.guid) for item in items})
    parameters = {"owners": list(owners), "identities": identities}
    found = execute(statements.FIND_MISSING, parameters, prepare=False).rows
    return {owner: set(missing_ids) for owner, missing_ids in found}


def import_entries(
    feed: WebFeed, subscription: FeedSubscription, content: FeedContent, missing_ids: set[UUID]
) -> None:
    """Create an import of the missing entries, unless the user has unsubscribed meanwhile."""
    with transaction.atomic():
        held = FeedSubscription.objects.select_for_update().filter(pk=subscription.pk)
        if not held:
            return
        job = Import.objects.create(
            owner_id=subscription.owner_id,
            source_kind=Import.Source.FEED,
            source=feed.url,
            format=content.format,
            size=content.size,
            options=subscription.options,
            status=Import.Status.READING,
            started_at=timezone.now(),
        )
        BatchWriter(job).write_all(iter(content.rows_missing(missing_ids)))
        completion.finish_reading(job)
