"""Find or create pages, publish them, and record events that make workers fetch new ones."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from eventbook.database import execute
from pages.canonical import Page
from pages.events import PageAdded, PageFetchRequested
from pages.models import Url
from pages.signals import page_added, page_fetch_requested

# Returns URL, id, and whether it is new, of each page that no other transaction is adding. Known
# pages are looked up first, because even an insert that conflicts uses up a number of the sequence.
# Inserts are ordered, so that two requests with the same new pages never deadlock.
FIND_OR_ADD = """
    WITH wanted AS (
        SELECT * FROM unnest(%s::text[], %s::text[]) AS page (canonical, host)
    ), known AS (
        SELECT id, canonical FROM pages_url WHERE canonical = ANY(%s::text[])
    ), added AS (
        INSERT INTO pages_url (canonical, host, created_at)
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
    UPDATE pages_url SET public_since = %s FROM (
        SELECT id FROM pages_url WHERE id = ANY(%s::bigint[]) AND public_since IS NULL
        ORDER BY id FOR NO KEY UPDATE
    ) hidden WHERE pages_url.id = hidden.id
"""


def find_or_create_pages(pages: Iterable[Page]) -> dict[str, int]:
    """Return the ids of pages by canonical URL, and create rows for new pages."""
    hosts = {page.canonical: page.host for page in pages}
    found: dict[str, int] = {}
    # The next statement finds the missing pages, because rows of pages are never deleted.
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


def publish(pages: Iterable[Url | None], *, since: datetime) -> None:
    """Set `public_since` of each page that has not been saved in public before."""
    hidden = [page for page in pages if page and page.public_since is None]
    if hidden:
        execute(PUBLISH, [since, [page.pk for page in hidden]])
        for page in hidden:
            page.public_since = since


def request_fetches(pages: Iterable[Url]) -> None:
    """Record an event for each page that makes a worker fetch it again."""
    for page in pages:
        event = PageFetchRequested(url_id=page.pk, host=page.host)
        page_fetch_requested.send(sender=Url, event=event)


def announce_pages(pages: Iterable[Url]) -> None:
    """Record events for pages that no user had saved before, if FETCH_METADATA is on."""
    if settings.FETCH_METADATA:
        for page in pages:
            page_added.send(sender=Url, event=PageAdded(url_id=page.pk, host=page.host))
