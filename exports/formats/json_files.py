"""Write JSON: Commonplace's own format, which holds everything, and CSL-JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from django.utils import timezone

from exports.csl import csl_of
from exports.entries import Entry, Selection


def commonplace(selection: Selection) -> Iterator[str]:
    """Yield the whole selection: collections, subscriptions and cards."""
    yield f'{{"commonplace": 1, "exported_at": "{timezone.now().isoformat()}",\n'
    yield '"collections": '
    yield from json_list(
        {"name": found.name, "description": found.description, "visibility": found.visibility}
        for found in selection.collections().iterator()
    )
    yield ',\n"subscriptions": '
    names = selection.names()
    yield from json_list(
        {
            "url": found.feed.url,
            "title": found.title,
            "collection": names.get(found.options.get("collection", "")),
            "visibility": found.options.get("visibility"),
        }
        for found in selection.subscriptions().iterator()
    )
    yield ',\n"cards": '
    yield from json_list(_card(entry) for entry in selection.entries())
    yield "}\n"


def _card(entry: Entry) -> dict[str, Any]:
    """Return a card in Commonplace's own format."""
    card = entry.card
    return {
        "id": card.pk,
        "type": card.type,
        "url": card.link or None,
        "title": card.title,
        "text": card.text,
        "tags": card.tags,
        "reference": card.reference,
        "collections": entry.collections,
        "parent": card.shown_parent_id,  # type: ignore[attr-defined]
        "visibility": card.visibility,
        "created_at": card.created_at,
    }


def csl(selection: Selection) -> Iterator[str]:
    """Yield an item for each card with a reference or an address; notes have no item."""
    yield from json_list(map(csl_of, selection.references()))
    yield "\n"


def json_list(values: Iterable[Any]) -> Iterator[str]:
    """Yield a JSON list, one value per line."""
    between = "[\n"
    for value in values:
        yield between + msgspec.json.encode(value).decode()
        between = ",\n"
    yield "\n]" if between == ",\n" else "[]"
