"""Guessing passwords is slow for strangers, and shuts out nobody whose place is known."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db.models import F
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.guard.addresses import client_address
from accounts.models import KnownPlace, SpentBudget, User
from accounts.tasks import forget_tries
from tests.harness.web import WebProcess

pytestmark = pytest.mark.django_db

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
RIGHT = {"username": "alice", "password": "alice-reads-a-lot"}
WRONG = RIGHT | {"password": "wrong"}


class CountingHasher(MD5PasswordHasher):
    """Django's, which counts how often a password was hashed."""

    count = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).count += 1
        return super().encode(password, salt)


def log_in(body: dict[str, str], *, client: APIClient | None = None, **meta: Any) -> Any:
    meta.setdefault("REMOTE_ADDR", ELSEWHERE)
    return (client or APIClient()).post("/api/v1/auth/login/", body, format="json", **meta)


def codes(answers: Iterator[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def strangers(count: int, body: dict[str, str] = WRONG) -> Counter[int]:
    """Guess from as many different addresses."""
    return codes(log_in(body, REMOTE_ADDR=f"203.0.113.{n}") for n in range(count))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "proxies", "expected"),
    [
        ("192.0.2.1", "", 0, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", 0, "192.0.2.1"),
        ("127.0.0.1", "203.0.113.9", 1, "203.0.113.9"),
        ("127.0.0.1", "10.1.1.1, 203.0.113.9", 1, "203.0.113.9"),
        ("127.0.0.1", "10.1.1.1,203.0.113.9,66.241.1.1", 2, "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", 2, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9, nonsense", 1, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9,", 1, "192.0.2.1"),
        ("127.0.0.1", "203.0.113.9:4711", 1, "203.0.113.9"),
        ("127.0.0.1", "[2001:db8:1:2::9]:4711", 1, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6", "", 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", 0, "192.0.2.1"),
        ("fe80::1%eth0", "", 0, "fe80::/64"),
        ("", "", 0, "unknown"),
    ],
)
def test_the_address_that_counts_is_one_that_a_proxy_of_ours_saw(
    peer: str, forwarded_for: str, proxies: int, expected: str
) -> None:
    assert client_address(peer, forwarded_for, proxies=proxies) == expected


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_guesses_at_one_name_are_limited_wherever_they_come_from(alice: User, name: str) -> None:
    answers = strangers(30, WRONG | {"username": name})
    refused = log_in(WRONG | {"username": name})

    assert answers == Counter({401: 20, 429: 10})
    assert refused["Content-Type"] == "application/problem+json"
    assert 0 < int(refused["Retry-After"]) <= 60
    assert refused["Retry-After"] in refused.json()["detail"]


@pytest.mark.parametrize(
    "other", ["alice   ", " ALICE", "Ａｌｉｃｅ", "alice\u00a0", "\u2003alice", "ａlice\t"]
)
def test_another_spelling_of_a_name_is_no_other_name(alice: User, other: str) -> None:
    strangers(20)

    assert log_in(WRONG | {"username": other}).status_code == 429


def test_the_first_guess_at_a_spelling_reaches_the_same_account(alice: User) -> None:
    assert log_in(RIGHT | {"username": " Ａｌｉｃｅ "}).status_code == 200


def test_one_address_may_guess_only_so_often_at_however_many_names(bob: User) -> None:
    answers = codes(log_in(WRONG | {"username": f"name{n}"}) for n in range(40))
    forged = log_in(WRONG | {"username": "name41"}, HTTP_X_FORWARDED_FOR="203.0.113.9")
    other = log_in({"username": "bob", "password": "bob-reads-a-lot"}, REMOTE_ADDR=HOME)

    assert answers == Counter({401: 30, 429: 10})
    assert (forged.status_code, other.status_code) == (429, 200)


def test_all_addresses_of_an_ipv6_network_are_one() -> None:
    answers = codes(
        log_in(WRONG | {"username": f"name{n}"}, REMOTE_ADDR=f"2001:db8:1:2::{n:x}")
        for n in range(40)
    )

    assert answers == Counter({401: 30, 429: 10})


def test_refused_guesses_at_one_name_use_up_nobody_elses_address(alice: User, bob: User) -> None:
    guesses = codes(log_in(WRONG) for _ in range(50))

    neighbour = log_in({"username": "bob", "password": "bob-reads-a-lot"})

    assert guesses == Counter({401: 20, 429: 30})
    assert neighbour.status_code == 200


def test_the_owner_is_let_in_at_a_known_address_while_strangers_guess(alice: User) -> None:
    assert log_in(RIGHT, REMOTE_ADDR=HOME).status_code == 200

    strangers(40)

    assert log_in(RIGHT).status_code == 429
    assert log_in(RIGHT, REMOTE_ADDR=HOME).status_code == 200


def test_the_owner_is_let_in_on_a_known_device_wherever_it_is(alice: User) -> None:
    device = APIClient()
    assert log_in(RIGHT, client=device, REMOTE_ADDR=HOME).status_code == 200

    strangers(40)
    codes(log_in(WRONG, REMOTE_ADDR=HOME) for _ in range(20))

    assert log_in(RIGHT, REMOTE_ADDR=HOME).status_code == 429
    assert log_in(RIGHT, client=device, REMOTE_ADDR=HOME).status_code == 200
    assert log_in(RIGHT, client=device).status_code == 200
    cookie = device.cookies["device"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert "alice" not in cookie.value


def test_who_registered_somewhere_is_known_there() -> None:
    person = RIGHT | {"email": "alice@example.org"}
    made = APIClient().post("/api/v1/auth/register/", person, format="json", REMOTE_ADDR=HOME)
    assert made.status_code == 201

    strangers(40)

    assert log_in(RIGHT, REMOTE_ADDR=HOME).status_code == 200


def test_a_device_is_known_for_its_own_accounts_alone(alice: User, bob: User) -> None:
    device = APIClient()
    log_in({"username": "bob", "password": "bob-reads-a-lot"}, client=device, REMOTE_ADDR=HOME)
    forged = APIClient()
    forged.cookies["device"] = '{"id": "x", "accounts": ["alice"]}'
    strangers(20)

    assert log_in(WRONG, client=device, REMOTE_ADDR=HOME).status_code == 429
    assert log_in(WRONG, client=forged).status_code == 429


def test_a_known_place_has_a_small_budget_of_its_own(alice: User) -> None:
    log_in(RIGHT, REMOTE_ADDR=HOME)

    guesses = codes(log_in(WRONG, REMOTE_ADDR=HOME) for _ in range(15))

    assert guesses == Counter({401: 10, 429: 5})
    assert log_in(WRONG).status_code == 401


def test_right_passwords_cost_little_but_not_nothing(alice: User) -> None:
    answers = codes(log_in(RIGHT, REMOTE_ADDR=HOME) for _ in range(40))
    guesses = codes(log_in(WRONG, REMOTE_ADDR=HOME) for _ in range(12))

    assert answers == Counter({200: 40})
    # Twenty right ones cost as much as one wrong one, of the ten that a known place has.
    assert 8 <= guesses[401] < 10


def test_a_budget_grows_again_and_is_then_forgotten(alice: User) -> None:
    strangers(20)
    SpentBudget.objects.update(full_at=F("full_at") - timedelta(minutes=1))

    assert [log_in(WRONG).status_code for _ in range(2)] == [401, 429]
    SpentBudget.objects.update(full_at=timezone.now())
    budgets = SpentBudget.objects.count()
    KnownPlace.objects.create(key="old", seen_at=timezone.now() - timedelta(days=91))
    KnownPlace.objects.create(key="new", seen_at=timezone.now() - timedelta(days=89))
    assert forget_tries() == {"budgets": budgets, "places": 1}
    assert (budgets, SpentBudget.objects.count()) == (22, 0)


def test_beyond_the_limit_no_password_is_hashed(alice: User, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    strangers(20)
    CountingHasher.count = 0

    strangers(20)
    for _ in range(10):
        log_in(WRONG | {"username": "ALICE"})

    assert CountingHasher.count == 0


def test_registering_is_limited_by_address(settings: Any) -> None:
    settings.REGISTRATIONS_PER_HOUR = 5

    def register(n: int, address: str = ELSEWHERE) -> Any:
        body = {"username": f"new{n}", "email": f"new{n}@example.org", "password": "reads-a-lot-9"}
        url = "/api/v1/auth/register/"
        return APIClient().post(url, body, format="json", REMOTE_ADDR=address)

    answers = codes(register(n) for n in range(8))

    assert answers == Counter({201: 5, 429: 3})
    assert 0 < int(register(9)["Retry-After"]) <= 720
    assert register(9, HOME).status_code == 201


# -- The admin -----------------------------------------------------------------------------------


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", "admin@example.org", "the-right-one")


def admin_login(password: str, *, client: Client | None = None, **meta: Any) -> Any:
    body = {"username": "admin", "password": password}
    meta.setdefault("REMOTE_ADDR", ELSEWHERE)
    return (client or Client()).post("/admin/login/", body, **meta)


def test_the_admins_login_is_limited_and_says_so_in_words(admin: User) -> None:
    known = Client()
    assert admin_login("the-right-one", client=known, REMOTE_ADDR=HOME).status_code == 302

    guesses = codes(admin_login("wrong") for _ in range(40))
    refused = admin_login("the-right-one")

    assert guesses == Counter({200: 19, 429: 21})
    assert b"Too many tries; try again in" in refused.content
    assert 0 < int(refused["Retry-After"]) <= 60
    assert admin_login("the-right-one", REMOTE_ADDR=HOME).status_code == 302
    assert admin_login("the-right-one", client=known, REMOTE_ADDR="192.0.2.99").status_code == 302


def test_api_and_admin_share_one_limit(admin: User) -> None:
    strangers(20, {"username": "admin", "password": "wrong"})

    assert admin_login("the-right-one").status_code == 429


def test_the_old_password_cannot_be_guessed_with_a_stolen_session(admin: User) -> None:
    stolen = Client()
    stolen.force_login(admin)
    form = {"new_password1": "another-good-one", "new_password2": "another-good-one"}

    def change(old: str) -> Any:
        url = "/admin/password_change/"
        return stolen.post(url, form | {"old_password": old}, REMOTE_ADDR=ELSEWHERE)

    guesses = codes(change("wrong") for _ in range(25))
    refused = change("the-right-one")

    assert guesses == Counter({200: 20, 429: 5})
    assert refused.status_code == 429
    assert b"Too many tries" in refused.content


# -- Several processes at once -------------------------------------------------------------------


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    log = tmp_path_factory.mktemp("guessing") / "web.log"
    running = WebProcess(log, WEB_PROCESSES="2", WEB_THREADS="4", TRUSTED_PROXIES="1")
    yield running
    running.stop()


def at_once(web: WebProcess, bodies: list[dict[str, str]], addresses: list[str]) -> Counter[int]:
    """Send all guesses at the same time, each as a proxy hands it on."""

    def guess(body: dict[str, str], address: str) -> httpx.Response:
        headers = {"X-Forwarded-For": f"10.9.9.{len(address)}, {address}"}
        return client.post("/api/v1/auth/login/", json=body, headers=headers)

    limits = httpx.Limits(max_connections=100)
    with (
        httpx.Client(base_url=web.url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(50) as pool,
    ):
        return codes(pool.map(guess, bodies, addresses))


@pytest.mark.django_db(transaction=True)
def test_a_hundred_guesses_at_one_moment_pass_no_limit(web: WebProcess, alice: User) -> None:
    many = [f"203.0.113.{n}" for n in range(100)]
    names = [WRONG | {"username": f"name{n}"} for n in range(100)]

    began = time.monotonic()
    at_a_name = at_once(web, [WRONG] * 100, many)
    from_an_address = at_once(web, names, [ELSEWHERE] * 100)
    seconds = time.monotonic() - began

    # While they come, a budget grows by a try a minute, or every ten seconds.
    assert 20 <= at_a_name[401] <= 20 + math.ceil(seconds / 60)
    assert 30 <= from_an_address[401] <= 30 + math.ceil(seconds / 10)
    assert at_a_name[401] + at_a_name[429] == sum(from_an_address.values()) == 100
