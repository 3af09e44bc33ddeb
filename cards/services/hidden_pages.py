"""Hidden pages: saved before, but never in public. Their metadata would reveal private cards."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from accounts.models import Visibility
from cards.metadata import saved_at
from cards.models import Card
from eventbook.database import execute
from pages.models import Url
from pages.services import publish, request_fetches

# `now()` is the start of the transaction; the page may have been fetched for another user since.
NOW = "SELECT clock_timestamp()"


def refetch_hidden(cards: Sequence[Card]) -> None:
    """Make hidden pages look new to the curator: their metadata would reveal other users' cards.

    `cards` must be about hidden pages (not checked). Set `page_since` of the cards to now, mark the
    pages of public ones as public, and request a fetch of each page if FETCH_METADATA is on.
    """
    if not cards:
        return
    ((now,),) = execute(NOW).rows
    Card.objects.filter(pk__in=[card.pk for card in cards]).update(page_since=now)
    for card in cards:
        card.page_since = now
    pages = {card.url_id: card.url for card in cards if card.url}
    publish([card.url for card in cards if card.visibility == Visibility.PUBLIC], since=now)
    if settings.FETCH_METADATA:
        request_fetches(pages.values())


def update_page(card: Card, *, is_moved: bool) -> None:
    """Update the card's page after a change: record that it is public now, or fetch it again.

    `is_moved` says that the change moved the card to this page.
    """
    is_public = card.visibility == Visibility.PUBLIC
    if card.url_id is None:
        return
    if is_moved:
        card.url = Url.objects.select_related("metadata").get(pk=card.url_id)
        is_new = card.page_since is not None and card.url.created_at >= card.page_since
        if card.url.public_since is None and not is_new:
            refetch_hidden([card])
        elif is_public:
            publish([card.url], since=card.updated_at)
    elif is_public:
        # Metadata fetched since the save reveals only this card, which is public now.
        publish([card.url], since=saved_at(card))
