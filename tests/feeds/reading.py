"""A reader's following feed, in one piece."""

from __future__ import annotations

from uuid import UUID

from accounts.models import User
from feeds.queries import following_page


def shown(reader: User) -> list[UUID]:
    """Return the ids of the cards in the reader's feed."""
    return [card.pk for card in following_page(reader, None, descending=True, limit=10_000)]
