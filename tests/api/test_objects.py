"""Versions of objects: ETags, 304, changes on condition; and where what was made is found."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from tests.harness.processes import wait_for

pytestmark = pytest.mark.django_db
API = "/api/v1"
Client = Callable[[Any], APIClient]


@pytest.fixture
def api(alice: User, client_of: Client) -> APIClient:
    return client_of(alice)


@pytest.fixture
def made(api: APIClient) -> dict[str, str]:
    """Addresses of objects of alice's, by what they are."""
    card = api.post(f"{API}/cards/", {"type": "NOTE", "text": "first"}, format="json")
    collection = api.post(f"{API}/collections/", {"name": "Databases"}, format="json")
    feed = api.post(
        f"{API}/subscriptions/", {"url": "https://www.postgresql.org/news.rss"}, format="json"
    )
    job = api.post(f"{API}/imports/", {"url": "https://www.postgresql.org/a.bib"}, format="json")
    found = {"card": card, "collection": collection, "subscription": feed, "import": job}
    assert [each.status_code for each in found.values()] == [201, 201, 201, 202]
    return {name: each["Location"] for name, each in found.items()}


def test_what_was_made_is_found_at_its_location(api: APIClient, made: dict[str, str]) -> None:
    registered = APIClient().post(
        f"{API}/auth/register/",
        {"username": "dora", "email": "dora@example.org", "password": "reads-in-the-morning"},
        format="json",
    )

    answers = {name: api.get(address) for name, address in made.items()}

    assert {name: each.status_code for name, each in answers.items()} == dict.fromkeys(made, 200)
    assert all(answers[name].json()["id"] in address for name, address in made.items())
    assert api.get(registered["Location"]).json()["username"] == "dora"


@pytest.mark.parametrize("kind", ["card", "collection", "subscription", "import", "me", "profile"])
def test_who_has_the_newest_version_is_told_so(
    api: APIClient, made: dict[str, str], kind: str
) -> None:
    address = made.get(kind) or f"{API}/users/{'me' if kind == 'me' else 'alice'}/"
    etag = api.get(address)["ETag"]

    same = api.get(address, headers={"If-None-Match": etag})
    other = api.get(address, headers={"If-None-Match": '"another"'})

    assert (same.status_code, same.content, same["ETag"]) == (304, b"", etag)
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("kind", "change"),
    [("card", {"text": "second"}), ("collection", {"name": "Storage"}), ("me", {"bio": "Reads."})],
)
def test_a_change_on_condition_changes_that_version_only(
    api: APIClient, made: dict[str, str], kind: str, change: dict[str, str]
) -> None:
    address = made.get(kind, f"{API}/users/me/")
    read = api.get(address)["ETag"]
    before = api.get(address).json()

    changed = api.patch(address, change, format="json", headers={"If-Match": read})
    again = api.patch(address, before and change, format="json", headers={"If-Match": read})
    new = api.get(address)["ETag"]

    assert changed.status_code == 200
    assert again.status_code == 412
    assert again["Content-Type"] == "application/problem+json"
    assert "read it again" in again.json()["detail"]
    assert new != read
    any_version = api.patch(address, change, format="json", headers={"If-Match": "*"})
    assert any_version.status_code == 200


@pytest.mark.parametrize("sent", ["W/{}", '"another", W/{}', 'W/"another",W/{}'])
def test_an_etag_that_compression_marked_as_weak_names_the_same_version(
    api: APIClient, made: dict[str, str], sent: str
) -> None:
    card = made["card"]
    api.patch(card, {"text": "long " * 500}, format="json")
    read = api.get(card, headers={"Accept-Encoding": "gzip"})["ETag"]
    headers = {"If-Match": sent.format(read.removeprefix("W/"))}

    seen = api.get(card, headers=headers)
    changed = api.patch(card, {"text": "second"}, format="json", headers=headers)
    again = api.patch(card, {"text": "third"}, format="json", headers=headers)

    assert read.startswith('W/"')
    assert (seen.status_code, changed.status_code, again.status_code) == (200, 200, 412)


def test_an_object_that_changed_is_not_removed_by_who_has_not_seen_that(
    api: APIClient, made: dict[str, str]
) -> None:
    read = api.get(made["card"])["ETag"]
    api.patch(made["card"], {"text": "second"}, format="json")

    refused = api.delete(made["card"], headers={"If-Match": read})
    removed = api.delete(made["card"], headers={"If-Match": api.get(made["card"])["ETag"]})

    assert (refused.status_code, removed.status_code) == (412, 204)


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_of_one_version_at_the_same_moment_one_is_made(
    alice: User, client_of: Client
) -> None:
    api = client_of(alice)
    address = api.post(f"{API}/cards/", {"type": "NOTE", "text": "first"}, format="json")[
        "Location"
    ]
    read = api.get(address)["ETag"]
    statuses: list[int] = []
    begin = threading.Barrier(2)

    def change(text: str) -> None:
        own = client_of(alice)
        begin.wait()
        answer = own.patch(address, {"text": text}, format="json", headers={"If-Match": read})
        statuses.append(answer.status_code)
        connection.close()

    threads = [threading.Thread(target=change, args=(text,)) for text in ("mine", "yours")]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(statuses) == 2, seconds=20, what="both have an answer")
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200, 412]
    assert Card.objects.get().text in ("mine", "yours")


def test_an_address_without_its_slash_leads_to_the_one_with_it(api: APIClient) -> None:
    answer = api.post(f"{API}/cards?x=1", {"type": "NOTE", "text": "first"}, format="json")

    assert (answer.status_code, answer["Location"]) == (308, f"{API}/cards/?x=1")


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer", "bearer", "Bearer Token"])
def test_a_token_comes_by_either_scheme(alice: User, scheme: str) -> None:
    from accounts.services import issue_token

    _, token = issue_token(user=alice)

    answer = APIClient().get(f"{API}/users/me/", headers={"Authorization": f"{scheme} {token}"})

    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["Token", "Bearer", "Bearer a b", "Basic YTpi", "Token Token a"])
def test_what_is_no_token_is_refused(db: None, header: str) -> None:
    answer = APIClient().get(f"{API}/users/me/", headers={"Authorization": header})

    assert answer.status_code == 401


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_change_on_condition_that_an_object_does_not_know_is_refused(
    api: APIClient, method: str
) -> None:
    answer = getattr(api, method)(f"{API}/users/alice/", headers={"if-match": "*"})

    assert answer.status_code == 405
