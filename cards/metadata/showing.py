"""What of a page's metadata a card may show: nothing that somebody's private card brought about.

A page is asked for once, for all who save it. Whoever saves one that others keep private would see
at once that it had been fetched before. So a card shows what was found out since it was saved, or
since the page was first saved in public; until then the page is to be asked for, as a new one is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cards.models import Card, Metadata, Url
from events.ids import seconds_of

# The clocks of web machines, by which cards are saved, and of the database may differ so much.
SLACK = timedelta(seconds=5)


def saved_at(card: Card) -> datetime:
    """Return since when a card has been about its page."""
    return card.page_since or datetime.fromtimestamp(seconds_of(card.pk), UTC)


def known_since(card: Card, page: Url) -> datetime:
    """Return the moment whose news of the page, and later ones, a card may show.

    Where others kept the page before, it is by the database's clock, as the news is: five seconds
    sooner could have been their doing.
    """
    if card.page_since is None or (page.created_at and page.created_at >= card.page_since):
        return saved_at(card) - SLACK
    return card.page_since


def shown_of(card: Card) -> Metadata | None:
    """Return what is known of a card's page, as far as its viewers may know that it is."""
    page = card.url
    known = page.known if page else None
    if page is None or known is None:
        return None
    since = min(known_since(card, page), page.public_since or datetime.max.replace(tzinfo=UTC))
    # What a registry says came with what the page says, or after it.
    told_at = known.fetched_at or known.asked_at
    return known if told_at and told_at >= since else None
