"""What the OpenAPI schema tells: summaries, examples, headers and errors of every operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from django.test import Client
from rest_framework.test import APIClient

Operation = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = Client().get("/api/schema/", {"format": "json"}).json()
    return found


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, Operation]]:
    """Yield each operation, with what to call it."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each body of an operation, with what to call it."""
    for type_, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request {type_}", content
    for code, response in operation["responses"].items():
        for type_, content in response.get("content", {}).items():
            yield f"{code} {type_}", content


def test_every_operation_has_a_summary_and_every_body_an_example(schema: dict[str, Any]) -> None:
    lacking = [
        f"{name}: {what}"
        for name, operation in operations(schema)
        for what, content in contents(operation)
        if "example" not in content
    ]
    summaries = {name: operation.get("summary", "") for name, operation in operations(schema)}

    assert lacking == []
    assert [name for name, text in summaries.items() if not 5 < len(text) < 100] == []
    assert [text for text in summaries.values() if text.startswith("This ")] == []


def test_every_example_is_valid(schema: dict[str, Any]) -> None:
    wrong = []
    for name, operation in operations(schema):
        for what, content in contents(operation):
            own = {"components": schema["components"], **content["schema"]}
            validator = jsonschema_rs.Draft202012Validator(own)
            wrong += [
                f"{name} {what}: {error.message}"
                for error in validator.iter_errors(content["example"])
            ]

    assert wrong == []


def test_examples_have_every_field_of_what_is_answered(schema: dict[str, Any]) -> None:
    from api.schema import EXAMPLES

    components = schema["components"]["schemas"]
    for name, example in EXAMPLES.items():
        if name not in components or name.endswith("Request"):
            continue
        assert set(example) == set(components[name]["properties"]), name


def test_headers_are_told(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema):
        for code, response in operation["responses"].items():
            headers = response["headers"]
            assert "X-Request-ID" in headers, (name, code)
            assert ("Retry-After" in headers) is (code in ("429", "503")), (name, code)

    paths = schema["paths"]
    assert "Location" in paths["/api/v1/cards/"]["post"]["responses"]["201"]["headers"]
    assert "ETag" in paths["/api/v1/cards/{card_id}/"]["get"]["responses"]["200"]["headers"]
    assert "412" in paths["/api/v1/cards/{card_id}/"]["patch"]["responses"]


def test_an_upload_and_an_address_have_schemas_of_their_own(schema: dict[str, Any]) -> None:
    bodies = schema["paths"]["/api/v1/imports/"]["post"]["requestBody"]["content"]
    required = {
        type_: schema["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]][
            "required"
        ]
        for type_, body in bodies.items()
    }

    assert required == {"multipart/form-data": ["file"], "application/json": ["url"]}


def test_tags_come_in_the_order_in_which_they_are_read(schema: dict[str, Any]) -> None:
    told = [tag["name"] for tag in schema["tags"]]
    used = {tag for _, operation in operations(schema) for tag in operation["tags"]}

    assert told[:3] == ["auth", "users", "cards"]
    assert used == set(told)


def test_the_example_of_a_card_can_be_added(db: None, schema: dict[str, Any], alice: Any) -> None:
    api = APIClient()
    api.force_authenticate(alice)
    body = schema["paths"]["/api/v1/cards/"]["post"]["requestBody"]["content"]["application/json"]

    answer = api.post("/api/v1/cards/", body["example"], format="json")

    assert answer.status_code == 201
    example = schema["paths"]["/api/v1/cards/"]["post"]["responses"]["201"]["content"]
    assert set(answer.json()) == set(example["application/json"]["example"])
