"""A POST with an Idempotency-Key may be sent again, and takes effect once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from accounts.models import IdempotentRequest
from cards.models import Card
from events.models import Event

URL = "/api/v1/cards/"
NOTE = {"type": "NOTE", "text": "read this again"}


def headers(key: str) -> dict[str, str]:
    return {"HTTP_IDEMPOTENCY_KEY": key}


def test_the_same_request_again_gets_the_first_answer_again(alice: Any, client_of: Any) -> None:
    client = client_of(alice)

    first = client.post(URL, NOTE, **headers("one"))
    again = client.post(URL, NOTE, **headers("one"))

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert (Card.objects.count(), Event.objects.filter(type="card.added").count()) == (1, 1)


def test_another_body_under_the_same_key_is_refused(alice: Any, client_of: Any) -> None:
    client = client_of(alice)
    client.post(URL, NOTE, **headers("one"))

    refused = client.post(URL, NOTE | {"text": "other"}, **headers("one"))

    assert refused.status_code == 422
    assert refused["Content-Type"] == "application/problem+json"
    assert Card.objects.count() == 1


def test_a_request_that_failed_may_be_mended_under_the_same_key(alice: Any, client_of: Any) -> None:
    client = client_of(alice)

    failed = client.post(URL, {"type": "URL", "url": "no address"}, **headers("one"))
    mended = client.post(URL, {"type": "URL", "url": "https://example.org/a"}, **headers("one"))

    assert (failed.status_code, mended.status_code) == (400, 201)


def test_a_key_belongs_to_who_sent_it(alice: Any, bob: Any, client_of: Any) -> None:
    client_of(alice).post(URL, NOTE, **headers("one"))

    client_of(bob).post(URL, NOTE, **headers("one"))

    assert Counter(Card.objects.values_list("curator", flat=True)) == {alice.id: 1, bob.id: 1}


def test_an_answer_with_a_token_is_not_kept(alice: Any, client_of: Any) -> None:
    login = {"username": "alice", "password": "alice-reads-a-lot"}

    answer = client_of(alice).post("/api/v1/auth/login/", login, **headers("one"))

    assert answer.status_code == 200
    assert IdempotentRequest.objects.count() == 0


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_no_key_is_refused(key: str, alice: Any, client_of: Any) -> None:
    refused = client_of(alice).post(URL, NOTE, **headers(key))

    assert refused.status_code == 400
    assert IdempotentRequest.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_requests_at_the_same_moment_take_effect_once(alice: Any, client_of: Any) -> None:
    client = client_of(alice)

    def post(_: int) -> int:
        try:
            return int(client.post(URL, NOTE, **headers("one")).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(post, range(8)))

    assert codes == [201] * 8
    assert Card.objects.count() == 1
