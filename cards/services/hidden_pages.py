"""Hidden pages: until now only other users' private cards were about them."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from accounts.models import Visibility
from cards.models import Card
from eventbook.database import execute
from pages.events import PageFetchRequested
from pages.models import Url
from pages.services import publish
from pages.signals import page_fetch_requested

# Not `now()`, when the transaction began: the page may have been fetched for another user since.
NOW = "SELECT clock_timestamp()"


def refetch_hidden(cards: Sequence[Card]) -> None:
    """Set `page_since` of cards about hidden pages, and record events to fetch the pages again.

    To the curator, a hidden page must look new: its existing metadata would reveal the other users'
    cards.
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
        for page in pages.values():
            page_fetch_requested.send(
                sender=Url, event=PageFetchRequested(url_id=page.pk, host=page.host)
            )
