"""Reading notifications: one's own, of what one may see now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.events import UserFollowed
from accounts.models import User, Visibility
from accounts.services import follow
from cards.events import CardAdded, CollectionCardAdded
from cards.models import Card
from cards.services import (
    add_card_to_collection,
    remove_card,
    remove_collection,
    update_card,
    update_collection,
)
from notifications import handlers, services
from notifications.models import Notification
from tests.harness.deliveries import recorded
from tests.library import PAGE, collection_of, save, save_many

pytestmark = pytest.mark.django_db

URL = "/api/v1/notifications/"
ClientOf = Callable[[User], APIClient]


def deliver() -> None:
    """Pass all events to the handlers, without broker and workers."""
    handlers.notify_card_added(recorded(CardAdded))
    handlers.notify_followed(recorded(UserFollowed))
    handlers.notify_collected(recorded(CollectionCardAdded))


def results(client: APIClient, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"{URL}{query}")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def unread(client: APIClient) -> int:
    count = client.get(f"{URL}unread-count/").json()["count"]
    assert count == len(results(client, "?unread=true&page_size=200"))
    return int(count)


@pytest.fixture
def ten(alice: User, bob: User) -> list[Card]:
    """Ten cards of alice, each of which bob is told of."""
    follow(follower=bob, followed=alice, notify=True)
    cards = save_many(alice, 10)
    deliver()
    return cards


def test_a_notification_says_who_did_what_to_what(
    alice: User, bob: User, client_of: ClientOf
) -> None:
    save(alice)
    card = save(bob, title="On Reading")
    deliver()

    (notification,) = results(client_of(alice))

    assert notification == {
        "id": str(recorded(CardAdded)[1].id),
        "kind": "PAGE_SAVED",
        "text": "bob saved a page that you saved: On Reading",
        "actor": {"username": "bob", "display_name": bob.display_name},
        "card": {"id": str(card.pk), "type": "URL", "title": "On Reading", "url": PAGE},
        "collection": None,
        "created_at": notification["created_at"],
        "read": False,
    }


def test_each_kind_has_a_sentence(
    alice: User, bob: User, charlie: User, client_of: ClientOf
) -> None:
    follow(follower=alice, followed=bob, notify=True)
    follow(follower=charlie, followed=alice)
    save(alice, PAGE)
    save(charlie, PAGE)
    save(bob, f"{PAGE}/2", title="A card")
    card = save(alice, f"{PAGE}/3")
    add_card_to_collection(collection=collection_of(bob), card=card, added_by=bob)
    deliver()

    texts = [notification["text"] for notification in results(client_of(alice))]

    assert texts == [
        "bob added your card to a collection: Reading",
        "bob added a card: A card",
        f"charlie saved a page that you saved: {PAGE}",
        "charlie follows you",
    ]


def test_nobody_reads_or_marks_the_notifications_of_another(
    ten: list[Card], bob: User, charlie: User, client_of: ClientOf
) -> None:
    ids = [notification["id"] for notification in results(client_of(bob))]
    stranger = client_of(charlie)

    answer = stranger.post(f"{URL}mark-read/", {"ids": ids})

    assert (answer.status_code, answer.json()) == (200, {"marked": 0})
    assert results(stranger) == []
    assert (unread(stranger), unread(client_of(bob))) == (0, 10)
    assert APIClient().get(URL).status_code == 401


def test_one_some_or_all_are_marked_read(ten: list[Card], bob: User, client_of: ClientOf) -> None:
    client = client_of(bob)
    ids = [notification["id"] for notification in results(client)]

    one = client.post(f"{URL}mark-read/", {"ids": ids[:1]}).json()
    some = client.post(f"{URL}mark-read/", {"ids": [*ids[:3], ids[1], str(uuid4())]}).json()
    left = unread(client)
    everything = client.post(f"{URL}mark-read/", {"all": True}).json()

    assert (one, some, left) == ({"marked": 1}, {"marked": 2}, 7)
    assert (everything, unread(client)) == ({"marked": 7}, 0)
    assert [notification["read"] for notification in results(client)] == [True] * 10


def test_more_than_one_statement_marks_are_all_marked(
    ten: list[Card], bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MARKED_AT_ONCE", 4)

    assert services.mark_read(recipient=bob) == 10


def test_what_is_gone_or_private_is_neither_listed_nor_counted_nor_marked(
    ten: list[Card], bob: User, client_of: ClientOf
) -> None:
    client = client_of(bob)
    remove_card(card=ten[0])
    update_card(card=ten[1], visibility=Visibility.PRIVATE)

    listed = {notification["card"]["id"] for notification in results(client)}
    counted = unread(client)
    marked = client.post(f"{URL}mark-read/", {"all": True}).json()

    assert listed == {str(card.pk) for card in ten[2:]}
    assert (counted, marked) == (8, {"marked": 8})
    assert Notification.objects.filter(recipient=bob).count() == 10


def test_a_private_or_removed_collection_is_no_longer_told_of(
    alice: User, bob: User, client_of: ClientOf
) -> None:
    hidden, removed = collection_of(bob), collection_of(bob)
    for collection in (hidden, removed):
        add_card_to_collection(collection=collection, card=save(alice), added_by=bob)
    deliver()
    client = client_of(alice)
    before = unread(client)

    update_collection(collection=hidden, visibility=Visibility.PRIVATE)
    remove_collection(collection=removed)

    assert (before, unread(client)) == (2, 0)


def test_a_deactivated_actor_is_no_longer_told_of(
    ten: list[Card], alice: User, bob: User, client_of: ClientOf
) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert unread(client_of(bob)) == 0


def test_pages_are_stable_while_notifications_arrive(
    ten: list[Card], alice: User, bob: User, client_of: ClientOf
) -> None:
    client = client_of(bob)
    first = client.get(f"{URL}?page_size=4").json()
    save(alice, f"{PAGE}/meanwhile")
    deliver()

    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()

    pages = [first, second, third]
    ids = [each["card"]["id"] for page in pages for each in page["results"]]
    assert ids == [str(card.pk) for card in reversed(ten)]
    assert third["next"] is None
    back = client.get(third["previous"]).json()
    assert back["results"] == second["results"]


def test_the_number_of_statements_does_not_depend_on_the_page(
    ten: list[Card],
    bob: User,
    client_of: ClientOf,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_of(bob)

    for size in (2, 10):
        with django_assert_num_queries(2):
            assert len(results(client, f"?page_size={size}")) == size
    with django_assert_num_queries(2):
        client.get(f"{URL}unread-count/")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": "everything"}, "ids"),
        ({"ids": ["no id"]}, "ids.0"),
        ({"ids": ["\x00"]}, "ids.0"),
        ({"ids": [None]}, "ids.0"),
        ({"ids": [10**60]}, "ids.0"),
        ({"ids": [str(uuid4())] * 1001}, "ids"),
        ({"ids": [str(uuid4())], "all": True}, "ids"),
        ({"all": False}, "all"),
        ({"all": "perhaps"}, "all"),
        ({"all": None}, "all"),
    ],
)
def test_a_bad_request_is_refused_by_field_and_marks_nothing(
    ten: list[Card], bob: User, client_of: ClientOf, body: dict[str, Any], field: str
) -> None:
    client = client_of(bob)

    answer = client.post(f"{URL}mark-read/", body)

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert unread(client) == 10


@pytest.mark.parametrize(
    "query", ["?unread=perhaps", "?unread=%00", "?cursor=%00", "?cursor=bm8", "?page_size=x"]
)
def test_bad_query_parameters_are_refused_by_name(
    bob: User, client_of: ClientOf, query: str
) -> None:
    answer = client_of(bob).get(f"{URL}{query}")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query[1:].partition("=")[0]
