"""Choose the pages to fetch: those whose metadata has expired, and then those without any."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from eventbook import Priority, recording
from eventbook.database import execute
from pages.models import Metadata, Robots, Url
from pages.services import request_fetches

DAY = timedelta(days=1)
# Expired pages compared per page fetched: the most saved of them are fetched.
CANDIDATES_PER_FETCH = 10
# Returns pages, and whether to fetch each one. Pages without a card are put off by 30 days, so that
# they don't block others. A page to fetch is due again in a day, in case the fetch never happens;
# a fetch sets its own time.
CLAIM_EXPIRED = """
    WITH expired AS MATERIALIZED (
        SELECT url_id FROM pages_metadata WHERE expires_at <= now()
        ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED
    ), saved AS (
        SELECT url_id, (SELECT count(*) FROM (
            SELECT FROM cards_card WHERE cards_card.url_id = expired.url_id LIMIT 1000
        ) AS card) AS often FROM expired
    ), claimed AS (
        (SELECT url_id, true AS wanted FROM saved WHERE often > 0
         ORDER BY often DESC, url_id LIMIT %s)
        UNION ALL SELECT url_id, false FROM saved WHERE often = 0
    )
    UPDATE pages_metadata
    SET expires_at = now() + CASE WHEN wanted THEN interval '1 day' ELSE interval '30 days' END
    FROM claimed JOIN pages_url ON pages_url.id = claimed.url_id
    WHERE pages_metadata.url_id = claimed.url_id
    RETURNING pages_metadata.url_id, host, wanted
"""


def refresh() -> dict[str, int]:
    """Record events to fetch an hour's share of pages, and return how many of each kind.

    Also delete robots.txt files older than 30 days.
    """
    limit = settings.FETCH_AGAIN_PER_HOUR if settings.FETCH_METADATA else 0
    if limit <= 0:
        return {}
    with transaction.atomic(), recording(priority=Priority.BULK):
        expired = _claim_expired(limit)
        unknown = _claim_unknown(limit - len(expired))
        request_fetches([*expired, *unknown])
    Robots.objects.filter(fetched_at__lt=timezone.now() - 30 * DAY).delete()
    return {"expired": len(expired), "unknown": len(unknown)}


def _claim_expired(limit: int) -> list[Url]:
    """Claim the most saved of the expired pages, by setting the time they are due next."""
    rows = execute(CLAIM_EXPIRED, [CANDIDATES_PER_FETCH * limit, limit], prepare=False).rows
    return [Url(pk=id, host=host) for id, host, wanted in rows if wanted]


def _claim_unknown(limit: int) -> list[Url]:
    """Claim pages that have no metadata, the newest first.

    They were saved more than a day ago, while FETCH_METADATA was off.
    """
    now = timezone.now()
    unknown = Url.objects.filter(metadata=None, created_at__lt=now - DAY).order_by("-pk")
    urls = list(unknown[:limit])
    rows = [Metadata(url=url, expires_at=now + DAY) for url in urls]
    Metadata.objects.bulk_create(rows, ignore_conflicts=True)
    return urls


def fetch_again(pages: QuerySet[Url]) -> int:
    """Record events to fetch pages again now, and return how many: 0 without FETCH_METADATA."""
    if not settings.FETCH_METADATA:
        return 0
    with transaction.atomic(), recording():
        request_fetches(pages)
    return len(pages)
