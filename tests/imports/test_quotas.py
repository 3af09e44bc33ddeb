"""One person imports so much and no more, however many requests come at once, and is told why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Collection
from imports.jobs import reading
from imports.models import FeedSubscription, Import, ImportUsage
from imports.services import request_import, subscribe_to
from tests.harness.interleaving import someone_waits
from tests.harness.processes import wait_for
from tests.imports.conftest import IMPORTS, upload

Client = Callable[[Any], APIClient]
FILE = b"https://example.org/1\n"
USAGE = "/api/v1/imports/usage/"


@pytest.mark.django_db
def test_too_many_open_imports_are_refused_with_what_to_do(
    alice: User, bob: User, client_of: Client, settings: Any
) -> None:
    settings.IMPORTS_OPEN_PER_PERSON = 2
    client = client_of(alice)

    first, second, third = (upload(client, FILE) for _ in range(3))
    others = upload(client_of(bob), FILE)
    client.post(f"{IMPORTS}{first.json()['id']}/cancel/")
    again = upload(client, FILE)

    assert [first.status_code, second.status_code, third.status_code] == [202, 202, 429]
    assert third["Content-Type"] == "application/problem+json"
    assert third.json()["detail"] == (
        "You have 2 of at most 2 imports that have not ended."
        " Wait until one has ended, or cancel one."
    )
    assert int(third["Retry-After"]) == 60
    assert (others.status_code, again.status_code) == (202, 202)
    assert Import.objects.filter(owner=alice).count() == 3


@pytest.mark.django_db
def test_bytes_are_counted_by_day_and_stay_counted_when_the_history_is_removed(
    alice: User, client_of: Client, settings: Any
) -> None:
    settings.IMPORT_BYTES_PER_DAY = 2 * len(FILE) + 1
    client = client_of(alice)

    kept = [upload(client, FILE) for _ in range(2)]
    for each in kept:
        client.delete(f"{IMPORTS}{each.json()['id']}/")
    refused = upload(client, FILE)
    used = client.get(USAGE).json()["bytes"]
    ImportUsage.objects.update(day=timezone.now().date() - timedelta(days=1))
    tomorrow = upload(client, FILE)

    assert [each.status_code for each in (*kept, refused, tomorrow)] == [202, 202, 429, 202]
    assert refused.json()["detail"].startswith("You have 44 of at most 45 bytes imported today.")
    assert 0 < int(refused["Retry-After"]) <= 86_400
    assert used == {"used": 44, "limit": 45}


@pytest.mark.django_db
def test_an_import_ends_where_the_quota_of_rows_does(alice: User, settings: Any) -> None:
    settings.IMPORT_ROWS_PER_DAY = 250
    lines = "\n".join(f"https://example.org/{number}" for number in range(400))

    job = read(alice, lines.encode())

    assert (job.status, job.read) == ("failed", 200)
    assert job.error == (
        "quota_of_rows: You have 200 of at most 250 rows imported today."
        " Import the rest after midnight UTC."
    )


@pytest.mark.django_db
def test_an_import_makes_no_more_collections_than_the_quota_has(alice: User, settings: Any) -> None:
    settings.IMPORT_COLLECTIONS_PER_DAY = 2
    folders = "".join(
        f"<DT><H3>{n}</H3><DL><DT><A HREF='https://example.org/{n}'>A</A></DL>" for n in range(3)
    )

    job = read(alice, f"<DL>{folders}</DL>".encode())

    assert job.status == "failed"
    assert job.error.startswith("quota_of_collections: You have 0 of at most 2 collections")
    assert Collection.objects.count() == 0


def read(owner: User, content: bytes) -> Import:
    """Read a file in this process."""
    job = request_import(owner=owner, content=content)
    begun = reading.begin(job.pk)
    assert begun is not None
    reading.continue_reading(begun)
    return Import.objects.get(pk=job.pk)


@pytest.mark.django_db
def test_what_is_used_can_be_seen(alice: User, client_of: Client) -> None:
    client = client_of(alice)
    upload(client, FILE)
    read(alice, b"https://example.org/2\nhttps://example.org/3\n")

    seen = client.get(USAGE).json()

    assert seen["open"] == {"used": 2, "limit": 20}
    assert seen["bytes"] == {"used": 66, "limit": 209_715_200}
    assert seen["rows"] == {"used": 2, "limit": 500_000}
    assert seen["collections"] == {"used": 0, "limit": 5_000}
    assert seen["subscriptions"] == {"used": 0, "limit": 2_000}
    assert seen["resets_at"] > timezone.now().isoformat()


def beside(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Do something in another thread, and return once it waits for this one's transaction."""
    done: list[Any] = []

    def run() -> None:
        done.append(work())
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(someone_waits, seconds=20, what="the other transaction waits")
    return thread, done


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_get_one_place(alice: User, client_of: Client, settings: Any) -> None:
    settings.IMPORTS_OPEN_PER_PERSON = 1
    client = client_of(alice)

    with transaction.atomic():
        request_import(owner=alice, content=FILE)
        thread, done = beside(lambda: upload(client, FILE).status_code)
    thread.join(timeout=20)

    assert done == [429]
    assert Import.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_subscriptions_at_once_get_one_place(
    alice: User, client_of: Client, settings: Any
) -> None:
    settings.SUBSCRIPTIONS_PER_PERSON = 1
    client, path = client_of(alice), "/api/v1/subscriptions/"

    with transaction.atomic():
        subscribe_to(owner=alice, url="https://example.org/feed")
        thread, done = beside(
            lambda: client.post(path, {"url": "https://example.org/other"}).status_code
        )
    thread.join(timeout=20)

    assert done == [400]
    assert FeedSubscription.objects.count() == 1
