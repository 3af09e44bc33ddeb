"""A POST with an Idempotency-Key may be sent again, and takes effect once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts import authentication
from accounts.authentication import find_token
from accounts.models import User
from api.models import IdempotentRequest
from cards.models import Card
from eventbook.models import Event

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


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (URL, NOTE),
        ("/api/v1/collections/", {"name": "Reading"}),
        ("/api/v1/imports/", {"url": "https://www.postgresql.org/a.bib"}),
    ],
)
def test_the_answer_says_again_where_to_find_what_was_made(
    alice: Any, client_of: Any, url: str, body: dict[str, str]
) -> None:
    client = client_of(alice)

    first = client.post(url, body, **headers("one"))
    again = client.post(url, body, **headers("one"))

    assert again["Idempotent-Replayed"] == "true"
    assert again["Location"] == first["Location"] == f"{url}{first.json()['id']}/"


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


@pytest.mark.parametrize("gone", ["revoked", "expired", "deactivated"])
def test_an_answer_is_repeated_only_to_who_may_still_ask(
    gone: str, alice: Any, client_of: Any
) -> None:
    client = client_of(alice)
    private = NOTE | {"visibility": "PRIVATE"}
    assert client.post(URL, private, **headers("one")).status_code == 201

    if gone == "revoked":
        AuthToken.objects.all().delete()
    elif gone == "expired":
        AuthToken.objects.update(expiry=timezone.now() - timedelta(hours=1))
    else:
        User.objects.update(is_active=False)
    refused = client.post(URL, private, **headers("one"))

    assert refused.status_code == 401
    assert "read this again" not in refused.content.decode()
    assert refused["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("change", ["private", "removed", "deactivated", "none"])
def test_others_cards_are_answered_again_only_while_they_can_be_seen(
    change: str, alice: Any, bob: Any, client_of: Any
) -> None:
    card = client_of(bob).post(URL, NOTE).json()["id"]
    client = client_of(alice)
    collection = client.post("/api/v1/collections/", {"name": "Reading"})["Location"]
    first = client.post(f"{collection}cards/", {"card": card}, **headers("one"))

    if change == "private":
        Card.objects.update(visibility="PRIVATE")
    elif change == "removed":
        client_of(bob).delete(f"{URL}{card}/")
    elif change == "deactivated":
        User.objects.filter(pk=bob.pk).update(is_active=False)
    again = client.post(f"{collection}cards/", {"card": card}, **headers("one"))

    seen = change == "none"
    assert (first.status_code, again.status_code) == (201, 201 if seen else 404)
    assert ("read this again" in again.content.decode()) == seen


def test_a_key_is_the_persons_whatever_the_token(alice: Any, client_of: Any) -> None:
    first = client_of(alice).post(URL, NOTE, **headers("one"))

    again = client_of(alice).post(URL, NOTE, **headers("one"))

    assert again.json() == first.json()
    assert Card.objects.count() == 1


def test_a_request_with_a_key_is_authenticated_once(
    alice: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def find(digest: str) -> AuthToken | None:
        asked.append(digest)
        return find_token(digest)

    monkeypatch.setattr(authentication, "find_token", find)

    assert client_of(alice).post(URL, NOTE, **headers("one")).status_code == 201

    assert len(asked) == 1


# -- Registration, which has no logged-in user ---------------------------------------------------

REGISTER = "/api/v1/auth/register/"
PERSON = {"username": "dora", "email": "dora@example.org", "password": "explores-a-lot"}


def register(body: dict[str, str] = PERSON, **meta: Any) -> Any:
    meta |= headers("one")
    return APIClient().post(REGISTER, body, format="json", **meta)


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.7"])
def test_registering_again_answers_the_same_person_with_a_token_of_their_own(address: str) -> None:
    first = register()
    again = register(REMOTE_ADDR=address)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json()["user"] == first.json()["user"]
    assert again.json()["token"] != first.json()["token"]
    for answer in (first, again):
        own = APIClient(headers={"authorization": f"Token {answer.json()['token']}"})
        assert own.get("/api/v1/users/me/").json()["username"] == "dora"
    assert User.objects.count() == 1
    assert Event.objects.filter(type="user.registered").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [{"password": "guesses-a-lot"}, {"email": "x@example.org"}, {"username": "emil"}],
    ids=str,
)
def test_registering_with_another_body_under_the_same_key_is_refused(
    change: dict[str, str],
) -> None:
    register()

    refused = register(PERSON | change)

    assert refused.status_code == 422
    assert refused["Content-Type"] == "application/problem+json"
    assert (User.objects.count(), AuthToken.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_guessing_a_password_by_registering_again_is_limited_too() -> None:
    register()

    codes = [
        register(PERSON | {"password": f"guess-number-{n}"}, REMOTE_ADDR="192.0.2.9").status_code
        for n in range(25)
    ]

    assert Counter(codes) == Counter({422: 20, 429: 5})


@pytest.mark.django_db
def test_what_is_kept_of_a_registration_holds_no_secret() -> None:
    token = register().json()["token"]

    kept = str(list(IdempotentRequest.objects.values_list()))

    assert len(kept) > 100
    for secret in (token, token[:8], PERSON["password"], PERSON["email"]):
        assert secret not in kept
    body = json.dumps(PERSON, separators=(",", ":")).encode()
    assert hashlib.sha256(body).hexdigest() not in kept


@pytest.mark.django_db
def test_a_registration_that_failed_may_be_mended_under_the_same_key() -> None:
    failed = register(PERSON | {"username": ".."})
    mended = register()

    assert (failed.status_code, mended.status_code) == (400, 201)


@pytest.mark.django_db(transaction=True)
def test_registering_at_the_same_moment_makes_one_person() -> None:
    def post(_: int) -> int:
        try:
            return int(register().status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(post, range(6)))

    assert codes == [201] * 6
    assert User.objects.count() == 1


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
