"""The API of imports, exports and subscriptions: what it takes, and from whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card, Collection
from cards.services import add_card
from eventbook.models import Event, Priority
from eventbook.record import admission
from eventbook.record.admission import BacklogCache
from imports import limits, services
from imports.models import Import, ImportProblem
from tests.imports.conftest import IMPORTS, upload

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db


def test_a_file_is_taken_at_once_and_read_later(alice: User, client_of: Client) -> None:
    response = upload(client_of(alice), b"https://example.org/", name="list.txt")

    assert response.status_code == 202
    body = response.json()
    assert (body["status"], body["kind"], body["source"], body["size"]) == (
        "queued",
        "upload",
        "list.txt",
        20,
    )
    assert (body["seconds_left"], body["rows_per_second"]) == (None, None)
    assert Event.objects.get(type="import.requested").priority == Priority.INTERACTIVE
    assert Card.objects.count() == 0


def test_the_same_key_is_the_same_import(alice: User, client_of: Client) -> None:
    client = client_of(alice)
    file = SimpleUploadedFile("f", b"https://example.org/")
    first = client.post(
        IMPORTS, {"url": "https://example.org/feed"}, headers={"Idempotency-Key": "k"}
    )
    again = client.post(
        IMPORTS, {"url": "https://example.org/feed"}, headers={"Idempotency-Key": "k"}
    )
    other = client.post(
        IMPORTS, {"file": file}, format="multipart", headers={"Idempotency-Key": "k"}
    )

    assert (first.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert other.status_code == 422
    assert Import.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "file"),
        ({"url": "nothing"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "http://example.org:22/"}, "url"),
        ({"url": "https://example.org/", "format": "docx"}, "format"),
        ({"url": "https://example.org/", "visibility": "SECRET"}, "visibility"),
        ({"url": "https://example.org/", "collection": "x"}, "collection"),
        (
            {
                "url": "https://example.org/",
                "collection": "01890000-0000-7000-8000-000000000000",
            },
            "collection",
        ),
        ({"file": "text"}, "file"),
    ],
)
def test_what_cannot_be_imported_is_refused_by_field(
    alice: User, client_of: Client, body: Any, field: str
) -> None:
    response = client_of(alice).post(IMPORTS, body)

    assert response.status_code == 400
    assert {error["field"] for error in response.json()["errors"]} == {field}
    assert Import.objects.count() == 0


def test_a_collection_of_somebody_else_is_refused(
    alice: User, bob: User, client_of: Client
) -> None:
    collection = Collection.objects.create(owner=bob, name="Bob's")

    response = client_of(alice).post(
        IMPORTS, {"url": "https://example.org/", "collection": str(collection.pk)}
    )

    assert response.status_code == 400


def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    alice: User, client_of: Client
) -> None:
    client = client_of(alice)
    response = upload(client, b"x" * (limits.IMPORT_BYTES + 1))
    announced = client.post(
        IMPORTS, b"", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH="999999999"
    )

    with_key = client.post(
        IMPORTS,
        {"file": SimpleUploadedFile("f", b"x" * 11_000_000)},
        format="multipart",
        headers={"Idempotency-Key": "k"},
    )

    for answer in (response, announced, with_key):
        assert answer.status_code == 413
        assert answer["Content-Type"] == "application/problem+json"
    assert Import.objects.count() == 0


@pytest.mark.parametrize("body", [b"", b"--x", b"--x\r\n\r\n--x--", b"\xff\xfe" * 50])
def test_a_body_that_is_no_form_is_refused(alice: User, client_of: Client, body: bytes) -> None:
    response = client_of(alice).post(IMPORTS, body, content_type="multipart/form-data; boundary=x")

    assert response.status_code == 400


def test_while_too_much_is_open_imports_are_refused(
    alice: User, client_of: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BULK_BACKLOG_LIMIT = 0
    monkeypatch.setattr(admission, "backlog", BacklogCache())

    response = upload(client_of(alice), b"https://example.org/")

    assert (response.status_code, response["Retry-After"]) == (429, "30")
    assert Import.objects.count() == 0


def test_nobody_else_sees_or_touches_an_import(alice: User, bob: User, client_of: Client) -> None:
    job = services.request_import(owner=alice, content=b"x")
    ImportProblem.objects.create(origin=job, line=1, code="x", detail="x")
    subscription, _ = services.subscribe_to(owner=alice, url="https://example.org/feed")
    paths = [f"{IMPORTS}{job.pk}/{end}" for end in ("", "rows/", "errors.csv")]
    paths.append(f"/api/v1/subscriptions/{subscription.pk}/")
    client = client_of(bob)

    codes = [client.get(path).status_code for path in paths]
    codes += [client.post(f"{IMPORTS}{job.pk}/{end}/").status_code for end in ("cancel", "resume")]
    codes += [client.delete(path).status_code for path in (paths[0], paths[3])]

    assert set(codes) == {404}
    assert client.get(IMPORTS).json()["results"] == []
    assert client.get("/api/v1/subscriptions/").json()["results"] == []
    assert Import.objects.get().status == "queued"
    assert APIClient().get(IMPORTS).status_code == 401
    assert APIClient().get("/api/v1/exports/?format=json").status_code == 401


def test_the_history_is_paged_and_can_be_cleared(alice: User, client_of: Client) -> None:
    jobs = [services.request_import(owner=alice, content=b"x") for _ in range(3)]
    client = client_of(alice)

    page = client.get(f"{IMPORTS}?page_size=2").json()
    removed = client.delete(f"{IMPORTS}{jobs[1].pk}/")

    assert [each["id"] for each in page["results"]] == [str(jobs[2].pk), str(jobs[1].pk)]
    assert page["next"]
    assert removed.status_code == 204
    assert Import.objects.count() == 2


def test_progress_has_pace_and_time_left(alice: User, client_of: Client) -> None:
    job = services.request_import(owner=alice, content=b"x")
    Import.objects.update(
        status="running",
        started_at=timezone.now() - timedelta(seconds=10),
        read=1000,
        added=400,
        known=50,
        failed=50,
        batches=10,
        batches_done=5,
    )

    body = client_of(alice).get(f"{IMPORTS}{job.pk}/").json()

    assert body["counts"]["waiting"] == 500
    assert 45 < body["rows_per_second"] <= 50
    assert 9 <= body["seconds_left"] <= 11


def test_only_failed_rows_are_kept_one_by_one(alice: User, client_of: Client) -> None:
    job = services.request_import(owner=alice, content=b"x")

    response = client_of(alice).get(f"{IMPORTS}{job.pk}/rows/?outcome=added")

    assert response.status_code == 400


def test_exports_choose_by_collection_text_type_and_who_may_see(
    alice: User, bob: User, client_of: Client
) -> None:
    mine = Collection.objects.create(owner=alice, name="Mine")
    secret = Collection.objects.create(owner=bob, name="Secret", visibility="PRIVATE")
    for number, collections in enumerate(([mine.pk], [], [])):
        add_card(
            curator=alice, type="URL", url=f"https://example.org/{number}", collections=collections
        )
    add_card(curator=alice, type="NOTE", text="A needle", visibility="PRIVATE")
    add_card(curator=bob, type="NOTE", text="Bob's needle", visibility="PRIVATE")
    client = client_of(alice)

    def exported(query: str) -> int:
        answer = client.get(f"/api/v1/exports/?format=json&{query}")
        return answer.getvalue().count(b'"created_at"') if answer.status_code == 200 else 0

    assert exported("") == 4
    assert exported(f"collection={mine.pk}") == 1
    assert exported("q=needle") == 1
    assert exported("type=NOTE") == 1
    assert exported("visibility=PUBLIC") == 3
    answer = client.get(f"/api/v1/exports/?format=json&collection={secret.pk}")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "query", ["", "format=docx", "format=json&collection=x", "format=json&q=%00"]
)
def test_an_export_that_cannot_be_is_refused(alice: User, client_of: Client, query: str) -> None:
    response = client_of(alice).get(f"/api/v1/exports/?{query}")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_an_export_is_a_file_that_is_written_while_it_is_sent(
    alice: User, client_of: Client, django_assert_max_num_queries: Any
) -> None:
    Card.objects.bulk_create(
        Card(curator=alice, type="NOTE", title=str(n), created_at=timezone.now())
        for n in range(1200)
    )
    client = client_of(alice)

    # Of each page of 100 cards, the cards and their collections.
    with django_assert_max_num_queries(2 * 12 + 4):
        response = client.get("/api/v1/exports/?format=csv", headers={"Accept": "text/csv"})
        content = response.getvalue().decode()

    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="commonplace-2')
    assert len(content.splitlines()) == 1201


def test_a_file_comes_by_an_address_of_its_own_too(alice: User, client_of: Client) -> None:
    file = SimpleUploadedFile(
        "bookmarks.html", b'<DL><DT><A HREF="https://example.org/">E</A></DL>'
    )

    answer = client_of(alice).post("/api/v1/imports/files/", {"file": file}, format="multipart")
    other = client_of(alice).post(
        "/api/v1/imports/files/", {"url": "https://example.org/a.bib"}, format="multipart"
    )

    assert answer.status_code == 202
    assert answer["Location"] == f"/api/v1/imports/{answer.json()['id']}/"
    assert {error["field"] for error in other.json()["errors"]} == {"file", "url"}
