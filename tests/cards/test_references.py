from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from cards.references import ReferenceSerializer
from cards.services import add_card

Client = Callable[[Any], APIClient]

KNUTH = {
    "title": "Literate Programming",
    "author": ["Donald E. Knuth", {"family": "Knuth", "given": "Donald E."}],
    "year": 1984,
    "container_title": "The Computer Journal",
    "volume": 27,
    "pages": "97-111",
    "doi": "10.1093/comjnl/27.2.97",
    "publisher": "",
}


def errors_of(data: Any) -> Any:
    reference = ReferenceSerializer(data=data)
    return {} if reference.is_valid() else reference.errors


@pytest.mark.django_db
def test_a_reference_needs_no_address_and_is_answered_as_csl_json(
    alice: User, client_of: Client
) -> None:
    response = client_of(alice).post("/api/v1/cards/", {"type": "REFERENCE", "reference": KNUTH})

    assert response.status_code == 201
    card = response.json()
    assert (card["title"], card["url"], card["canonical_url"]) == (KNUTH["title"], None, None)
    assert card["reference"] == {
        "title": "Literate Programming",
        "author": [
            {"literal": "Donald E. Knuth"},
            {"family": "Knuth", "given": "Donald E."},
        ],
        "issued": {"date-parts": [[1984]]},
        "container-title": "The Computer Journal",
        "volume": "27",
        "page": "97-111",
        "DOI": "10.1093/comjnl/27.2.97",
    }
    assert Card.objects.get().reference == card["reference"]


def test_csl_json_comes_back_as_it_was_sent() -> None:
    reference = ReferenceSerializer(
        data={"issued": {"date-parts": [["2020", 5, "17"]]}, "container-title": "X"}
    )

    assert reference.is_valid()
    again = ReferenceSerializer(data=reference.validated_data)
    assert again.is_valid()
    assert again.validated_data == reference.validated_data


@pytest.mark.parametrize(
    ("issued", "parts"),
    [(1984, [1984]), ("1984", [1984]), ("2020-05", [2020, 5]), ("2020-05-17", [2020, 5, 17])],
)
def test_dates_are_read_in_the_usual_spellings(issued: Any, parts: list[int]) -> None:
    reference = ReferenceSerializer(data={"issued": issued})

    assert reference.is_valid()
    assert reference.validated_data == {"issued": {"date-parts": [parts]}}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"author": "Knuth"}, "author"),
        ({"author": [7]}, "author"),
        ({"author": [{}]}, "author"),
        ({"author": [{"name": "Knuth"}]}, "author"),
        ({"author": [{"family": {"x": 1}}]}, "author"),
        ({"author": ["x\x00"]}, "author"),
        ({"author": ["x"] * 501}, "author"),
        ({"issued": "soon"}, "issued"),
        ({"issued": True}, "issued"),
        ({"issued": 10**30}, "issued"),
        ({"issued": "2020-13"}, "issued"),
        ({"issued": {"date-parts": [[]]}}, "issued"),
        ({"issued": {"date-parts": [[2020, 1, 1, 1]]}}, "issued"),
        ({"issued": {"date-parts": []}}, "issued"),
        ({"issued": {"date-parts": [[2020]], "season": 1}}, "issued"),
        ({"issued": None}, "issued"),
        ({"DOI": "x" * 301}, "DOI"),
        ({"note": "x\x00"}, "note"),
        ({"author": [{"literal": "x" * 200}] * 100}, "non_field_errors"),
        ([], "non_field_errors"),
    ],
)
def test_what_is_no_reference_is_refused_field_by_field(data: Any, field: str) -> None:
    assert set(errors_of(data)) == {field}


@pytest.mark.django_db
def test_a_note_gets_no_reference_later_either(alice: Any, client_of: Any) -> None:
    note, _ = add_card(curator=alice, type="NOTE", text="x")

    answer = client_of(alice).patch(
        f"/api/v1/cards/{note.pk}/", {"reference": {"title": "T"}}, format="json"
    )

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (400, "reference", "not_allowed")
