"""Give each subscriber of a feed the entries that they don't have yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from eventbook.database import execute
from imports.files.items import Item, Row, identity
from imports.jobs import completion, statements
from imports.jobs.reading import Reader
from imports.models import FeedSubscription, Import, WebFeed

PAGE = 200  # subscribers per query


@dataclass(frozen=True, kw_only=True)
class News:
    """The content of a feed when it was fetched: its rows, oldest first."""

    format: str
    size: int
    rows: Sequence[Row]

    def beyond(self, lacking: set[UUID]) -> list[Row]:
        """Return the rows with the lacking identities, and all problems."""
        return [
            row
            for row in self.rows
            if not isinstance(row, Item) or identity(row.source, row.guid) in lacking
        ]


def give(feed: WebFeed, news: News) -> None:
    """Create an import for each subscriber who lacks entries of a feed.

    Each import has its own transaction. If the worker dies, the next one may create an import
    again; its rows then count as known.
    """
    last = None
    while page := _page(feed, last):
        lacking = lacking_of([each.owner_id for each in page], news)
        for subscription in page:
            if lacked := lacking.get(subscription.owner_id):
                bring(feed, subscription, news, lacked)
        ids = [each.pk for each in page]
        FeedSubscription.objects.filter(pk__in=ids, caught_up=False).update(caught_up=True)
        last = page[-1].pk


def _page(feed: WebFeed, last: UUID | None) -> list[FeedSubscription]:
    subscriptions = FeedSubscription.objects.filter(feed=feed).order_by("id")
    return list((subscriptions.filter(pk__gt=last) if last else subscriptions)[:PAGE])


def lacking_of(owners: Sequence[int], news: News) -> dict[int, set[UUID]]:
    """Return the identities that each owner has never imported, by owner id."""
    items = [row for row in news.rows if isinstance(row, Item)]
    identities = list({identity(item.source, item.guid) for item in items})
    parameters = {"owners": list(owners), "identities": identities}
    found = execute(statements.LACKING, parameters, prepare=False).rows
    return {owner: set(lacked) for owner, lacked in found}


def bring(feed: WebFeed, subscription: FeedSubscription, news: News, lacked: set[UUID]) -> None:
    """Create an import of the lacking entries, unless the user has unsubscribed meanwhile."""
    with transaction.atomic():
        held = FeedSubscription.objects.select_for_update().filter(pk=subscription.pk)
        if not held:
            return
        job = Import.objects.create(
            owner_id=subscription.owner_id,
            source_kind=Import.Source.FEED,
            source=feed.url,
            format=news.format,
            size=news.size,
            options=subscription.options,
            status=Import.Status.READING,
            started_at=timezone.now(),
        )
        Reader(job).read_all(iter(news.beyond(lacked)))
        completion.all_read(job)
