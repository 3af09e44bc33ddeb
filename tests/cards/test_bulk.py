from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from eventbook.models import Event
from eventbook.record import admission
from eventbook.record.admission import BacklogCache

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
BULK = "/api/v1/cards/bulk/"


def test_each_card_gets_its_result_in_the_order_of_the_request(
    alice: User, client_of: Client
) -> None:
    client = client_of(alice)
    client.post("/api/v1/cards/", {"type": "URL", "url": "https://example.org/old"})
    cards: list[Any] = [
        {"type": "URL", "url": "https://example.org/new"},
        {"type": "URL", "url": "nothing"},
        {"type": "URL", "url": "http://example.org/old"},
        {"type": "URL", "url": "http://example.org/new#again"},
        {"type": "NOTE", "text": "note"},
        {"type": "NOTE"},
        "not a card",
        None,
        {"type": "NOTE", "text": "x", "parent": "01890000-0000-7000-8000-000000000000"},
    ]

    response = client.post(BULK, {"cards": cards})

    assert response.status_code == 201
    results = response.json()["results"]
    assert [result["status"] for result in results] == [
        "created",
        "invalid",
        "existing",
        "existing",
        "created",
        "invalid",
        "invalid",
        "invalid",
        "invalid",
    ]
    assert results[3]["card"] == results[0]["card"]
    assert [(error["field"], error["code"]) for error in results[1]["errors"]] == [
        ("url", "invalid_url")
    ]
    assert results[6]["errors"][0]["field"] == ""
    assert results[7]["errors"][0]["code"] == "null"
    assert results[8]["errors"][0]["field"] == "parent"
    assert Card.objects.count() == 3
    assert Event.objects.filter(type="card.added").count() == 3


def test_a_request_without_a_valid_card_is_refused_with_every_field(
    alice: User, client_of: Client
) -> None:
    cards: list[Any] = [{"type": "URL", "url": "nothing"}, {"type": "NOTE", "url": {}}, 7]

    response = client_of(alice).post(BULK, {"cards": cards})

    assert response.status_code == 400
    assert {error["field"] for error in response.json()["errors"]} == {
        "cards.0.url",
        "cards.1.url",
        "cards.2",
    }
    assert Card.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"cards": []},
        {"cards": {}},
        {"cards": "x"},
        {"cards": None},
        {"cards": [{"type": "NOTE", "text": "x"}] * 1001},
    ],
)
def test_a_request_that_is_no_list_of_cards_is_refused(
    alice: User, client_of: Client, body: Any
) -> None:
    response = client_of(alice).post(BULK, body)

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert Card.objects.count() == 0


def test_a_thousand_cards_are_one_request_of_few_queries(
    alice: User, client_of: Client, django_assert_max_num_queries: Any
) -> None:
    client = client_of(alice)
    cards = [{"type": "URL", "url": f"https://example.org/{number}"} for number in range(1000)]

    with django_assert_max_num_queries(6):
        response = client.post(BULK, {"cards": cards})

    assert [result["status"] for result in response.json()["results"]] == ["created"] * 1000
    assert Event.objects.filter(type="card.added").count() == 1000


def test_while_too_much_is_open_bulk_work_is_refused_and_single_cards_are_not(
    alice: User, client_of: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BULK_BACKLOG_LIMIT = 2
    monkeypatch.setattr(admission, "backlog", BacklogCache())
    client = client_of(alice)
    cards = [{"type": "NOTE", "text": str(number)} for number in range(2)]
    first = client.post(BULK, {"cards": cards}, headers={"Idempotency-Key": "first"})
    monkeypatch.setattr(admission, "backlog", BacklogCache())

    refused = client.post(BULK, {"cards": cards}, headers={"Idempotency-Key": "second"})
    again = client.post(BULK, {"cards": cards}, headers={"Idempotency-Key": "first"})
    single = client.post("/api/v1/cards/", cards[0])

    assert (first.status_code, again.status_code, single.status_code) == (201, 201, 201)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert Card.objects.count() == 3
    settings.BULK_BACKLOG_LIMIT = 3
    monkeypatch.setattr(admission, "backlog", BacklogCache())
    retried = client.post(BULK, {"cards": cards}, headers={"Idempotency-Key": "second"})
    assert (retried.status_code, Card.objects.count()) == (201, 5)
