"""Giving cards the pages that the rules of `cards/canonical.py` say today."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from psycopg.errors import UniqueViolation

from cards.canonical import InvalidUrl, Page, page
from cards.events import CardUpdated
from cards.models import Card
from cards.services.urls import url_ids
from cards.signals import card_updated
from events.outbox import Priority, recording


@dataclass(frozen=True)
class Recomputed:
    """What became of some cards: the last one looked at, and how many were looked at and moved.

    `apart` counts cards that stay where they are, because their curator has another card of the
    same work: which of the two to keep is for the curator to say.
    """

    last: UUID | None
    looked: int
    moved: int
    apart: int


def recompute_pages(*, after: UUID | None = None, limit: int = 500) -> Recomputed:
    """Move the next cards, in the order of their ids, to the pages that their links name today.

    Each move is a transaction of its own, so it can end anywhere and run beside anything, itself
    included. The rows of the old pages stay: the history of cards names them.
    """
    cards = Card.objects.filter(url__isnull=False).exclude(link="").order_by("pk")
    if after is not None:
        cards = cards.filter(pk__gt=after)
    rows = list(cards.values_list("pk", "link", "url__canonical")[:limit])
    outcomes = [
        _move(card_id, link, today)
        for card_id, link, canonical in rows
        if (today := _page_of(link)) and today.canonical != canonical
    ]
    last = rows[-1][0] if rows else None
    return Recomputed(last, len(rows), outcomes.count("moved"), outcomes.count("apart"))


def _page_of(link: str) -> Page | None:
    try:
        return page(link)
    except InvalidUrl:
        return None  # it was taken by earlier rules; its card stays as it is


def _move(card_id: UUID, link: str, today: Page) -> str:
    try:
        with transaction.atomic(), recording(priority=Priority.BULK):
            # Who changes or removes the card meanwhile has the last word.
            held = Card.objects.select_for_update().filter(pk=card_id, link=link)
            card = held.filter(url__isnull=False).first()
            if card is None:
                return "gone"
            before, card.url_id = card.url_id, url_ids([today])[today.canonical]
            if card.url_id == before:
                return "done"  # by another run
            Card.objects.filter(pk=card_id).update(url_id=card.url_id, updated_at=timezone.now())
            event = CardUpdated(
                card_id=card.pk,
                curator_id=card.curator_id,
                url_id=card.url_id,
                visibility=card.visibility,
            )
            card_updated.send(sender=Card, event=event)
    except IntegrityError as error:
        if isinstance(error.__cause__, UniqueViolation):
            return "apart"
        raise
    return "moved"
