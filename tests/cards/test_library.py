from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from cards.services import add_card, create_collection, remove_card, update_card
from eventbook.models import Event

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
CARDS = "/api/v1/cards/"
PAGE = "https://example.org/page"


def event_data(kind: str) -> list[dict[str, Any]]:
    return list(Event.objects.filter(type=kind).order_by("id").values_list("data", flat=True))


def ids(response: Any) -> list[str]:
    assert response.status_code == 200
    return [each["id"] for each in response.json()["results"]]


@pytest.fixture
def public(alice: User) -> Card:
    return add_card(curator=alice, type="URL", url=PAGE, title="Public")[0]


@pytest.fixture
def private(alice: User) -> Card:
    return add_card(curator=alice, type="NOTE", text="mine", visibility="PRIVATE")[0]


def test_a_private_card_is_there_for_its_curator_only(
    alice: User, bob: User, charlie: User, private: Card, client_of: Client
) -> None:
    path = f"{CARDS}{private.pk}/"

    assert client_of(alice).get(path).status_code == 200
    for other in (client_of(bob), client_of(charlie)):
        for answer in (other.get(path), other.patch(path, {"title": "x"}), other.delete(path)):
            assert answer.status_code == 404
    assert Card.objects.count() == 1
    assert APIClient().get(path).status_code == 401


def test_a_public_card_is_changed_by_its_curator_only(
    public: Card, bob: User, client_of: Client
) -> None:
    client, path = client_of(bob), f"{CARDS}{public.pk}/"

    codes = [
        client.get(path).status_code,
        client.patch(path, {"title": "x"}).status_code,
        client.delete(path).status_code,
    ]

    assert codes == [200, 403, 403]
    assert Card.objects.get().title == "Public"


def test_a_change_is_told_and_no_change_is_not(
    alice: User, public: Card, client_of: Client
) -> None:
    client, path = client_of(alice), f"{CARDS}{public.pk}/"

    same = client.patch(path, {"title": "Public", "url": PAGE}).json()
    changed = client.patch(path, {"visibility": "PRIVATE", "url": f"{PAGE}/2"}).json()

    assert same["updated_at"] != changed["updated_at"]
    assert changed["canonical_url"] == f"{PAGE}/2"
    (event,) = event_data("card.updated")
    assert (event["card_id"], event["visibility"]) == (str(public.pk), "PRIVATE")


def test_a_card_cannot_take_the_page_of_another(alice: User, client_of: Client) -> None:
    add_card(curator=alice, type="URL", url=PAGE)
    other, _ = add_card(curator=alice, type="URL", url=f"{PAGE}/2")

    response = client_of(alice).patch(f"{CARDS}{other.pk}/", {"url": PAGE})

    assert response.status_code == 400
    assert response.json()["errors"][0] | {"detail": ""} == {
        "field": "url",
        "code": "taken",
        "detail": "",
    }
    assert event_data("card.updated") == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": None}, "url"),
        ({"url": ""}, "url"),
        ({"url": "nothing"}, "url"),
        ({"visibility": None}, "visibility"),
        ({"title": None}, "title"),
        ({"parent": "x"}, "parent"),
        ({"reference": []}, "reference"),
    ],
)
def test_a_change_that_cannot_be_says_which_field(
    alice: User, public: Card, client_of: Client, change: Any, field: str
) -> None:
    response = client_of(alice).patch(f"{CARDS}{public.pk}/", change)

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert event_data("card.updated") == []


def test_a_card_is_not_its_own_parent(alice: User, public: Card, private: Card) -> None:
    with pytest.raises(ValidationError, match="own parent"):
        update_card(card=public, parent=public.pk)

    assert update_card(card=public, parent=private.pk).parent_id == private.pk
    assert update_card(card=public, parent=None).parent_id is None


def test_removing_a_card_takes_its_places_and_frees_its_children(
    alice: User, public: Card, client_of: Client
) -> None:
    collection = create_collection(owner=alice, name="Reading")
    add_card(curator=alice, type="URL", url=PAGE, collections=[collection.pk])
    child, _ = add_card(curator=alice, type="NOTE", text="child", parent=public.pk)

    codes = [client_of(alice).delete(f"{CARDS}{public.pk}/").status_code for _ in range(2)]

    assert codes == [204, 404]
    assert collection.places.count() == 0
    child.refresh_from_db()
    assert child.parent_id is None
    assert [event["card_id"] for event in event_data("card.removed")] == [str(public.pk)]


@pytest.mark.django_db(transaction=True)
def test_removing_a_card_from_many_requests_at_once_is_told_once(public: Card) -> None:
    def remove(_: int) -> bool:
        try:
            return remove_card(card=public)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        removed = list(pool.map(remove, range(6)))

    assert removed.count(True) == 1
    assert len(event_data("card.removed")) == 1


