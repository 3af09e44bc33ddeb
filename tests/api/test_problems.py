from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test import Client as Browser
from django.test import RequestFactory
from rest_framework.test import APIClient

from accounts.models import Follow, User
from api.problems import MEDIA_TYPE, problem_handler, server_error
from cards.models import Card
from cards.services import add_card, remove_card, update_card

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db


def check(response: Any, code: int) -> dict[str, Any]:
    assert response.status_code == code
    assert response.headers["Content-Type"] == MEDIA_TYPE
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == code
    return body


def test_every_way_to_err_answers_a_problem(alice: User, client_of: Client) -> None:
    client = client_of(alice)

    check(APIClient().get("/api/v1/cards/"), 401)
    check(client.get("/api/v1/nowhere/"), 404)
    check(client.get("/api/v1/cards/01890000-0000-7000-8000-000000000000/"), 404)
    check(client.delete("/api/v1/cards/"), 405)
    check(client.get("/api/v1/cards/", headers={"accept": "text/html"}), 406)
    check(client.post("/api/v1/cards/", b"<x/>", content_type="text/xml"), 415)
    invalid = check(client.post("/api/v1/cards/", {"type": "URL"}), 400)
    assert [set(error) for error in invalid["errors"]] == [{"field", "detail", "code"}]


def test_outside_the_api_a_missing_page_is_not_a_problem_document() -> None:
    response = Browser().get("/nowhere/")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_database_that_does_not_answer_is_503_with_the_time_to_wait(
    alice: User, client_of: Client
) -> None:
    client = client_of(alice)
    with transaction.atomic(), connection.cursor() as cursor:
        # A lock that another session holds, as this one sees it.
        cursor.execute("SET LOCAL statement_timeout = 1")
        with pytest.raises(OperationalError) as caught:
            cursor.execute("SELECT pg_sleep(1)")
        transaction.set_rollback(True)

    response = problem_handler(caught.value, {})

    assert response is not None
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert client.get("/api/v1/cards/").status_code == 200


def test_a_card_removed_while_it_is_changed_is_404(alice: User) -> None:
    card, _ = add_card(curator=alice, type="NOTE", text="note")
    remove_card(card=card)

    with pytest.raises(Card.DoesNotExist) as caught:
        update_card(card=card, text="changed")

    response = problem_handler(caught.value, {})
    assert response is not None
    assert response.status_code == 404


def test_a_row_that_vanished_meanwhile_is_a_conflict(alice: User) -> None:
    Follow.objects.create(follower=alice, followed_id=10**9)
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        connection.check_constraints()
    Follow.objects.all().delete()

    response = problem_handler(caught.value, {})

    assert response is not None
    assert response.status_code == 409


def test_our_own_failures_are_problems_too_under_the_api() -> None:
    def answer(error: Exception, path: str) -> Any:
        try:
            raise error
        except Exception:
            return server_error(RequestFactory().get(path))

    failed = answer(ValueError("secret"), "/api/v1/cards/")
    unavailable = answer(OperationalError("secret"), "/api/v1/cards/")
    page = answer(ValueError("secret"), "/admin/")

    assert (failed.status_code, unavailable.status_code, page.status_code) == (500, 503, 500)
    assert failed.headers["Content-Type"] == unavailable.headers["Content-Type"] == MEDIA_TYPE
    assert unavailable.headers["Retry-After"] == "5"
    assert b"secret" not in failed.content + unavailable.content + page.content
