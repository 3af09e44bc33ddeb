"""Feeds that are subscribed to: asked again at the right time, and only their news are added."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from eventbook.models import Event
from imports import services
from imports.files import slices
from imports.files.documents import Document
from imports.files.formats import rows
from imports.jobs.fetching import document_of
from imports.jobs.reading import begin, continue_reading
from imports.models import FeedSubscription, Import, WebFeed
from imports.subscriptions import refreshing
from tests.conftest import Drain
from tests.imports.conftest import IMPORTS, upload
from tests.imports.feed import Feed

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def subscription(alice: User, feed: Feed) -> FeedSubscription:
    return services.subscribe_to(owner=alice, url=feed.url)[0]


def refresh(subscription: FeedSubscription) -> WebFeed:
    """Fetch the feed once, and return its stored row."""
    feed = WebFeed.objects.get(pk=subscription.feed_id)
    refreshing.refresh(feed)
    feed.refresh_from_db()
    return feed


def titles() -> list[str]:
    """Return the titles of all cards, oldest first."""
    return list(Card.objects.order_by("id").values_list("title", flat=True))


def test_news_are_added_once_and_an_unchanged_feed_is_not_even_read(
    subscription: FeedSubscription, feed: Feed, drain: Drain
) -> None:
    refresh(subscription)
    drain()
    first = titles()
    refresh(subscription)
    feed.items.append("3")
    refresh(subscription)
    drain()

    assert first == ["Item 1", "Item 2"]
    assert titles() == ["Item 1", "Item 2", "Item 3"]
    assert [asked.get("If-None-Match") for asked in feed.asked] == [None, '"2"', '"2"']
    imports = Import.objects.order_by("id").values_list("source_kind", "added", "known")
    assert list(imports) == [("feed", 2, 0), ("feed", 1, 0)]
    assert all("Cookie" not in asked for asked in feed.asked)


def test_a_feed_that_changed_without_news_makes_no_import(
    subscription: FeedSubscription, feed: Feed, drain: Drain
) -> None:
    refresh(subscription)
    drain()
    feed.items.reverse()
    WebFeed.objects.update(etag="another")

    refresh(subscription)

    assert Import.objects.count() == 1


def test_a_card_that_was_removed_does_not_come_back(
    subscription: FeedSubscription, feed: Feed, drain: Drain
) -> None:
    refresh(subscription)
    drain()
    Card.objects.filter(title="Item 1").delete()
    feed.items.append("3")

    refresh(subscription)
    drain()

    assert titles() == ["Item 2", "Item 3"]


def test_a_dead_feed_is_asked_less_and_less_and_a_mended_one_as_ever(
    subscription: FeedSubscription, feed: Feed
) -> None:
    feed.status = 410
    pauses = []
    for _ in range(12):
        now = timezone.now()
        hours = (refresh(subscription).next_refresh - now) / timedelta(hours=1)
        pauses.append(round(hours))
    feed.status = 200
    mended = refresh(subscription)

    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 512, 720, 720, 720]
    assert (mended.failures, mended.error) == (0, "")
    assert mended.next_refresh < timezone.now() + timedelta(hours=1)


def test_a_feed_that_fails_is_asked_again_within_a_day_and_not_before_it_wants(
    subscription: FeedSubscription, feed: Feed
) -> None:
    feed.status, feed.headers = 503, {"Retry-After": "20000"}
    first = (refresh(subscription).next_refresh - timezone.now()).total_seconds()
    for _ in range(8):
        last = (refresh(subscription).next_refresh - timezone.now()).total_seconds()

    assert 19_000 < first <= 20_000
    assert 86_000 < last <= 86_400
    assert WebFeed.objects.get().error == "The server responded with status 503."


def test_what_is_no_feed_is_told(subscription: FeedSubscription, feed: Any) -> None:
    feed.content = lambda: b"url\nhttps://example.org/\n"

    assert refresh(subscription).error == "This is not a feed but CSV."
    assert Import.objects.count() == 0


def test_a_feed_whose_format_takes_too_long_to_detect_fails_instead_of_blocking_its_worker(
    subscription: FeedSubscription, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detects_slowly(document: Document) -> Any:
        began = time.process_time()
        while time.process_time() < began + 2:
            pass
        return rows(document)

    monkeypatch.setattr(refreshing, "rows", detects_slowly)
    monkeypatch.setattr(refreshing, "STEP_SECONDS", 0.1)

    assert refresh(subscription).error == slices.TOO_SLOW
    assert Import.objects.count() == 0


def test_a_fetched_file_is_decoded_the_same_when_another_reader_continues(
    alice: User, feed: Any
) -> None:
    feed.content = lambda: "https://example.org/ Пример\n".encode("koi8-r")
    feed.headers = {"Content-Type": "text/plain; charset=koi8-r"}
    job = services.request_import(owner=alice, source=feed.url)

    fetched, kept = document_of(job), document_of(job)

    assert fetched is not None
    assert kept is not None
    assert fetched.text == kept.text == "https://example.org/ Пример\n"
    assert len(feed.asked) == 1


def test_each_due_feed_is_announced_once(
    subscription: FeedSubscription, alice: User, bob: User
) -> None:
    services.subscribe_to(owner=bob, url=subscription.feed.url)
    services.subscribe_to(owner=alice, url="https://example.org/f")
    later = timezone.now() + timedelta(hours=1)
    WebFeed.objects.filter(url="https://example.org/f").update(next_refresh=later)

    counts = [refreshing.announce_due() for _ in range(2)]

    assert counts == [1, 0]
    (event,) = Event.objects.filter(type="web_feed.due")
    assert event.data == {"feed_id": subscription.feed_id, "host": "127.0.0.1"}


def test_a_feed_that_nobody_subscribes_to_is_forgotten_instead_of_asked(
    subscription: FeedSubscription,
) -> None:
    services.unsubscribe(subscription)

    assert refreshing.announce_due() == 0
    assert not WebFeed.objects.exists()
    assert not Event.objects.filter(type="web_feed.due").exists()


def test_what_is_at_an_address_is_imported_and_a_feed_is_subscribed_to(
    alice: User, feed: Any
) -> None:
    job = services.request_import(owner=alice, source=feed.url)
    from imports import handlers

    begun = begin(job.pk)
    assert begun is not None
    handlers._read(begun)

    job.refresh_from_db()
    assert (job.status, job.format, job.read) == ("running", "feed", 2)
    subscription = FeedSubscription.objects.get()
    assert (subscription.feed.url, subscription.caught_up) == (feed.url, True)
    assert subscription.feed.next_refresh > timezone.now() + timedelta(minutes=59)


def test_an_address_without_an_answer_is_tried_again_and_a_refused_one_is_not(
    alice: User, feed: Any
) -> None:
    from imports import handlers
    from outside.errors import ErrorStatus

    feed.status = 500
    job = services.request_import(owner=alice, source=feed.url)
    begun = begin(job.pk)
    assert begun is not None
    with pytest.raises(ErrorStatus):
        handlers._read(begun)
    again = begin(job.pk)
    assert again is not None
    feed.status = 404
    handlers._read(again)

    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", "answered: The server responded with status 404.")


def test_a_readers_list_becomes_subscriptions_that_are_due_at_once(
    alice: User, client_of: Client, drain: Drain
) -> None:
    content = (
        b"<opml><body><outline text='News'><outline text='A' xmlUrl='https://example.org/a'/>"
        b"<outline text='B' xmlUrl='https://example.org/b'/></outline></body></opml>"
    )
    accepted = upload(client_of(alice), content, visibility="PRIVATE").json()
    begun = begin(accepted["id"])
    assert begun is not None
    continue_reading(begun)
    drain()
    upload(client_of(alice), content)
    drain()

    counts = client_of(alice).get(IMPORTS).json()["results"]
    assert [(each["counts"]["added"], each["counts"]["known"]) for each in counts] == [
        (0, 2),
        (2, 0),
    ]
    listed = client_of(alice).get("/api/v1/subscriptions/").json()["results"]
    assert {(each["url"], each["title"], each["visibility"]) for each in listed} == {
        ("https://example.org/a", "A", "PRIVATE"),
        ("https://example.org/b", "B", "PRIVATE"),
    }
    assert WebFeed.objects.filter(next_refresh__lte=timezone.now()).count() == 2
