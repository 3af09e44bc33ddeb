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
from cards.serializers import CardSerializer
from cards.services import AddedCard, CardDraft, add_card, add_cards, create_collection
from eventbook.models import Event
from eventbook.record.outbox import Priority
from pages.models import Url

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
CARDS = "/api/v1/cards/"
PAGE = "https://example.org/page"


def event_types() -> list[str]:
    events = Event.objects.exclude(type__startswith="user.").order_by("id")
    return list(events.values_list("type", flat=True))


def errors(response: Any) -> list[tuple[str, str]]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


def test_a_new_page_makes_a_card_and_tells_of_it(alice: User, client_of: Client) -> None:
    body = {"type": "URL", "url": "http://Example.org/page?utm_source=x#top", "title": "A page"}

    response = client_of(alice).post(CARDS, body)

    assert response.status_code == 201
    card = response.json()
    assert card["url"] == "http://Example.org/page?utm_source=x#top"
    assert card["canonical_url"] == PAGE
    assert card["curator"] == {"username": "alice", "display_name": ""}
    assert (card["visibility"], card["parent"], card["reference"]) == ("PUBLIC", None, {})
    event = Event.objects.get(type="card.added")
    assert event.data == {
        "card_id": card["id"],
        "curator_id": alice.pk,
        "url_id": Url.objects.get().pk,
        "card_type": "URL",
        "visibility": "PUBLIC",
    }


def test_the_representation_has_exactly_the_documented_fields(alice: User) -> None:
    card, _ = add_card(curator=alice, type="URL", url=PAGE)

    assert tuple(CardSerializer(card).data) == CardSerializer.Meta.fields


def test_the_same_page_again_answers_the_card_as_it_is(alice: User, client_of: Client) -> None:
    client = client_of(alice)
    first = client.post(CARDS, {"type": "URL", "url": PAGE, "title": "First"})

    again = client.post(CARDS, {"type": "URL", "url": f"{PAGE}#x", "title": "Second"})

    assert again.status_code == 200
    assert again.json() == first.json()
    assert event_types() == ["card.added"]


def test_a_page_belongs_to_each_curator_once(alice: User, bob: User) -> None:
    cards = [add_card(curator=curator, type="URL", url=PAGE) for curator in (alice, bob, alice)]

    assert [created for _, created in cards] == [True, True, False]
    assert Url.objects.count() == 1
    assert Card.objects.count() == 2


def test_a_page_saved_again_still_joins_the_collections_given(alice: User) -> None:
    collection = create_collection(owner=alice, name="Reading")
    add_card(curator=alice, type="URL", url=PAGE)

    for _ in range(2):
        _, created = add_card(curator=alice, type="URL", url=PAGE, collections=[collection.pk])

    assert created is False
    assert collection.places.count() == 1
    assert event_types() == ["collection.created", "card.added", "collection.card_added"]


@pytest.mark.django_db(transaction=True)
def test_adding_a_page_from_many_requests_at_once_makes_one_card(alice: User) -> None:
    def add(number: int) -> bool:
        try:
            return add_card(curator=alice, type="URL", url=f"{PAGE}#{number}")[1]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(add, range(24)))

    assert created.count(True) == 1
    assert Card.objects.count() == Url.objects.count() == 1
    assert event_types() == ["card.added"]


@pytest.mark.django_db(transaction=True)
def test_many_curators_adding_the_same_pages_in_any_order_never_deadlock(
    alice: User, bob: User
) -> None:
    pages = [f"https://example.org/{number}" for number in range(60)]

    def add(turn: int) -> int:
        try:
            order = pages if turn % 2 else pages[::-1]
            drafts = [CardDraft(type="URL", url=url) for url in order]
            outcomes = add_cards(curator=alice if turn % 4 < 2 else bob, drafts=drafts)
            return sum(each.created for each in outcomes if isinstance(each, AddedCard))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(add, range(16)))

    assert sum(created) == Card.objects.count() == 2 * len(pages)
    assert Url.objects.count() == len(pages)
    assert event_types() == ["card.added"] * 2 * len(pages)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("type", "required")]),
        ({"type": "PAGE"}, [("type", "invalid_choice")]),
        ({"type": "URL"}, [("url", "required")]),
        ({"type": "URL", "url": ""}, [("url", "required")]),
        ({"type": "URL", "url": "nothing"}, [("url", "invalid_url")]),
        ({"type": "URL", "url": "https://a:b@example.org/"}, [("url", "invalid_url")]),
        ({"type": "URL", "url": 7}, [("url", "invalid")]),
        ({"type": "URL", "url": {}}, [("url", "invalid")]),
        ({"type": "URL", "url": PAGE + "\x00"}, [("url", "null_characters_not_allowed")]),
        ({"type": "URL", "url": PAGE + "a" * 2048}, [("url", "max_length")]),
        ({"type": "NOTE", "url": PAGE, "text": "x"}, [("url", "not_allowed")]),
        ({"type": "NOTE", "text": " "}, [("text", "required")]),
        ({"type": "NOTE", "text": "x" * 20_001}, [("text", "max_length")]),
        ({"type": "REFERENCE"}, [("title", "required")]),
        ({"type": "NOTE", "text": "x", "title": "y" * 501}, [("title", "max_length")]),
        ({"type": "NOTE", "text": "x", "visibility": "SECRET"}, [("visibility", "invalid_choice")]),
        ({"type": "NOTE", "text": "x", "parent": "7"}, [("parent", "invalid")]),
        (
            {"type": "NOTE", "text": "x", "parent": "01890000-0000-7000-8000-000000000000"},
            [("parent", "does_not_exist")],
        ),
        (
            {"type": "NOTE", "text": "x", "collections": ["01890000-0000-7000-8000-000000000000"]},
            [("collections", "does_not_exist")],
        ),
        ({"type": "NOTE", "text": "x", "collections": ["x"]}, [("collections.0", "invalid")]),
        ({"type": "NOTE", "text": "x", "reference": {"DOI": "1"}}, [("reference", "not_allowed")]),
        ([], [("", "invalid")]),
        ("x", [("", "invalid")]),
    ],
)
def test_a_card_that_cannot_be_says_which_field_and_leaves_nothing(
    alice: User, client_of: Client, body: Any, expected: list[tuple[str, str]]
) -> None:
    response = client_of(alice).post(CARDS, body)

    assert response.status_code == 400
    assert errors(response) == expected
    assert Card.objects.count() == Url.objects.count() == 0
    assert event_types() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nope", b"\xff", b"[" * 100_000, b'{"type": NaN}', b'"\\ud800"', b"1" * 5000],
)
def test_a_body_that_is_not_json_is_400(alice: User, client_of: Client, body: bytes) -> None:
    response = client_of(alice).post(CARDS, body, content_type="application/json")

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"


