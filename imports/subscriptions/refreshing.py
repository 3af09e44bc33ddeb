"""Fetch the web feeds that users subscribe to: each feed once, for all its subscribers."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from eventbook import Priority, recording
from imports import limits
from imports.events import WebFeedDue
from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.formats import FEEDS, rows
from imports.files.items import one_line
from imports.files.slices import STEP_SECONDS, Stopwatch, cpu_limit, limited_rows
from imports.models import FeedSubscription, WebFeed
from imports.signals import web_feed_due
from imports.subscriptions import entries
from imports.subscriptions.entries import FeedContent
from imports.subscriptions.subscribing import MIN_FETCH_INTERVAL, REFRESH_INTERVAL
from outside.errors import ErrorStatus, FetchFailed
from outside.fetcher import Fetched, Limits, fetch
from pages.metadata import validity

MAX_PAUSE = timedelta(days=1)  # maximum pause between fetches of a failing feed
GONE_MAX_PAUSE = timedelta(days=30)  # the same for a feed that responds with a status of GONE
GONE = (404, 410)
# The time after which a feed whose fetch has not finished is announced again.
FETCH_TIMEOUT = timedelta(minutes=15)
BATCH = 500  # feeds that are announced at once
LIMITS = Limits(seconds=30, size=limits.IMPORT_BYTES // 4)


def announce_due() -> int:
    """Record an event for each due feed, up to BATCH, and return their number."""
    now = timezone.now()
    with transaction.atomic(), recording(priority=Priority.BULK):
        due = WebFeed.objects.filter(next_refresh__lte=now).order_by("next_refresh")
        claimed = list(due.select_for_update(skip_locked=True)[:BATCH])
        wanted = delete_unsubscribed(claimed)
        for feed in wanted:
            event = WebFeedDue(feed_id=feed.pk, host=urlsplit(feed.url).hostname or "")
            web_feed_due.send(sender=WebFeed, event=event)
        announced = WebFeed.objects.filter(pk__in=[feed.pk for feed in wanted])
        announced.update(requested_at=now, next_refresh=now + FETCH_TIMEOUT)
    return len(wanted)


def delete_unsubscribed(feeds: list[WebFeed]) -> list[WebFeed]:
    """Delete feeds without subscribers, and return the others.

    Call with the feeds' rows locked: a concurrent subscription waits, and creates the feed again.
    """
    ids = [feed.pk for feed in feeds]
    subscribed = FeedSubscription.objects.filter(feed__in=ids)
    wanted = set(subscribed.values_list("feed_id", flat=True).distinct())
    WebFeed.objects.filter(pk__in=set(ids) - wanted).delete()
    return [feed for feed in feeds if feed.pk in wanted]


def refresh(feed: WebFeed) -> None:
    """Fetch a feed, and give its subscribers their new entries unless it is unchanged."""
    try:
        fetched = fetch(feed.url, headers=conditions_of(feed), limits=LIMITS)
        if not fetched.is_unchanged:
            entries.distribute(feed, content_of(feed, fetched))
        record_success(feed, fetched)
    except (FetchFailed, Unreadable) as reason:
        record_failure(feed, reason)


def conditions_of(feed: WebFeed) -> dict[str, str]:
    """Return the headers of a conditional request (RFC 9110, section 13).

    Return none while a new subscriber waits for the current entries.
    """
    if feed.subscriptions.filter(caught_up=False).exists():
        return {}
    return validity.conditions(feed.etag, feed.last_modified)


def content_of(feed: WebFeed, fetched: Fetched) -> FeedContent:
    """Return the parsed entries of a feed; raise Unreadable if the file is no feed."""
    document = Document(fetched.content, feed.url, fetched.charset or "")
    watch = Stopwatch()
    with watch.running(), cpu_limit(STEP_SECONDS):
        format, found = rows(document)
        if format.name not in FEEDS:
            raise Unreadable("not_a_feed", f"This is not a feed but {format.label}.")
        entry_rows = list(limited_rows(found, watch))
    return FeedContent(format=format.name, size=len(fetched.content), rows=entry_rows)


def record_success(feed: WebFeed, fetched: Fetched) -> None:
    """Store a successful fetch, and schedule the next one."""
    now = timezone.now()
    changes = {
        "failures": 0,
        "error": "",
        "refreshed_at": now,
        "next_refresh": now + REFRESH_INTERVAL,
    }
    if not fetched.is_unchanged:
        changes["etag"] = one_line(fetched.headers.get("ETag", ""))[:1000]
        changes["last_modified"] = one_line(fetched.headers.get("Last-Modified", ""))[:100]
    with transaction.atomic():
        # A concurrent subscription locks this row until it commits, so the check below sees it.
        held = WebFeed.objects.select_for_update().filter(pk=feed.pk)
        if held and FeedSubscription.objects.filter(feed=feed, caught_up=False).exists():
            changes["next_refresh"] = now + MIN_FETCH_INTERVAL
        held.update(**changes)


def record_failure(feed: WebFeed, reason: FetchFailed | Unreadable) -> None:
    """Store why a feed could not be read, and double the pause before the next fetch.

    The pause is never shorter than the server's `Retry-After`, up to the maximum.
    """
    failures, longest, wait = feed.failures + 1, MAX_PAUSE, 0
    if isinstance(reason, ErrorStatus):
        longest = GONE_MAX_PAUSE if reason.status in GONE else MAX_PAUSE
        wait = min(reason.retry_after or 0, int(longest.total_seconds()))
    doubled = min(REFRESH_INTERVAL * 2 ** min(failures, 16), longest)
    WebFeed.objects.filter(pk=feed.pk).update(
        failures=failures,
        error=str(reason),
        next_refresh=timezone.now() + max(doubled, timedelta(seconds=wait)),
    )
