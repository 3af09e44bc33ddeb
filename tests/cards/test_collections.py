from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card, Collection, CollectionCard
from cards.services import add_card, add_card_to_collection, create_collection
from eventbook.models import Event

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
COLLECTIONS = "/api/v1/collections/"


def event_types() -> list[str]:
    events = Event.objects.filter(type__startswith="collection.").order_by("id")
    return list(events.values_list("type", flat=True))


@pytest.fixture
def reading(alice: User) -> Collection:
    return create_collection(owner=alice, name="Reading")


@pytest.fixture
def note(alice: User) -> Card:
    return add_card(curator=alice, type="NOTE", text="note")[0]


def test_a_collection_is_made_changed_and_removed(alice: User, client_of: Client) -> None:
    client = client_of(alice)

    made = client.post(COLLECTIONS, {"name": "Reading"})
    path = f"{COLLECTIONS}{made.json()['id']}/"
    client.patch(path, {"name": "Reading"})
    changed = client.patch(path, {"description": "To read", "visibility": "PRIVATE"}).json()
    codes = [client.delete(path).status_code for _ in range(2)]

    assert made.status_code == 201
    assert made.json()["owner"] == {"username": "alice", "display_name": ""}
    assert (changed["description"], changed["visibility"]) == ("To read", "PRIVATE")
    assert codes == [204, 404]
    assert event_types() == ["collection.created", "collection.updated", "collection.removed"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "x\x00"}, "name"),
        ({"name": "x", "visibility": "SECRET"}, "visibility"),
        ({"name": "x", "description": "x" * 2001}, "description"),
        ([], ""),
    ],
)
def test_a_collection_that_cannot_be_says_which_field(
    alice: User, client_of: Client, body: Any, field: str
) -> None:
    response = client_of(alice).post(COLLECTIONS, body)

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert Collection.objects.count() == 0


def test_a_collection_takes_a_card_once(
    alice: User, reading: Collection, note: Card, client_of: Client
) -> None:
    client, path = client_of(alice), f"{COLLECTIONS}{reading.pk}/cards/"

    codes = [client.post(path, {"card": str(note.pk)}).status_code for _ in range(2)]
    gone = [client.delete(f"{path}{note.pk}/").status_code for _ in range(2)]

    assert (codes, gone) == ([201, 200], [204, 204])
    assert event_types() == [
        "collection.created",
        "collection.card_added",
        "collection.card_removed",
    ]


def test_a_collection_is_its_owners_to_fill(
    alice: User, bob: User, reading: Collection, note: Card, client_of: Client
) -> None:
    add_card_to_collection(collection=reading, card=note, added_by=alice)
    client, path = client_of(bob), f"{COLLECTIONS}{reading.pk}/"

    assert client.get(path).status_code == 200
    refused = [
        client.patch(path, {"name": "x"}),
        client.delete(path),
        client.post(f"{path}cards/", {"card": str(note.pk)}),
        client.delete(f"{path}cards/{note.pk}/"),
    ]
    assert [response.status_code for response in refused] == [403] * 4
    assert CollectionCard.objects.count() == 1


def test_a_private_collection_is_there_for_its_owner_only(
    alice: User, bob: User, reading: Collection, client_of: Client
) -> None:
    Collection.objects.update(visibility="PRIVATE")
    client, path = client_of(bob), f"{COLLECTIONS}{reading.pk}/"

    answers = [client.get(path), client.get(f"{path}cards/"), client.delete(path)]

    assert [response.status_code for response in answers] == [404] * 3
    assert client_of(alice).get(path).status_code == 200


def test_a_collection_takes_public_cards_of_others_and_no_private_ones(
    reading: Collection, alice: User, bob: User, client_of: Client
) -> None:
    public, _ = add_card(curator=bob, type="NOTE", text="for all")
    private, _ = add_card(curator=bob, type="NOTE", text="mine", visibility="PRIVATE")
    client, path = client_of(alice), f"{COLLECTIONS}{reading.pk}/cards/"

    taken = client.post(path, {"card": str(public.pk)})
    refused = [client.post(path, {"card": card}) for card in (str(private.pk), "x", None)]

    assert taken.status_code == 201
    assert [response.status_code for response in refused] == [400] * 3
    assert {response.json()["errors"][0]["field"] for response in refused} == {"card"}


def test_a_private_card_in_a_public_collection_is_seen_by_its_curator_only(
    alice: User, bob: User, reading: Collection, note: Card, client_of: Client
) -> None:
    private, _ = add_card(
        curator=alice, type="NOTE", text="mine", visibility="PRIVATE", collections=[reading.pk]
    )
    add_card_to_collection(collection=reading, card=note, added_by=alice)
    path = f"{COLLECTIONS}{reading.pk}/cards/"

    def seen(user: User) -> list[str]:
        return [card["id"] for card in client_of(user).get(path).json()["results"]]

    assert seen(alice) == [str(note.pk), str(private.pk)]
    assert seen(bob) == [str(note.pk)]


def test_the_cards_of_a_collection_are_read_page_by_page_with_few_queries(
    alice: User, reading: Collection, client_of: Client, django_assert_num_queries: Any
) -> None:
    cards = [
        add_card(
            curator=alice, type="URL", url=f"https://example.org/{n}", collections=[reading.pk]
        )
        for n in range(5)
    ]
    client, path = client_of(alice), f"{COLLECTIONS}{reading.pk}/cards/?page_size=3"

    # The token, the collection, the page.
    with django_assert_num_queries(3):
        first = client.get(path).json()
    rest = client.get(first["next"]).json()

    listed = [card["id"] for page in (first, rest) for card in page["results"]]
    assert listed == [str(card.pk) for card, _ in cards[::-1]]


def test_removing_a_collection_leaves_its_cards(
    alice: User, reading: Collection, note: Card, client_of: Client
) -> None:
    add_card_to_collection(collection=reading, card=note, added_by=alice)

    client_of(alice).delete(f"{COLLECTIONS}{reading.pk}/")

    assert Card.objects.count() == 1
    assert CollectionCard.objects.count() == 0
    assert event_types()[-1] == "collection.removed"
