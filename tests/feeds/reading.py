"""A reader's following feed, in one piece."""

from __future__ import annotations

from uuid import UUID

from accounts.models import User
from feeds.queries import following_page


def shown(reader: User) -> list[UUID]:
    """This answers the cards that the feed shows."""
    return [card.pk for card in following_page(reader, None, descending=True, limit=10_000)]
