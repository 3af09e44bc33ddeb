"""What is misspelt or unknown is refused by its name, by every operation of the API."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.utils import isolate_apps
from rest_framework import serializers as framework
from rest_framework.test import APIClient

from accounts.models import User
from api.checks import every_endpoint_is_strict
from api.parsing import count_keys
from cards.models import Card, Collection
from cards.services import add_card, create_collection
from imports.models import Import
from tests.api.walking import Operation, operations

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
CARDS = "/api/v1/cards/"
OPERATIONS = list(operations())
WITH_BODY = [each for each in OPERATIONS if each.method != "get"]


@pytest.fixture
def known(alice: User, bob: User) -> dict[str, Any]:
    """These are values of addresses that exist, so that nothing is 404 before it is looked at."""
    collection = create_collection(owner=alice, name="Reading")
    card, _ = add_card(curator=alice, type="NOTE", text="x", collections=[collection.pk])
    job = Import.objects.create(owner=alice, source_kind=Import.Source.UPLOAD)
    return {
        "card_id": card.pk,
        "collection_id": collection.pk,
        "id": collection.pk,
        "import_id": job.pk,
        "subscription_id": job.pk,
        "username": bob.username,
    }


def fields(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.content
    return {error["field"]: error["detail"] for error in response.json()["errors"]}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_operation_refuses_an_unknown_parameter(
    operation: Operation, alice: User, known: dict[str, Any], client_of: Client
) -> None:
    path = operation.path(known)
    query = "&".join(f"{name}={value}" for name, value in operation.required.items())

    refused = getattr(client_of(alice), operation.method)(f"{path}?{query}&no_such=1")

    assert fields(refused)["no_such"].startswith("There is no parameter no_such.")
    assert Card.objects.count() == Collection.objects.count() == 1


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
def test_every_operation_refuses_an_unknown_field(
    operation: Operation, alice: User, known: dict[str, Any], client_of: Client
) -> None:
    body: Any = {"no_such": 1}
    if operation.route.endswith("/bulk/"):
        body = {"cards": [{"type": "NOTE", "text": "x"}], "no_such": 1}
    if operation.route.endswith("subscriptions/<uuid:subscription_id>/"):
        known["subscription_id"] = subscription(alice)

    refused = getattr(client_of(alice), operation.method)(operation.path(known), body)

    assert "no_such" in fields(refused)
    assert Card.objects.count() == Collection.objects.count() == 1


def subscription(owner: User) -> Any:
    from imports.services import subscribe_to

    return subscribe_to(owner=owner, url="https://example.org/feed")[0].pk


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (CARDS, {"type": "NOTE", "text": "x", "visiblity": "PRIVATE"}, "visiblity"),
        (CARDS, {"type": "NOTE", "text": "x", "Visibility": "PRIVATE"}, "Visibility"),
        (CARDS, {"type": "NOTE", "text": "x", "visibility ": "PRIVATE"}, "visibility "),
        ("/api/v1/collections/", {"name": "x", "visibilty": "PRIVATE"}, "visibilty"),
        ("/api/v1/imports/", {"url": "https://example.org/", "visibilty": "PRIVATE"}, "visibilty"),
        (
            "/api/v1/subscriptions/",
            {"url": "https://example.org/", "visibilty": "PRIVATE"},
            "visibilty",
        ),
    ],
)
def test_a_misspelt_field_publishes_nothing(
    alice: User, client_of: Client, path: str, body: dict[str, Any], field: str
) -> None:
    refused = client_of(alice).post(path, body)

    assert fields(refused) == {field: f"There is no field {field}. Did you mean visibility?"}
    assert Card.objects.count() == Collection.objects.count() == Import.objects.count() == 0


def test_a_misspelt_field_of_one_card_of_many_refuses_that_card(
    alice: User, client_of: Client
) -> None:
    card = {"type": "NOTE", "text": "x"}

    answer = client_of(alice).post(f"{CARDS}bulk/", {"cards": [card, card | {"visiblity": "x"}]})

    first, second = answer.json()["results"]
    assert (first["status"], second["status"]) == ("created", "invalid")
    assert second["errors"][0]["field"] == "visiblity"


def test_a_misspelt_part_of_a_form_is_refused_and_so_is_one_that_comes_twice(
    alice: User, client_of: Client
) -> None:
    def form(**parts: Any) -> Any:
        file = SimpleUploadedFile("links.txt", b"https://example.org/")
        return client_of(alice).post("/api/v1/imports/", {"file": file, **parts}, "multipart")

    assert set(fields(form(visiblity="PRIVATE"))) == {"visiblity"}
    assert set(fields(form(visibility=["PRIVATE", "PUBLIC"]))) == {"visibility"}
    assert set(fields(form(dry_run="maybe"))) == {"dry_run"}
    assert form(dry_run="true").status_code == 202


def test_all_that_is_wrong_is_said_at_once(alice: User, client_of: Client) -> None:
    refused = client_of(alice).post(CARDS, {"titel": "x", "text": 5, "id": "x"})

    assert set(fields(refused)) == {"titel", "text", "id", "type"}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (
            "cards/{card_id}/",
            ["id", "type", "curator", "created_at", "updated_at", "canonical_url", "metadata"],
        ),
        ("cards/{card_id}/", ["collections"]),
        ("collections/{collection_id}/", ["id", "owner", "created_at", "updated_at"]),
        ("users/me/", ["username", "email", "date_joined"]),
    ],
)
def test_what_cannot_be_changed_says_so_by_field(
    alice: User, known: dict[str, Any], client_of: Client, path: str, names: list[str]
) -> None:
    refused = client_of(alice).patch(f"/api/v1/{path.format(**known)}", dict.fromkeys(names, "x"))

    said = fields(refused)
    assert set(said) == set(names)
    assert not [text for text in said.values() if "There is no field" in text]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "NOTE", "text": 5}, "text"),
        ({"type": "NOTE", "text": "x", "title": 1.5}, "title"),
        ({"type": "NOTE", "text": "x", "tags": [1]}, "tags.0"),
        ({"type": "NOTE", "text": "x", "tags": "a"}, "tags"),
        ({"type": "NOTE", "text": "x", "parent": 5}, "parent"),
        ({"type": "NOTE", "text": "x", "parent": "0" * 32}, "parent"),
        ({"type": "NOTE", "text": "x", "collections": [1]}, "collections.0"),
        ({"type": "NOTE", "text": "x", "visibility": None}, "visibility"),
        ({"type": 1}, "type"),
    ],
)
def test_a_value_of_another_type_is_refused(
    alice: User, client_of: Client, body: dict[str, Any], field: str
) -> None:
    assert field in fields(client_of(alice).post(CARDS, body))


@pytest.mark.parametrize(
    ("reference", "field", "near"),
    [
        ({"title": "x", "publsher": "y"}, "publsher", "publisher"),
        ({"title": "x", "author": [{"famly": "y"}]}, "author.0.famly", "family"),
        ({"title": "x", "author": [{"family": 5}]}, "author.0", ""),
        ({"title": "x", "DOI": "10.1/a", "doi": "10.1/b"}, "doi", ""),
    ],
)
def test_what_is_nested_is_looked_at_too(
    alice: User, client_of: Client, reference: dict[str, Any], field: str, near: str
) -> None:
    body = {"type": "REFERENCE", "reference": reference}
    client = client_of(alice)

    for answer in (client.post(CARDS, body), client.post(f"{CARDS}bulk/", {"cards": [body]})):
        ((name, said),) = fields(answer).items()
        assert name.endswith(f"reference.{field}")
        assert said.endswith(f"Did you mean {near}?") or not near


@pytest.mark.parametrize("value", ["true", 1, "yes", None, [], {}])
def test_only_true_is_true(alice: User, bob: User, client_of: Client, value: Any) -> None:
    client = client_of(alice)

    assert "notify" in fields(client.put("/api/v1/users/bob/follow/", {"notify": value}))
    assert "all" in fields(client.post("/api/v1/notifications/mark-read/", {"all": value}))


@pytest.mark.parametrize("body", ["[]", "0", '""', "false", "null", "1e400", "NaN", '{"a":NaN}'])
def test_a_body_that_is_no_object_is_refused(
    alice: User, bob: User, client_of: Client, body: str
) -> None:
    client = client_of(alice)

    for method, path in (
        (client.post, CARDS),
        (client.post, f"{CARDS}bulk/"),
        (client.patch, "/api/v1/users/me/"),
        (client.put, "/api/v1/users/bob/follow/"),
    ):
        assert method(path, body, content_type="application/json").status_code == 400


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"type": "NOTE", "text": "x", "visibility": "PRIVATE", "visibility": "PUBLIC"}', 400),
        (
            '{"type": "NOTE", "text": "x", "visibility": "PRIVATE", "visibilit\\u0079": "PUBLIC"}',
            400,
        ),
        ('{"type": "NOTE", "text": "a \\"b\\": c", "visibility" : "PRIVATE"}', 201),
        ('{"type": "NOTE", "text": "\\\\", "tags": ["\\":"]}', 201),
    ],
)
def test_a_key_that_comes_twice_is_refused(
    alice: User, client_of: Client, body: str, code: int
) -> None:
    answer = client_of(alice).post(CARDS, body, content_type="application/json")

    assert answer.status_code == code
    if code == 400:
        assert set(fields(answer)) == {"visibility"}


def test_keys_are_counted_in_all_objects() -> None:
    assert count_keys({"a": [{"b": 1}, {"b": {"c": 2}}], "d": "e"}) == 5


@pytest.mark.parametrize(
    "size", ["0", "-1", "abc", "201", "10000", "1.0", "", "%31%00", "٣", "007", "9" * 5000]
)
def test_a_page_size_beyond_its_bounds_is_refused_and_they_are_said(
    alice: User, client_of: Client, size: str
) -> None:
    said = fields(client_of(alice).get(f"{CARDS}?page_size={size}"))

    assert said == {"page_size": "Give a whole number from 1 to 200."}


@pytest.mark.parametrize(
    "query",
    ["cursor=", "type=", "type=URL&type=NOTE", "page_size=5&page_size=6", "q=", "tag=", "format=x"],
)
def test_a_parameter_that_says_nothing_or_two_things_is_refused(
    alice: User, client_of: Client, query: str
) -> None:
    (said,) = fields(client_of(alice).get(f"{CARDS}?{query}"))

    assert said.removesuffix(".0") == query.partition("=")[0]


def test_a_moment_has_an_offset(alice: User, client_of: Client) -> None:
    client, path = client_of(alice), f"{CARDS}history/?at="

    for moment in ("2026-01-31", "2026-01-31T12:00:00", "1769860800", ""):
        assert set(fields(client.get(path + moment))) == {"at"}


def test_who_asks_is_looked_at_first(known: dict[str, Any]) -> None:
    assert APIClient().get(f"{CARDS}?no_such=1").status_code == 401


@pytest.fixture
def loose() -> Iterator[None]:
    with isolate_apps():

        class Loose(framework.Serializer[Any]):
            """Accepts any field."""

        Loose.__module__ = "cards.serializers"
        yield
        del Loose
        gc.collect()  # it stays among the subclasses until then


def test_a_serializer_that_is_not_strict_fails_the_system_check(loose: None) -> None:
    assert [error.id for error in every_endpoint_is_strict()] == ["api.E002"]


def test_all_that_there_is_passes_the_system_check() -> None:
    assert every_endpoint_is_strict() == []
