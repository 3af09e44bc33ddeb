from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from accounts.models import User
from api.pagination import CursorPagination
from api.views import ListAPIView
from cards.models import Card
from cards.services import CardDraft, add_card, add_cards

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
CARDS = "/api/v1/cards/"


def notes(curator: User, count: int) -> None:
    drafts = [CardDraft(type="NOTE", text=str(number)) for number in range(count)]
    add_cards(curator=curator, drafts=drafts)


def texts(page: dict[str, Any]) -> list[str]:
    return [card["text"] for card in page["results"]]


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_pages_follow_each_other_both_ways(alice: User, client_of: Client) -> None:
    notes(alice, 5)
    client = client_of(alice)

    first = client.get(f"{CARDS}?page_size=2").json()
    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()
    back = client.get(third["previous"]).json()
    start = client.get(back["previous"]).json()

    assert [texts(page) for page in (first, second, third)] == [["4", "3"], ["2", "1"], ["0"]]
    assert (first["previous"], third["next"]) == (None, None)
    assert (texts(back), texts(start)) == (["2", "1"], ["4", "3"])
    assert start["previous"] is None
    assert texts(client.get(start["next"]).json()) == ["2", "1"]


def test_pages_stay_what_they_are_while_cards_come_and_go(alice: User, client_of: Client) -> None:
    notes(alice, 6)
    client = client_of(alice)
    first = client.get(f"{CARDS}?page_size=2").json()

    notes(alice, 3)
    Card.objects.filter(pk__in=[card["id"] for card in first["results"]]).delete()

    assert texts(client.get(first["next"]).json()) == ["3", "2"]


def test_a_full_last_page_has_no_next(alice: User, client_of: Client) -> None:
    notes(alice, 4)
    client = client_of(alice)

    first = client.get(f"{CARDS}?page_size=2").json()

    assert client.get(first["next"]).json()["next"] is None


def test_the_size_of_pages_has_bounds(alice: User, client_of: Client) -> None:
    notes(alice, 210)
    client = client_of(alice)

    sizes = {
        size: len(client.get(f"{CARDS}?page_size={size}").json()["results"])
        for size in ("1", "200")
    }

    assert sizes == {"1": 1, "200": 200}
    assert len(client.get(CARDS).json()["results"]) == 50


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%00",
        "é",
        "9" * 10_000,
        encoded(">"),
        encoded("<x"),
        encoded(">\x00"),
        encoded("?01890000-0000-7000-8000-000000000000"),
        encoded(">" + "9" * 60),
        encoded(">ü"),
    ],
)
def test_a_cursor_that_we_did_not_make_is_400(alice: User, client_of: Client, cursor: str) -> None:
    client = client_of(alice)

    for path in (CARDS, "/api/v1/users/alice/followers/"):
        response = client.get(f"{path}?cursor={cursor}")
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "cursor"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(position=st.text(max_size=40), direction=st.sampled_from("<>"))
def test_any_position_is_a_page_or_400(
    alice: User, client_of: Client, position: str, direction: str
) -> None:
    client = client_of(alice)

    for path in (CARDS, "/api/v1/users/alice/followers/"):
        response = client.get(path, {"cursor": encoded(direction + position)})
        assert response.status_code in (200, 400)


def test_the_last_cursor_of_an_emptied_list_is_an_empty_page(
    alice: User, client_of: Client
) -> None:
    notes(alice, 2)
    client = client_of(alice)
    following = client.get(f"{CARDS}?page_size=1").json()["next"]
    Card.objects.all().delete()

    page = client.get(following).json()

    assert page == {"next": None, "previous": None, "results": []}


def test_a_list_can_be_ordered_by_a_foreign_key(alice: User) -> None:
    class ByCurator(ListAPIView[Card]):
        cursor_ordering = "curator_id"

    add_card(curator=alice, type="NOTE", text="x")
    paginator = CursorPagination()
    request = Request(APIRequestFactory().get("/", {"cursor": encoded(f">{alice.pk - 1}")}))

    page = paginator.paginate_queryset(Card.objects.all(), request, ByCurator())

    assert [card.curator_id for card in page] == [alice.pk]