def test_another_kind_of_body_is_415_and_one_too_long_is_413(
    alice: User, client_of: Client, settings: Any
) -> None:
    client = client_of(alice)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    form = client.post(CARDS, b"type=NOTE", content_type="application/x-www-form-urlencoded")
    long = client.post(CARDS, {"type": "NOTE", "text": "x" * 100})

    assert (form.status_code, long.status_code) == (415, 413)


def test_a_private_card_of_another_cannot_be_a_parent(alice: User, bob: User) -> None:
    private, _ = add_card(curator=alice, type="NOTE", text="mine", visibility="PRIVATE")
    public, _ = add_card(curator=alice, type="NOTE", text="for all")

    child, _ = add_card(curator=bob, type="NOTE", text="reply", parent=public.pk)
    with pytest.raises(ValidationError) as refused:
        add_card(curator=bob, type="NOTE", text="reply", parent=private.pk)

    assert child.parent_id == public.pk
    assert set(refused.value.message_dict) == {"parent"}


def test_a_collection_of_another_takes_no_card(alice: User, bob: User) -> None:
    collection = create_collection(owner=alice, name="Reading")

    with pytest.raises(ValidationError) as refused:
        add_card(curator=bob, type="NOTE", text="x", collections=[collection.pk])

    assert set(refused.value.message_dict) == {"collections"}
    assert Card.objects.count() == 0


def test_the_number_of_queries_does_not_depend_on_the_number_of_cards(
    alice: User, django_assert_num_queries: Any
) -> None:
    collection = create_collection(owner=alice, name="Reading")
    parent, _ = add_card(curator=alice, type="NOTE", text="parent")

    for start, count in ((0, 10), (1_000, 1_000)):
        drafts = [
            CardDraft(
                type="URL",
                url=f"https://example.org/{start + number}",
                parent=parent.pk,
                collections=[collection.pk],
            )
            for number in range(count)
        ]
        # Parents, collections, cards with their pages, places, events.
        with django_assert_num_queries(5):
            outcomes = add_cards(curator=alice, drafts=drafts)
        assert all(isinstance(each, AddedCard) and each.created for each in outcomes)


def test_one_card_costs_one_statement_and_its_event(
    alice: User, django_assert_num_queries: Any
) -> None:
    # The card with its page, the event.
    with django_assert_num_queries(2):
        add_card(curator=alice, type="URL", url=PAGE)


def test_bulk_work_waits_behind_interactive_work(alice: User) -> None:
    add_card(curator=alice, type="NOTE", text="one")
    add_cards(curator=alice, drafts=[CardDraft(type="NOTE", text="many")])

    priorities = Event.objects.filter(type="card.added").order_by("id")
    assert list(priorities.values_list("priority", flat=True)) == [
        Priority.INTERACTIVE,
        Priority.BULK,
    ]


def test_cards_are_ordered_as_they_were_added_whatever_their_pages(alice: User) -> None:
    urls = [f"https://example.org/{name}" for name in "zaybxc"]
    add_cards(curator=alice, drafts=[CardDraft(type="URL", url=url) for url in urls[::-1]])
    add_cards(curator=alice, drafts=[CardDraft(type="URL", url=url + "2") for url in urls])

    links = list(Card.objects.order_by("id").values_list("link", flat=True))

    assert links == urls[::-1] + [url + "2" for url in urls]
