"""Write CSV: one row per card and collection, or one row for a card without collections."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from api.downloads import csv_lines
from exports.entries import Selection

COLUMNS = (
    "url", "title", "note", "tags", "collection", "created", "visibility", "collection_visibility",
)  # fmt: skip
# Tags that readers would misread: with a separator, or beginning like a list or a hashtag.
NOT_IN_TAGS = re.compile(r"[|;,]|^[#\[{]")


def write(selection: Selection) -> Iterator[str]:
    """Yield every card, without the fields of references."""
    return csv_lines(_rows(selection))


def _rows(selection: Selection) -> Iterator[tuple[str, ...]]:
    """Yield the header, then a row for each card in each of its collections."""
    yield COLUMNS
    for entry in selection.entries():
        card = entry.card
        tags, created = tags_of(card.tags), card.created_at.isoformat()
        own = (card.link, card.title, card.text, tags)
        for name in entry.collections or [""]:
            collection_visibility = entry.visibilities.get(name, "")
            yield *own, name, created, card.visibility, collection_visibility


def tags_of(tags: list[str]) -> str:
    """Return tags in one cell, separated by `|`; as a JSON list if a tag would be misread."""
    if any(NOT_IN_TAGS.search(tag) for tag in tags):
        return json.dumps(tags, ensure_ascii=False)
    return "|".join(tags)
