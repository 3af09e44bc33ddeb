from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts import services
from accounts.models import TokenUse, User
from accounts.tasks import delete_expired
from eventbook.models import Event

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db

ALICE = {"username": "alice", "email": "alice@example.org", "password": "alice-reads-a-lot"}


def post(path: str, body: Any, client: APIClient | None = None) -> Any:
    return (client or APIClient()).post(f"/api/v1/{path}", body, format="json")


def fields(response: Any) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


def test_registering_answers_a_token_that_works() -> None:
    response = post("auth/register/", ALICE)

    assert response.status_code == 201
    body = response.json()
    assert set(body) == {"token", "expiry", "user"}
    client = APIClient(headers={"authorization": f"Token {body['token']}"})
    assert client.get("/api/v1/users/me/").json()["username"] == "alice"
    assert User.objects.get().check_password(ALICE["password"])
    assert [event.type for event in Event.objects.all()] == ["user.registered"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"username": "Alice", "email": "other@example.org"}, [("username", "taken")]),
        ({"username": "other", "email": "ALICE@example.org"}, [("email", "taken")]),
        ({"username": "me"}, [("username", "reserved")]),
        ({"username": ".."}, [("username", "invalid")]),
        ({"username": "älice"}, [("username", "invalid")]),
        ({"username": "a\x00b"}, [("username", "null_characters_not_allowed")]),
        ({"username": "a" * 151}, [("username", "max_length")]),
        ({"username": 7, "email": "nothing"}, [("email", "invalid"), ("username", "invalid")]),
        ({"username": "bob", "password": "12345"}, None),
        ({"username": ["x"]}, [("username", "invalid")]),
    ],
)
def test_a_registration_that_cannot_be_says_which_field(
    alice: User, change: dict[str, Any], expected: list[tuple[str, str]] | None
) -> None:
    response = post("auth/register/", ALICE | {"email": "new@example.org"} | change)

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert User.objects.count() == 1
    if expected is not None:
        assert fields(response) == expected
    else:
        assert {field for field, _ in fields(response)} == {"password"}


@pytest.mark.django_db(transaction=True)
def test_of_two_who_register_a_name_at_once_one_gets_it() -> None:
    def register(number: int) -> int:
        try:
            body = ALICE | {"email": f"{number}@example.org", "username": "aLiCe"}
            return int(post("auth/register/", body).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(register, range(4)))

    assert codes == [201, 400, 400, 400]
    assert User.objects.count() == 1
    assert Event.objects.filter(type="user.registered").count() == 1


def test_logging_in_answers_a_token_however_the_name_is_capitalised(alice: User) -> None:
    response = post("auth/login/", {"username": "ALICE", "password": "alice-reads-a-lot"})

    assert response.status_code == 200
    assert response.json()["user"]["username"] == "alice"
    alice.refresh_from_db()
    assert alice.last_login is not None


def test_a_wrong_password_and_a_wrong_name_are_refused_alike(alice: User) -> None:
    wrong = [
        post("auth/login/", {"username": name, "password": "wrong"}) for name in ("alice", "nobody")
    ]

    assert [response.status_code for response in wrong] == [401, 401]
    assert wrong[0].json() == wrong[1].json()
    assert AuthToken.objects.count() == 0


def test_an_inactive_person_can_neither_log_in_nor_use_a_token(
    alice: User, client_of: Client
) -> None:
    client = client_of(alice)
    User.objects.update(is_active=False)

    credentials = {"username": "alice", "password": "alice-reads-a-lot"}
    assert post("auth/login/", credentials).status_code == 401
    assert client.get("/api/v1/users/me/").status_code == 401


def test_logging_out_ends_this_session_only(alice: User, client_of: Client) -> None:
    here, there = client_of(alice), client_of(alice)

    assert post("auth/logout/", None, here).status_code == 204

    assert here.get("/api/v1/users/me/").status_code == 401
    assert there.get("/api/v1/users/me/").status_code == 200


def test_logging_out_everywhere_ends_all_of_ones_own_sessions(
    alice: User, bob: User, client_of: Client
) -> None:
    here, there, bobs = client_of(alice), client_of(alice), client_of(bob)

    assert post("auth/logout-all/", None, here).status_code == 204

    codes = [client.get("/api/v1/users/me/").status_code for client in (here, there, bobs)]
    assert codes == [401, 401, 200]


def test_expired_tokens_are_refused_and_then_deleted(alice: User, client_of: Client) -> None:
    expired, valid = client_of(alice), None
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    valid = client_of(alice)

    assert expired.get("/api/v1/users/me/").status_code == 401
    assert delete_expired()["tokens"] == 1
    assert valid.get("/api/v1/users/me/").status_code == 200


@pytest.mark.parametrize("header", ["Token", "Token x", "Token x y", "Token \xff\xfe", "Token %00"])
def test_a_header_that_is_no_token_is_401(header: str) -> None:
    response = APIClient(headers={"authorization": header}).get("/api/v1/users/me/")

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == "Token"


def test_a_request_is_authenticated_with_one_query(
    alice: User, client_of: Client, django_assert_num_queries: Any
) -> None:
    clients = [client_of(alice) for _ in range(5)]

    with django_assert_num_queries(1):
        clients[0].get("/api/v1/users/me/")


def test_guessing_a_password_is_slowed_down_for_that_name_alone(alice: User, bob: User) -> None:
    wrong = {"username": "alice", "password": "wrong"}

    codes = Counter(post("auth/login/", wrong).status_code for _ in range(25))
    refused = post("auth/login/", wrong | {"username": "ALICE"})
    other = post("auth/login/", {"username": "bob", "password": "bob-reads-a-lot"})

    assert codes == Counter({401: 20, 429: 5})
    assert refused["Content-Type"] == "application/problem+json"
    assert 0 < int(refused["Retry-After"]) <= 60
    assert other.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_when_a_token_was_used_is_noted_once_an_hour(
    alice: User, client_of: Client, django_assert_num_queries: Any
) -> None:
    client = client_of(alice)
    client.get("/api/v1/users/me/")
    assert TokenUse.objects.count() == 0
    AuthToken.objects.update(created=timezone.now() - timedelta(days=1))

    with django_assert_num_queries(2):
        client.get("/api/v1/users/me/")
    with django_assert_num_queries(1):
        client.get("/api/v1/users/me/")

    assert timezone.now() - TokenUse.objects.get().used_at < timedelta(minutes=1)
    AuthToken.objects.all().delete()
    with CaptureQueriesContext(connection) as ran:
        delete_expired()
    assert TokenUse.objects.count() == 0
    # With NOT IN, the time would grow with the square of the number of tokens.
    (delete,) = [each["sql"] for each in ran if "accounts_tokenuse" in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {delete}")
        assert "SubPlan" not in str(cursor.fetchall())


def test_the_oldest_session_ends_when_there_are_too_many(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_TOKENS", 3)

    tokens = [services.issue_token(user=alice)[1] for _ in range(5)]

    codes = [
        APIClient(headers={"authorization": f"Token {token}"}).get("/api/v1/users/me/").status_code
        for token in tokens
    ]
    assert codes == [401, 401, 200, 200, 200]