def test_the_library_lists_ones_own_cards_newest_first(
    alice: User, bob: User, public: Card, private: Card, client_of: Client
) -> None:
    collection = create_collection(owner=alice, name="Reading")
    add_card(curator=alice, type="URL", url=PAGE, collections=[collection.pk])
    client = client_of(alice)

    assert ids(client.get(CARDS)) == [str(private.pk), str(public.pk)]
    assert ids(client.get(f"{CARDS}?type=NOTE")) == [str(private.pk)]
    assert ids(client.get(f"{CARDS}?visibility=PUBLIC")) == [str(public.pk)]
    assert ids(client.get(f"{CARDS}?collection={collection.pk}")) == [str(public.pk)]
    assert ids(client.get(f"{CARDS}?url=HTTP://EXAMPLE.org/page%23x")) == [str(public.pk)]
    assert ids(client_of(bob).get(CARDS)) == []


@pytest.mark.parametrize(
    "query",
    ["type=x", "visibility=x", "collection=7", "url=x", "url=%00", "page_size=x", "cursor=x"],
)
def test_a_filter_that_cannot_be_read_is_400(alice: User, client_of: Client, query: str) -> None:
    response = client_of(alice).get(f"{CARDS}?{query}")

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == query.partition("=")[0]


def test_all_that_was_saved_about_a_page_is_found(
    alice: User, bob: User, charlie: User, public: Card, client_of: Client
) -> None:
    bobs, _ = add_card(curator=bob, type="URL", url="http://EXAMPLE.org/page#x")
    add_card(curator=charlie, type="URL", url=PAGE, visibility="PRIVATE")
    client = client_of(alice)

    expected = [str(bobs.pk), str(public.pk)]
    assert ids(client.get(f"{CARDS}about/?url={PAGE}")) == expected
    assert ids(client.get(f"{CARDS}{public.pk}/same-page/")) == expected
    assert len(ids(client_of(charlie).get(f"{CARDS}about/?url={PAGE}"))) == 3
    assert client.get(f"{CARDS}about/").status_code == 400
    assert client.get(f"{CARDS}about/?url=x").status_code == 400


def test_a_list_costs_the_same_queries_whatever_its_length(
    alice: User, client_of: Client, django_assert_num_queries: Any
) -> None:
    client = client_of(alice)

    for total in (1, 30):
        for number in range(total):
            add_card(curator=alice, type="URL", url=f"{PAGE}/{total}/{number}")
        # The token and the page.
        with django_assert_num_queries(2):
            client.get(CARDS)


def test_tags_are_kept_in_their_order_and_can_be_changed(alice: User, client_of: Client) -> None:
    client = client_of(alice)
    card = client.post("/api/v1/cards/", {"type": "NOTE", "text": "x", "tags": ["b", "a"]}).json()
    path = f"/api/v1/cards/{card['id']}/"

    changed = client.patch(path, {"tags": ["c"]}).json()
    refused = client.patch(path, {"tags": ["x" * 101]})

    assert (card["tags"], changed["tags"], refused.status_code) == (["b", "a"], ["c"], 400)
    assert Event.objects.filter(type="card.updated").count() == 1


def test_the_library_is_searched_by_words_tags_and_hosts(
    alice: User, bob: User, client_of: Client
) -> None:
    client = client_of(alice)
    physics, _ = add_card(
        curator=alice, type="URL", url="https://EXAMPLE.org/Quanta", title="On Waves",
        text="100% sure", tags=["physics", "to read"],
    )  # fmt: skip
    note, _ = add_card(curator=alice, type="NOTE", text="waves of people", tags=["to read"])
    add_card(curator=bob, type="NOTE", text="waves", tags=["physics"])

    def found(query: str) -> list[str]:
        return ids(client.get(f"{CARDS}?{query}"))

    assert found("q=waves") == [str(note.pk), str(physics.pk)]
    assert found("q=waves+quanta") == [str(physics.pk)]
    assert found("q=100%25+sure") == [str(physics.pk)]
    assert found("q=100_sure") == found("q=nowhere") == []
    assert found("tag=to+read") == [str(note.pk), str(physics.pk)]
    assert found("tag=to+read&tag=physics") == [str(physics.pk)]
    assert found("tag=Physics") == []
    assert found("host=Example.ORG") == [str(physics.pk)]
    assert found("q=waves&type=NOTE&visibility=PUBLIC") == [str(note.pk)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("search=x", "search"),
        ("tags=x", "tags"),
        ("q=" + "a+" * 11, "q"),
        ("host=example.org/x", "host"),
        ("host=a:b@example.org", "host"),
        ("&".join(f"tag={n}" for n in range(11)), "tag"),
        ("collection=01890000-0000-7000-8000-000000000000", "collection"),
    ],
)
def test_a_search_that_means_nothing_here_is_refused(
    alice: User, client_of: Client, query: str, field: str
) -> None:
    response = client_of(alice).get(f"{CARDS}?{query}")

    assert response.status_code == 400
    assert {error["field"] for error in response.json()["errors"]} == {field}
