"""Subscriptions: whoever has them, a feed is asked once, and each gets what they lack."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card, Collection
from imports import services
from imports.models import FeedSubscription, Import, WebFeed
from imports.subscriptions import entries, refreshing, subscribing
from tests.conftest import Drain
from tests.harness.processes import wait_for
from tests.imports.feed import Feed

Client = Callable[[Any], APIClient]
SUBSCRIPTIONS = "/api/v1/subscriptions/"
FEED = "https://example.org/feed"


def refresh() -> WebFeed:
    """Fetch the only feed, and return its stored row."""
    refreshing.refresh(WebFeed.objects.get())
    return WebFeed.objects.get()


def titles(owner: User) -> list[str]:
    """Return the titles of a person's cards, oldest first."""
    return list(Card.objects.filter(curator=owner).order_by("id").values_list("title", flat=True))


@pytest.mark.django_db(transaction=True)
def test_a_feed_of_several_people_is_asked_once_and_each_gets_its_news(
    alice: User, bob: User, charlie: User, client_of: Client, feed: Feed, drain: Drain
) -> None:
    people = (alice, bob, charlie)
    for person in people:
        added = client_of(person).post(SUBSCRIPTIONS, {"url": feed.url, "visibility": "PRIVATE"})
        assert added.status_code == 201
    assert refreshing.announce_due() == 1
    drain()  # the workers trust no server of this test, and ask in vain
    WebFeed.objects.update(failures=0)
    refresh()
    feed.items.append("3")
    refresh()
    refresh()
    drain()

    assert [asked.get("If-None-Match") for asked in feed.asked] == [None, '"2"', '"3"']
    for person in people:
        assert titles(person) == ["Item 1", "Item 2", "Item 3"]
    assert set(Card.objects.values_list("visibility", flat=True)) == {"PRIVATE"}
    assert Import.objects.filter(source_kind="feed", status="done").count() == 6


@pytest.mark.django_db(transaction=True)
def test_a_newcomer_gets_all_that_a_feed_has_and_the_others_nothing_twice(
    alice: User, bob: User, feed: Feed, drain: Drain
) -> None:
    services.subscribe_to(owner=alice, url=feed.url)
    WebFeed.objects.update(requested_at=timezone.now())
    refresh()
    drain()
    services.subscribe_to(owner=bob, url=feed.url)
    soon = WebFeed.objects.get().next_refresh - timezone.now()
    refresh()
    refresh()
    drain()

    assert timedelta(minutes=9) < soon <= timedelta(minutes=10)
    assert [asked.get("If-None-Match") for asked in feed.asked] == [None, None, '"2"']
    assert (titles(alice), titles(bob)) == (["Item 1", "Item 2"],) * 2
    assert Import.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_who_subscribes_while_a_feed_is_being_asked_does_not_wait_an_hour(
    alice: User, bob: User, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.subscribe_to(owner=alice, url=feed.url)
    distribute = entries.distribute

    def meanwhile(*given: Any) -> None:
        distribute(*given)
        services.subscribe_to(owner=bob, url=feed.url)

    monkeypatch.setattr(entries, "distribute", meanwhile)

    pause = refresh().next_refresh - timezone.now()

    assert timedelta(minutes=9) < pause <= timedelta(minutes=10)


@pytest.mark.django_db
def test_subscribing_brings_no_failing_feed_forward(alice: User, bob: User) -> None:
    services.subscribe_to(owner=alice, url=FEED)
    later = timezone.now() + timedelta(days=20)
    WebFeed.objects.update(next_refresh=later, failures=9, error="Gone.")

    services.subscribe_to(owner=bob, url=FEED)

    assert WebFeed.objects.get().next_refresh == later


@pytest.mark.django_db(transaction=True)
def test_a_collection_that_is_gone_keeps_no_news_away(
    alice: User, feed: Feed, drain: Drain
) -> None:
    collection = Collection.objects.create(owner=alice, name="News")
    services.subscribe_to(owner=alice, url=feed.url, collection=collection.pk)
    collection.delete()

    refresh()
    drain()

    assert titles(alice) == ["Item 1", "Item 2"]


@pytest.mark.django_db
def test_subscriptions_are_made_seen_listed_and_ended(
    alice: User, bob: User, client_of: Client
) -> None:
    client = client_of(alice)
    collection = Collection.objects.create(owner=alice, name="News")
    wishes = {"title": "A feed", "collection": str(collection.pk), "visibility": "PRIVATE"}
    added = client.post(SUBSCRIPTIONS, {"url": "HTTPS://example.org/feed#new", **wishes})
    again = client.post(SUBSCRIPTIONS, {"url": FEED, "title": "Another"})
    services.subscribe_to(owner=bob, url=FEED)
    for number in range(2):
        services.subscribe_to(owner=alice, url=f"{FEED}/{number}")

    page = client.get(f"{SUBSCRIPTIONS}?page_size=2").json()
    rest = client.get(page["next"]).json()
    path = f"{SUBSCRIPTIONS}{added.json()['id']}/"
    seen = client.get(path).json()
    ended = client.delete(path)

    assert (added.status_code, again.status_code, again.json()) == (201, 200, added.json())
    assert {name: seen[name] for name in ("url", *wishes)} == {"url": FEED, **wishes}
    assert (seen["refreshed_at"], seen["failures"], seen["error"]) == (None, 0, "")
    assert [each["url"] for each in page["results"]] == [f"{FEED}/1", f"{FEED}/0"]
    assert [each["url"] for each in rest["results"]] == [FEED]
    assert (ended.status_code, client.get(path).status_code) == (204, 404)
    assert FeedSubscription.objects.filter(owner=bob).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "url", "required"),
        ({"url": ""}, "url", "blank"),
        ({"url": "feed"}, "url", "invalid_url"),
        ({"url": "file:///etc/passwd"}, "url", "invalid_url"),
        ({"url": "http://example.org:22/"}, "url", "invalid_url"),
        ({"url": "https://example.org/" + "a" * 3000}, "url", "max_length"),
        ({"url": "https://example.org/" + "é" * 1000}, "url", "invalid_url"),
        ({"url": "https://example.org/\0"}, "url", "null_characters_not_allowed"),
        ({"url": FEED, "title": "a" * 501}, "title", "max_length"),
        ({"url": FEED, "visibility": "SECRET"}, "visibility", "invalid_choice"),
        ({"url": FEED, "collection": "x"}, "collection", "invalid"),
        (
            {"url": FEED, "collection": "01890000-0000-7000-8000-000000000000"},
            *("collection", "does_not_exist"),
        ),
    ],
)
def test_what_cannot_be_subscribed_to_is_refused_by_field(
    alice: User, client_of: Client, body: Any, field: str, code: str
) -> None:
    response = client_of(alice).post(SUBSCRIPTIONS, body)

    assert response.status_code == 400
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [
        (field, code)
    ]
    assert not WebFeed.objects.exists()


