"""References in the terms of CSL-JSON, made to fit what a card can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec
from rest_framework.exceptions import ValidationError

from cards import limits
from cards.imports.items import Item, clean, fingerprint, one_line
from cards.references import PEOPLE_FIELDS, TEXT_FIELDS, Issued, Person

# What tells one reference from another, beside its people and its year.
PRINTED = ("title", "container-title", "volume", "issue", "page", "edition", "publisher")
LONG = ("abstract", "note")  # fields that may have several lines
DOI = re.compile(r"10\.\d{4,9}/\S+")
YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)")
DATE = re.compile(r"(\d{4})(?:[-/](\d{1,2}))?(?:[-/](\d{1,2}))?")
MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}


def reference_item(
    *,
    line: int,
    fields: Mapping[str, Any],
    url: str = "",
    text: str = "",
    tags: tuple[str, ...] = (),
    added_at: datetime | None = None,
    collections: tuple[tuple[str, ...], ...] = (),
) -> Item:
    """This answers the item of a reference.

    It is known by its DOI, or else its address, or else by what is printed on it: so it is the
    same in whatever format it comes.
    """
    reference = fitted(fields)
    doi = reference.get("DOI", "")
    link = clean(url) or (f"https://doi.org/{quote(doi, safe='/:;().-_<>')}" if doi else "")
    printed = [reference.get(name, "") for name in PRINTED]
    printed.append(str(reference.get("issued", {}).get("date-parts", [[""]])[0][0]))
    guid = f"doi:{doi.lower()}" if doi else link or fingerprint(_names(reference), *printed)
    return Item(
        line=line,
        guid=guid,
        source="reference",
        title=reference.get("title", ""),
        url=link,
        text=clean(text),
        tags=tags,
        added_at=added_at,
        collections=collections,
        reference=reference or {"type": "document"},
    )


def _names(reference: Mapping[str, Any]) -> str:
    people = reference.get("author", []) + reference.get("editor", [])
    return "; ".join(person.get("family") or person.get("literal", "") for person in people)


def fitted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """This answers the fields that a card holds, each of a length that it holds."""
    found: dict[str, Any] = {}
    for name, length in TEXT_FIELDS.items():
        value = fields.get(name)
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if fitting := (clean(text) if name in LONG else one_line(text))[:length].strip():
            found[name] = fitting
    if "DOI" in found:
        found["DOI"] = doi_in(found["DOI"]) or found["DOI"]
    for name in PEOPLE_FIELDS:
        if people := _people(fields.get(name)):
            found[name] = people
    if issued := issued_of(fields.get("issued")):
        found["issued"] = issued
    return _of_size(found)


def _people(value: Any) -> list[dict[str, str]]:
    given = value if isinstance(value, list) else []
    people = [_person(person) for person in given[: limits.REFERENCE_PEOPLE]]
    return [person for person in people if person]


def _person(value: Any) -> dict[str, str]:
    parts = {"literal": value} if isinstance(value, str) else value
    if not isinstance(parts, dict):
        return {}
    texts = {name: one_line(parts.get(name))[:200].strip() for name in Person.parts}
    return {name: text for name, text in texts.items() if text}


def _of_size(found: dict[str, Any]) -> dict[str, Any]:
    for name in ("abstract", "note", "translator", "editor", "author"):
        if len(msgspec.json.encode(found)) <= limits.REFERENCE_BYTES:
            break
        found.pop(name, None)
    return found


def doi_in(text: str) -> str:
    """This answers the DOI in a text, without what stands around it."""
    found = DOI.search(text)
    return found.group().rstrip(".,;\"'") if found else ""


def issued_of(value: Any) -> dict[str, Any] | None:
    """This answers a date as CSL-JSON has it, from that or from a text; None for no date."""
    match value:
        case {"date-parts": [[*parts], *_]}:
            value = {"date-parts": [parts[:3]]}
        case {"raw": str(text)} | {"literal": str(text)} | str(text):
            return date_of(text)
        case int():
            pass
        case _:
            return None
    try:
        return Issued().to_internal_value(value)
    except ValidationError:
        return None


def date_of(text: str, month: str = "", day: str = "") -> dict[str, Any] | None:
    """This answers the date that a text begins with, or the year in it."""
    found = DATE.match(text.strip())
    parts = [int(part) for part in found.groups() if part] if found else []
    if not parts and (year := YEAR.search(text)):
        parts = [int(year.group(1))]
    if len(parts) == 1 and (number := month_of(month or text)):
        parts.append(number)
        if day.strip().isdecimal() and len(day.strip()) < 3:
            parts.append(int(day))
    while parts:
        try:
            return Issued().to_internal_value({"date-parts": [parts]})
        except ValidationError:
            parts.pop()
    return None


def month_of(text: str) -> int | None:
    """This answers the month that a text names."""
    text = text.strip().lower()
    if text.isdecimal() and len(text) < 3 and 1 <= int(text) <= 12:
        return int(text)
    names = re.findall(r"[a-z]{3,}", text)
    return next((MONTHS[name[:3]] for name in names if name[:3] in MONTHS), None)
