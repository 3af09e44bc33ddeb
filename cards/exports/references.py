"""Cards as references, for the formats that hold nothing else."""

from __future__ import annotations

from typing import Any

from cards.exports.entries import Entry
from cards.metadata.references import reference_of
from cards.metadata.showing import shown_of
from cards.references import VISIBILITY


def csl_of(entry: Entry) -> dict[str, Any]:
    """Return a card as an item of CSL-JSON: its curator's words, else those of its page."""
    card = entry.card
    item = {"id": str(card.pk), "type": "webpage", "title": "", **_reference(entry)}
    if card.link:
        item["URL"] = card.link
    if card.text:
        item["annote"] = card.text
    if card.tags:
        # The list for who reads lists: the text has no place for commas in a tag.
        item["keyword"], item["categories"] = ",".join(card.tags), card.tags
    item["custom"] = {VISIBILITY: card.visibility.lower()}
    return item


def _reference(entry: Entry) -> dict[str, Any]:
    card = entry.card
    known = shown_of(card)
    own = {"title": card.title} if card.title else {}
    return {**(reference_of(known) if known else {}), **own, **card.reference}


def key_of(entry: Entry) -> str:
    """Return a name to cite a card by; the end of its id makes it the only one."""
    csl = _reference(entry)
    people: list[dict[str, str]] = csl.get("author") or csl.get("editor") or [{}]
    person = people[0]
    name = str(person.get("family") or person.get("literal") or "card")
    plain = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())
    year = next(iter(date_parts(csl)), "")
    return f"{plain or 'card'}{year}-{entry.card.pk.hex[-8:]}"


def date_parts(csl: dict[str, Any]) -> list[int]:
    """Return year, month and day, as far as they are known."""
    parts: list[list[int]] = (csl.get("issued") or {}).get("date-parts") or [[]]
    return parts[0]
