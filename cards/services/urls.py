"""Find or create the rows of pages, and record events that make workers fetch them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from cards.canonical import Page
from cards.events import PageAdded, PageExpired
from cards.models import Card, Url, Visibility
from cards.signals import page_added, page_expired
from events.sql import execute

# Known pages are looked up first, because even an insert that conflicts uses up a number of the
# sequence. Inserts are ordered, so that two requests with the same new pages never deadlock.
FIND_OR_ADD = """
    WITH wanted AS (
        SELECT * FROM unnest(%s::text[], %s::text[]) AS page (canonical, host)
    ), known AS (
        SELECT id, canonical FROM cards_url WHERE canonical = ANY(%s::text[])
    ), added AS (
        INSERT INTO cards_url (canonical, host, created_at)
        SELECT canonical, host, %s FROM wanted
        WHERE NOT EXISTS (SELECT FROM known WHERE known.canonical = wanted.canonical)
        ORDER BY canonical
        ON CONFLICT (canonical) DO NOTHING
        RETURNING id, canonical
    )
    SELECT canonical, id, false FROM known UNION ALL SELECT canonical, id, true FROM added
"""

# Rows are locked in order, so that two requests with the same pages never deadlock.
PUBLISH = """
    UPDATE cards_url SET public_since = %s FROM (
        SELECT id FROM cards_url WHERE id = ANY(%s::bigint[]) AND public_since IS NULL
        ORDER BY id FOR NO KEY UPDATE
    ) hidden WHERE cards_url.id = hidden.id
"""

# Not `now()`, when the transaction began: the page may have been fetched for another user since.
NOW = "SELECT clock_timestamp()"


def url_ids(pages: Iterable[Page]) -> dict[str, int]:
    """Return the ids of pages by canonical URL, and create rows for new pages."""
    hosts = {page.canonical: page.host for page in pages}
    found: dict[str, int] = {}
    # A page that a concurrent transaction has just added is not in the result. The next statement
    # sees it. The loop ends, because rows of pages are never deleted.
    while missing := [canonical for canonical in hosts if canonical not in found]:
        rows = _find_or_add({canonical: hosts[canonical] for canonical in missing})
        found |= {canonical: id for canonical, id, _ in rows}
        announce_pages(
            Url(pk=id, host=hosts[canonical]) for canonical, id, is_new in rows if is_new
        )
    return found


def _find_or_add(hosts: dict[str, str]) -> list[tuple[str, int, bool]]:
    canonicals = list(hosts)
    parameters = [canonicals, list(hosts.values()), canonicals, timezone.now()]
    return execute(FIND_OR_ADD, parameters).rows


def save_hidden(cards: Sequence[Card]) -> None:
    """Set `page_since` of cards about hidden pages, and record events to fetch the pages again.

    A hidden page has been only on other users' private cards so far. To the curator it must look
    new, or its existing metadata would reveal those cards.
    """
    if not cards:
        return
    ((now,),) = execute(NOW).rows
    Card.objects.filter(pk__in=[card.pk for card in cards]).update(page_since=now)
    for card in cards:
        card.page_since = now
    pages = {card.url_id: card.url for card in cards if card.url}
    publish([card for card in cards if card.visibility == Visibility.PUBLIC], since=now)
    if settings.FETCH_METADATA:
        for page in pages.values():
            page_expired.send(sender=Url, event=PageExpired(url_id=page.pk, host=page.host))


def publish(cards: Sequence[Card], *, since: datetime) -> None:
    """Set `public_since` of the cards' pages, unless they were public before."""
    pages = [card.url for card in cards if card.url and card.url.public_since is None]
    if pages:
        execute(PUBLISH, [since, [page.pk for page in pages]])
        for page in pages:
            page.public_since = since


def announce_pages(pages: Iterable[Url]) -> None:
    """Record events for pages that no user had saved before, if FETCH_METADATA is on."""
    if settings.FETCH_METADATA:
        for page in pages:
            page_added.send(sender=Url, event=PageAdded(url_id=page.pk, host=page.host))
