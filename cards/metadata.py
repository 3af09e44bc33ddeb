"""Decide whether a card may show its page's metadata, without revealing others' private cards.

A page is fetched once for all its cards. Metadata that is there at once would reveal that another
user saved the page before, perhaps in private. So a card shows only metadata fetched since the card
was saved, or since the page was first saved in public. Until then its status is `pending`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cards.models import Card
from eventbook.database import seconds_of
from pages.models import Metadata, Url

# How much the clocks of web servers, which date cards, and of the database may differ.
SLACK = timedelta(seconds=5)


def saved_at(card: Card) -> datetime:
    """Return when the card was saved, or moved to its present page."""
    return card.page_since or datetime.fromtimestamp(seconds_of(card.pk), UTC)


def visible_since(card: Card, page: Url) -> datetime:
    """Return the earliest time of a fetch whose metadata the card may show.

    A page that was hidden before the card was saved has an exact time, `page_since`, by the
    database's clock. SLACK is not subtracted there: it could show a fetch that another user's
    private card caused.
    """
    if card.page_since is None or (page.created_at and page.created_at >= card.page_since):
        return saved_at(card) - SLACK
    return card.page_since


def visible_metadata(card: Card) -> Metadata | None:
    """Return the metadata of a card's page, or None if the card may not show it yet."""
    page = card.url
    metadata = page.metadata_or_none if page else None
    if page is None or metadata is None:
        return None
    since = min(visible_since(card, page), page.public_since or datetime.max.replace(tzinfo=UTC))
    # The time of the page's fetch is enough: a registry is queried only after it.
    fetched_at = metadata.fetched_at or metadata.requested_at
    return metadata if fetched_at and fetched_at >= since else None
