"""Small files with their right values: each file in `cases/` is imported, and its cards compared.

All are imported at once, each by a person of its own. `CASES=name` runs those with that in their
names only.

`NAME.expected.json` beside `NAME.EXT` is a list of the cards that the import must add, in their
order, each with at least the fields named: fields of the card, else of its reference. `null` means
that the field is absent; `never` names a value that must not come out anywhere. A card with `feed`
is a subscription. An object has such lists under `cards`, and any of `format`, `status`, `error`
(how it begins), `added`, `known`, `merged`, `failed`, and `problems` (of each failed row at least
the fields named: `line`, `code`, `detail`, `row`), and `warnings`, likewise. `import` has the
options of the import.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from imports.models import FeedSubscription
from tests.conftest import Drain, person
from tests.imports.conftest import IMPORTS, upload

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db(transaction=True)
CASES = Path(__file__).parent / "cases"
COUNTS = ("added", "known", "merged", "failed")


def test_small_files_give_their_right_values(drain: Drain, client_of: Client) -> None:
    wanted = os.environ.get("CASES", "")
    paths = [path for path in sorted(CASES.rglob("*.expected.json")) if wanted in path.name]
    owners = [person(f"reader{number}") for number in range(len(paths))]
    # So that what comes out private was said to be in its file.
    User.objects.update(import_visibility="PUBLIC")
    clients = [client_of(owner) for owner in owners]

    accepted = [hand_in(client, path) for client, path in zip(clients, paths, strict=True)]
    drain(120)

    faults = {}
    for owner, client, path, id in zip(owners, clients, paths, accepted, strict=True):
        try:
            check(owner, client, client.get(f"{IMPORTS}{id}/").json(), expected_of(path))
        except AssertionError as fault:
            faults[str(path.relative_to(CASES))] = str(fault)
    assert not faults, "\n\n".join(f"{name}: {fault}" for name, fault in faults.items())
    assert paths


def hand_in(client: APIClient, path: Path) -> str:
    """Import the file of a case, and return the id of the import."""
    name = path.name.removesuffix(".expected.json")
    (file,) = (each for each in path.parent.glob(f"{name}.*") if each != path)
    accepted = upload(client, file.read_bytes(), **expected_of(path).get("import", {}))
    assert accepted.status_code == 202, accepted.content
    return str(accepted.json()["id"])


def expected_of(path: Path) -> dict[str, Any]:
    """Return what a case expects."""
    expected = json.loads(path.read_text())
    return expected if isinstance(expected, dict) else {"cards": expected, "failed": 0}


def check(owner: User, client: APIClient, done: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare an import, and the cards that it added, with what is expected."""
    counts = done["counts"]
    cards = [fields_of(card) for card in Card.objects.filter(curator=owner).order_by("id")]
    figures = {name: counts.get(name, 0) for name in COUNTS}
    assert figures == figures | {name: expected[name] for name in COUNTS if name in expected}, cards
    assert sum(figures.values()) == counts["read"]
    assert done["status"] == expected.get("status", "done"), done["error"]
    assert done["error"].startswith(expected.get("error", ""))
    assert done["format"] == expected.get("format", done["format"])
    if "cards" in expected:
        subscriptions = FeedSubscription.objects.filter(owner=owner).order_by("id")
        feeds = [{"feed": each.feed.url, "title": each.title} for each in subscriptions]
        compare([*feeds, *cards], expected["cards"])
    for name, outcome in (("problems", "failed"), ("warnings", "warned")):
        if name in expected:
            rows = client.get(f"{IMPORTS}{done['id']}/rows/?outcome={outcome}").json()
            compare(rows["results"], expected[name])
            assert len(expected[name]) == counts[outcome]


def fields_of(card: Card) -> dict[str, Any]:
    """Return the fields of a card: its own, and those of its reference."""
    own = {
        "type": card.type,
        "url": card.link or None,
        "title": card.title,
        "text": card.text,
        "tags": card.tags,
        "visibility": card.visibility,
        "created_at": card.created_at,
        "collections": sorted(card.places.values_list("collection__name", flat=True)),
    }
    return {**card.reference, **own, "kind": card.reference.get("type")}


def compare(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Compare the fields that are expected of each."""
    assert len(found) == len(expected), found
    for one, wanted in zip(found, expected, strict=True):
        named = {name: value for name, value in wanted.items() if name != "never"}
        assert {name: written(one.get(name), like) for name, like in named.items()} == named, one
        if "never" in wanted:
            never = json.dumps(wanted["never"])
            assert never not in json.dumps(one, default=str, ensure_ascii=False)


def written(value: Any, like: Any) -> Any:
    """Return a moment as the expected value writes it; of a date, as many parts as it has."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"[: len(like or "") or None]
    return value