@pytest.mark.django_db
def test_one_person_has_a_bounded_number_of_subscriptions(
    alice: User, bob: User, client_of: Client, settings: Any
) -> None:
    settings.SUBSCRIPTIONS_PER_PERSON = 2
    client = client_of(alice)
    urls = (FEED, f"{FEED}/2", f"{FEED}/3", FEED)

    answers = [client.post(SUBSCRIPTIONS, {"url": url}) for url in urls]
    others = client_of(bob).post(SUBSCRIPTIONS, {"url": FEED})

    assert [each.status_code for each in answers] == [201, 201, 400, 200]
    assert answers[2].json()["errors"][0]["code"] == "too_many"
    assert answers[2].json()["errors"][0]["detail"] == subscribing.TOO_MANY.format(used=2, limit=2)
    assert others.status_code == 201


@pytest.mark.django_db
def test_the_same_key_is_the_same_subscription(alice: User, client_of: Client) -> None:
    client, key = client_of(alice), {"Idempotency-Key": "k"}
    first = client.post(SUBSCRIPTIONS, {"url": FEED}, headers=key)
    again = client.post(SUBSCRIPTIONS, {"url": FEED}, headers=key)
    other = client.post(SUBSCRIPTIONS, {"url": f"{FEED}/2"}, headers=key)

    assert (again.status_code, again.json()) == (201, first.json())
    assert other.status_code == 422
    assert FeedSubscription.objects.count() == 1


@pytest.mark.django_db
def test_nobody_subscribes_for_others(bob: User, alice: User, client_of: Client) -> None:
    own = Collection.objects.create(owner=alice, name="Alice's")

    anonymous = APIClient().post(SUBSCRIPTIONS, {"url": FEED})
    refused = client_of(bob).post(SUBSCRIPTIONS, {"url": FEED, "collection": str(own.pk)})

    assert (anonymous.status_code, refused.status_code) == (401, 400)
    assert not FeedSubscription.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "spelt", ["http://example.org/feed", "feed://example.org/feed", "feed:https://example.org/feed"]
)
def test_a_feed_is_one_subscription_however_its_address_is_spelt(
    alice: User, bob: User, client_of: Client, spelt: str
) -> None:
    first = client_of(alice).post(SUBSCRIPTIONS, {"url": FEED})
    again = client_of(alice).post(SUBSCRIPTIONS, {"url": spelt})
    others = client_of(bob).post(SUBSCRIPTIONS, {"url": spelt})

    assert (first.status_code, again.status_code, others.status_code) == (201, 200, 201)
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["url"] == FEED
    assert WebFeed.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_spellings_at_the_same_moment_are_one_subscription(alice: User) -> None:
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            services.subscribe_to(owner=alice, url=FEED)
            second = other.submit(in_thread, alice, "http://example.org/feed")
            wait_for(
                lambda: waits_for_a_lock() or second.done(), seconds=20, what="the second waits"
            )
        _, created = second.result()

    assert not created
    assert FeedSubscription.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_subscription_that_ends_while_it_is_asked_for_again_is_shown(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _ = services.subscribe_to(owner=alice, url=FEED)
    with ThreadPoolExecutor(1) as other:

        def then_unsubscribe(*args: Any, **options: Any) -> Any:
            result = subscribing.subscribe(*args, **options)
            ending = other.submit(unsubscribe_in_thread, known)
            wait_for(lambda: waits_for_a_lock() or ending.done(), seconds=20, what="it ends")
            return result

        monkeypatch.setattr(services, "subscribe", then_unsubscribe)
        found, created = services.subscribe_to(owner=alice, url=FEED)

    assert (found.pk, created) == (known.pk, False)
    assert not FeedSubscription.objects.exists()


def unsubscribe_in_thread(subscription: FeedSubscription) -> None:
    """End a subscription on a connection of the thread's own."""
    try:
        services.unsubscribe(subscription)
    finally:
        connection.close()


def in_thread(owner: User, url: str) -> tuple[FeedSubscription, bool]:
    """Subscribe on a connection of the thread's own."""
    try:
        return services.subscribe_to(owner=owner, url=url)
    finally:
        connection.close()


def waits_for_a_lock() -> bool:
    """Return whether a session waits for another one's lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchall())
