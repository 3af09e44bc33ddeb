"""Small files with their right values: each file in `cases/` is imported, and its cards compared.

`NAME.expected.json` beside `NAME.EXT` is a list of the cards that the import must add, in their
order, each with at least the fields named: fields of the card, else of its reference. `null` means
that the field is absent; `never` names a value that must not come out anywhere. A card with `feed`
is a subscription. An object has such lists under `cards`, and any of `format`, `status`, `error`
(how it begins), `added`, `known`, `merged`, `failed`, and `problems` (of each failed row at least
the fields named: `line`, `code`, `detail`, `row`). `import` has the options of the import.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from cards.imports.models import FeedSubscription
from cards.models import Card
from tests.cards.imports.conftest import ImportFile as Bring

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db(transaction=True)
EXPECTED = sorted((Path(__file__).parent / "cases").glob("*.expected.json"))
COUNTS = ("added", "known", "merged", "failed")


def file_of(expected: Path) -> Path:
    """Return the file that a case imports."""
    name = expected.name.removesuffix(".expected.json")
    (file,) = (path for path in expected.parent.glob(f"{name}.*") if path != expected)
    return file


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.partition(".")[0])
def test_a_small_file_gives_its_right_values(
    alice: User, bring: Bring, client_of: Client, path: Path
) -> None:
    expected = json.loads(path.read_text())
    expected = expected if isinstance(expected, dict) else {"cards": expected, "failed": 0}

    done = bring(alice, file_of(path).read_bytes(), **expected.get("import", {}))

    counts = done["counts"]
    cards = [fields_of(card) for card in Card.objects.filter(curator=alice).order_by("id")]
    figures = {name: counts.get(name, 0) for name in COUNTS}
    assert figures == figures | {name: expected[name] for name in COUNTS if name in expected}, cards
    assert sum(figures.values()) == counts["read"]
    assert done["status"] == expected.get("status", "done"), done["error"]
    assert done["error"].startswith(expected.get("error", ""))
    assert done["format"] == expected.get("format", done["format"])
    if "cards" in expected:
        subscriptions = FeedSubscription.objects.filter(owner=alice).order_by("id")
        feeds = [{"feed": each.feed.url, "title": each.title} for each in subscriptions]
        compare([*feeds, *cards], expected["cards"])
    if "problems" in expected:
        failed = client_of(alice).get(f"/api/v1/imports/{done['id']}/rows/?outcome=failed").json()
        compare(failed["results"], expected["problems"])


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
