"""Reading feeds: public cards only, newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.events import UserFollowed
from accounts.models import User
from accounts.services import follow
from cards.events import CardAdded
from cards.models import Card, CollectionCard
from cards.services import add_card_to_collection
from feeds import handlers
from tests.harness.deliveries import recorded
from tests.library import PAGE, collection_of, save, save_many

pytestmark = pytest.mark.django_db

FEEDS = "/api/v1/feeds/"
ClientOf = Callable[[User], APIClient]


def deliver() -> None:
    """Pass all events to the handlers, without broker and workers."""
    handlers.backfill(recorded(UserFollowed))
    handlers.fan_out(recorded(CardAdded))


def results(client: APIClient, path: str) -> list[dict[str, Any]]:
    answer = client.get(f"{FEEDS}{path}")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def ids(client: APIClient, path: str) -> list[str]:
    return [card["id"] for card in results(client, path)]


def newest_first(*cards: Card) -> list[str]:
    return [str(card.pk) for card in reversed(cards)]


def test_each_feed_shows_its_public_cards_newest_first(
    alice: User, bob: User, charlie: User, client_of: ClientOf
) -> None:
    follow(follower=bob, followed=alice)
    first, second = save_many(alice, 2)
    save_many(alice, 1, private=True)
    own = save(bob)
    strange = save(charlie)
    deliver()
    client = client_of(bob)

    assert ids(client, "global/") == newest_first(first, second, own, strange)
    assert ids(client, "following/") == newest_first(first, second)
    assert ids(client, "users/alice/") == ids(client, "users/ALICE/") == newest_first(first, second)


def test_an_item_is_the_card(alice: User, bob: User, client_of: ClientOf) -> None:
    card = save(alice, title="On Reading")
    client = client_of(bob)

    (item,) = results(client, "global/")

    assert item == client.get(f"/api/v1/cards/{card.pk}/").json()
    assert item["curator"]["username"] == "alice"


def test_private_cards_appear_in_no_feed_not_even_ones_own(
    alice: User, bob: User, client_of: ClientOf
) -> None:
    follow(follower=bob, followed=alice)
    card = save(alice, private=True)
    collection = collection_of(alice)
    add_card_to_collection(collection=collection, card=card, added_by=alice)
    deliver()

    for reader in (alice, bob):
        client = client_of(reader)
        for feed in ("global/", "following/", "users/alice/", f"collections/{collection.pk}/"):
            assert ids(client, feed) == []


def test_a_collection_shows_the_last_added_first(
    alice: User, bob: User, client_of: ClientOf
) -> None:
    older, newer = save_many(bob, 2)
    collection = collection_of(alice)
    for card in (newer, older):
        add_card_to_collection(collection=collection, card=card, added_by=alice)

    items = results(client_of(bob), f"collections/{collection.pk}/")

    assert [item["id"] for item in items] == [str(older.pk), str(newer.pk)]
    place = CollectionCard.objects.get(card=older)
    assert items[0]["added_to_collection_at"] == place.created_at.isoformat().replace("+00:00", "Z")


def test_a_private_collection_is_its_owners_alone(
    alice: User, bob: User, client_of: ClientOf
) -> None:
    collection = collection_of(alice, private=True)
    add_card_to_collection(collection=collection, card=save(alice), added_by=alice)

    assert len(results(client_of(alice), f"collections/{collection.pk}/")) == 1
    assert client_of(bob).get(f"{FEEDS}collections/{collection.pk}/").status_code == 404


NOBODYS = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "path",
    ["users/nobody/", "users/a%00b/", "users/" + "a" * 300 + "/", f"collections/{NOBODYS}/"],
)
def test_a_feed_of_nobody_or_nothing_is_not_found(
    bob: User, client_of: ClientOf, path: str
) -> None:
    answer = client_of(bob).get(f"{FEEDS}{path}")

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["global/", "following/", "users/bob/"])
def test_feeds_are_for_people_with_an_account(bob: User, path: str) -> None:
    assert APIClient().get(f"{FEEDS}{path}").status_code == 401


@pytest.mark.parametrize("feed", ["global/", "following/", "users/alice/", "collections/{}/"])
def test_pages_are_stable_while_cards_are_added(
    alice: User, bob: User, client_of: ClientOf, feed: str
) -> None:
    follow(follower=bob, followed=alice)
    collection = collection_of(alice)
    cards = save_many(alice, 10)
    for card in cards:
        add_card_to_collection(collection=collection, card=card, added_by=alice)
    deliver()
    client = client_of(bob)

    page = client.get(f"{FEEDS}{feed.format(collection.pk)}?page_size=4").json()
    seen = [card["id"] for card in page["results"]]
    while page["next"]:
        new = save(alice, f"{PAGE}/meanwhile/{len(seen)}")
        add_card_to_collection(collection=collection, card=new, added_by=alice)
        deliver()
        page = client.get(page["next"]).json()
        seen += [card["id"] for card in page["results"]]

    assert seen == newest_first(*cards)


@pytest.mark.parametrize(
    ("feed", "queries"),
    [("global/", 2), ("following/", 6), ("users/alice/", 3), ("collections/{}/", 3)],
)
def test_the_number_of_statements_does_not_depend_on_the_page(
    alice: User,
    bob: User,
    client_of: ClientOf,
    django_assert_num_queries: DjangoAssertNumQueries,
    feed: str,
    queries: int,
) -> None:
    follow(follower=bob, followed=alice)
    collection = collection_of(alice)
    for card in save_many(alice, 10):
        add_card_to_collection(collection=collection, card=card, added_by=alice)
    deliver()
    client = client_of(bob)

    for size in (2, 10):
        with django_assert_num_queries(queries):
            path = f"{feed.format(collection.pk)}?page_size={size}"
            assert len(results(client, path)) == size
