"""What readers of JSON share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cards.imports.documents import Document
from cards.imports.errors import Unreadable
from cards.imports.items import Problem, Row, clean

NOT_AN_OBJECT = "This entry is not an object."


def object_of(document: Document) -> dict[str, Any]:
    """Return the members of a JSON file that is one object; raises Unreadable."""
    value = document.json
    if not isinstance(value, dict):
        raise Unreadable("malformed", "This is not one JSON object.")
    return value


def entries(value: Any, *names: str) -> Iterator[tuple[int, Any]]:
    """Yield the members of a list, or of the list under one of these names, numbered."""
    members = value if isinstance(value, dict) else {}
    found = next((members[name] for name in names if name in members), None) if names else value
    if not isinstance(found, list):
        raise Unreadable("malformed", "The list of entries is missing.")
    yield from numbered(found)


def numbered(found: list[Any]) -> Iterator[tuple[int, Any]]:
    """Yield entries with their numbers, which stand for lines."""
    yield from enumerate(found, start=1)


def members_of(entry: dict[str, Any], name: str) -> list[Any]:
    """Return the list that an object has under a name, or an empty one."""
    found = entry.get(name)
    return found if isinstance(found, list) else []


def each(numbered: Iterator[tuple[int, Any]], read: Callable[[int, Any], Row]) -> Iterator[Row]:
    """Read entries one by one; one that cannot be read does not hold up the others."""
    for number, entry in numbered:
        if not isinstance(entry, dict):
            yield Problem(line=number, code="malformed", detail=NOT_AN_OBJECT)
        else:
            yield read(number, entry)


def strings(value: Any) -> tuple[str, ...]:
    """Return the texts of a list, or of a text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    return tuple(clean(each) for each in value) if isinstance(value, list) else ()


def text_of(entry: Any, *names: str) -> str:
    """Return the first of these members that is a text with something in it."""
    values = (entry.get(name) for name in names)
    return next((clean(value) for value in values if isinstance(value, str) and value.strip()), "")
