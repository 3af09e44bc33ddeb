"""Turn cards into CSL-JSON references, for export formats that hold only references."""

from __future__ import annotations

from typing import Any

from cards.metadata import visible_metadata
from cards.references import VISIBILITY
from exports.entries import Entry
from pages.metadata.page_reference import reference_of


def csl_of(entry: Entry) -> dict[str, Any]:
    """Return a card as a CSL-JSON item; the card's fields win over its page's metadata."""
    card = entry.card
    item = {"id": str(card.pk), "type": "webpage", "title": "", **_reference(entry)}
    if card.link:
        item["URL"] = card.link
    if card.text:
        item["annote"] = card.text
    if card.tags:
        # `categories` keeps tags with commas whole; `keyword` cannot.
        item["keyword"], item["categories"] = ",".join(card.tags), card.tags
    item["custom"] = {VISIBILITY: card.visibility.lower()}
    return item


def _reference(entry: Entry) -> dict[str, Any]:
    """Return the card's own reference and title, completed from its page's metadata."""
    card = entry.card
    known = visible_metadata(card)
    own = {"title": card.title} if card.title else {}
    return {**(reference_of(known) if known else {}), **own, **card.reference}


def key_of(entry: Entry) -> str:
    """Return a citation key of author, year and the end of the card's id, which makes it unique."""
    csl = _reference(entry)
    people: list[dict[str, str]] = csl.get("author") or csl.get("editor") or [{}]
    person = people[0]
    name = str(person.get("family") or person.get("literal") or "card")
    plain = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())
    year = next(iter(date_parts(csl)), "")
    return f"{plain or 'card'}{year}-{entry.card.pk.hex[-8:]}"


def date_parts(csl: dict[str, Any]) -> list[int]:
    """Return the issue date as [year, month, day], shorter or empty if parts are unknown."""
    parts: list[list[int]] = (csl.get("issued") or {}).get("date-parts") or [[]]
    return parts[0]
