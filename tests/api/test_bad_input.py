"""Whatever a client sends to any operation, the API gives a response that its schema declares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zlib import crc32

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, seed, settings
from knox.models import AuthToken
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts import services
from accounts.models import User
from cards.services import add_card, create_collection
from eventbook.observe.vitals import Vitals
from eventbook.stream import Hub
from server.stream import HUB

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# Not server.wsgi, which would register a web process in the database.
django = get_wsgi_application()
# Accepts streams, as a web process does, but no stream stays open here.
hub = Hub(still_valid=set, render=bytes, per_person=10_000, most=10_000, vitals=Vitals())


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Handle a request as Django does in a web process."""
    # The test client does not decompress responses.
    return django(environ | {HUB: hub, "HTTP_ACCEPT_ENCODING": "identity"}, start_response)


schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", application)
known: dict[str, list[Any]] = {}
# Existing values for fields of bodies and queries, chosen by a number.
EXISTING: dict[str, Callable[[int], Any]] = {
    "url": lambda choice: f"https://example.org/{choice % 7}",
    "parent": lambda choice: known["card_id"][choice % 2],
    "card": lambda choice: known["card_id"][choice % 2],
    "collections": lambda _: known["collection_id"],
}


def name_what_exists(case: schemathesis.Case[Any]) -> None:
    """Make three of four requests refer to existing objects, to get beyond 404 responses."""
    # The request itself determines the choice, so that a failure can be repeated.
    choice = crc32(repr((case.path_parameters, case.query, case.body)).encode())
    if choice % 4 == 0:
        return
    for name in set(case.path_parameters) & set(known):
        case.path_parameters[name] = known[name][choice // 4 % len(known[name])]
    bodies = case.body.get("cards", [case.body]) if isinstance(case.body, dict) else []
    for part in (case.query, *(bodies if isinstance(bodies, list) else [])):
        if isinstance(part, dict):
            part.update({name: EXISTING[name](choice) for name in set(part) & set(EXISTING)})


@pytest.fixture
def token(alice: User, bob: User) -> Iterator[str]:
    collection = create_collection(owner=alice, name="Reading")
    card, _ = add_card(
        curator=alice, type="URL", url="https://example.org/", collections=[collection.pk]
    )
    other, _ = add_card(curator=bob, type="NOTE", text="note")
    services.follow(follower=alice, followed=bob)
    known.update(
        card_id=[str(card.pk), str(other.pk)],
        collection_id=[str(collection.pk)],
        id=[str(collection.pk)],
        username=["alice", "bob"],
    )
    yield AuthToken.objects.create(alice)[1]
    known.clear()


@pytest.mark.django_db(transaction=True)
@schema.parametrize()
@seed(1)
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_schema_names(
    case: schemathesis.Case[Any], token: str
) -> None:
    name_what_exists(case)
    # Schemathesis does not decompress the responses of a WSGI application.
    headers = {"Authorization": f"Token {token}", "Accept-Encoding": "identity"}
    case.call_and_validate(headers=headers, checks=CHECKS)
