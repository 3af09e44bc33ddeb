"""CSV: a row a card, and one more for each further collection that it is in."""

from __future__ import annotations

from collections.abc import Iterator

from cards.downloads import csv_lines
from cards.exports.entries import Selection

COLUMNS = ("url", "title", "note", "tags", "collection", "created", "visibility")


def write(selection: Selection) -> Iterator[str]:
    """This writes every card, without what only references have."""
    return csv_lines(_rows(selection))


def _rows(selection: Selection) -> Iterator[tuple[str, ...]]:
    yield COLUMNS
    for entry in selection.entries():
        card = entry.card
        tags, created = "|".join(card.tags), card.created_at.isoformat()
        for name in entry.collections or [""]:
            yield card.link, card.title, card.text, tags, name, created, card.visibility
