"""Move cards to the pages that the present rules of `pages/canonical.py` give them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from psycopg.errors import UniqueViolation

from cards.models import Card
from cards.services.cards import record_update
from cards.services.hidden_pages import update_page
from eventbook import Priority, recording
from pages.canonical import InvalidUrl, Page, page_at
from pages.services import find_or_create_pages


class Outcome(Enum):
    """The outcome for a card whose link names another page now.

    CONFLICT: its curator has another card on the new page. Only the curator can decide which of the
    two to keep. UNCHANGED: somebody else changed, removed or moved the card meanwhile.
    """

    MOVED = auto()
    CONFLICT = auto()
    UNCHANGED = auto()


@dataclass(frozen=True)
class Recomputed:
    """The result for one batch: the id of its last card, and counts of cards."""

    last: UUID | None
    checked: int
    moved: int
    conflicts: int


def recompute_pages(*, after: UUID | None = None, limit: int = 500) -> Recomputed:
    """Move the next batch of cards, in the order of ids, to the pages that their links name now.

    Each move is its own transaction, so the function can be interrupted anywhere, and run at the
    same time as other requests or itself. Rows of old pages stay, because the history of cards
    refers to them.
    """
    cards = Card.objects.filter(url__isnull=False).exclude(link="").order_by("pk")
    if after is not None:
        cards = cards.filter(pk__gt=after)
    rows = list(cards.values_list("pk", "link", "url__canonical")[:limit])
    outcomes = [
        _move(card_id, link, new_page)
        for card_id, link, canonical in rows
        if (new_page := _page_of(link)) and new_page.canonical != canonical
    ]
    return Recomputed(
        last=rows[-1][0] if rows else None,
        checked=len(rows),
        moved=outcomes.count(Outcome.MOVED),
        conflicts=outcomes.count(Outcome.CONFLICT),
    )


def _page_of(link: str) -> Page | None:
    """Return the page that a link names, or None if it is not valid."""
    try:
        return page_at(link)
    except InvalidUrl:
        return None  # older rules accepted the link; leave the card unchanged


def _move(card_id: UUID, link: str, new_page: Page) -> Outcome:
    """Move one card to a page."""
    try:
        with transaction.atomic(), recording(priority=Priority.BULK):
            # Skip a card that its curator changed or removed meanwhile.
            rows = Card.objects.select_for_update().filter(pk=card_id, link=link)
            card = rows.filter(url__isnull=False).first()
            if card is None:
                return Outcome.UNCHANGED
            now = timezone.now()  # before the page may be created, so that it counts as new
            before, card.url_id = card.url_id, find_or_create_pages([new_page])[new_page.canonical]
            if card.url_id == before:
                return Outcome.UNCHANGED  # another run has moved it
            card.page_since = card.updated_at = now
            card.save(update_fields=["url", "page_since", "updated_at"], force_update=True)
            update_page(card, is_moved=True)
            record_update(card)
    except IntegrityError as error:
        if isinstance(error.__cause__, UniqueViolation):
            return Outcome.CONFLICT
        raise
    return Outcome.MOVED
