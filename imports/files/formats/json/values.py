"""Helpers shared by the parsers of JSON formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.items import Problem, Row, clean

NOT_AN_OBJECT = "This entry is not an object."


def object_of(document: Document) -> dict[str, Any]:
    """Return the object of a JSON file; raise Unreadable for another value."""
    value = document.json
    if not isinstance(value, dict):
        raise Unreadable("malformed", "This is not a JSON object.")
    return value


def entries(value: Any, *names: str) -> Iterator[tuple[int, Any]]:
    """Yield numbered entries of a list, or of an object's list under one of these names.

    Raise Unreadable if there is no list.
    """
    members = value if isinstance(value, dict) else {}
    found = next((members[name] for name in names if name in members), None) if names else value
    if not isinstance(found, list):
        raise Unreadable("malformed", "The list of entries is missing.")
    yield from enumerate(found, start=1)


def members_of(entry: dict[str, Any], name: str) -> list[Any]:
    """Return an object's list under a name, or an empty list."""
    found = entry.get(name)
    return found if isinstance(found, list) else []


def rows_of(numbered: Iterator[tuple[int, Any]], read: Callable[[int, Any], Row]) -> Iterator[Row]:
    """Yield the row of each entry, and a Problem for each entry that is not an object."""
    for number, entry in numbered:
        if not isinstance(entry, dict):
            yield Problem(line=number, code="malformed", detail=NOT_AN_OBJECT)
        else:
            yield read(number, entry)


def strings(value: Any) -> tuple[str, ...]:
    """Return the strings of a list, or of a text separated by commas."""
    if isinstance(value, str):
        value = value.split(",")
    return tuple(clean(each) for each in value) if isinstance(value, list) else ()


def text_of(entry: Any, *names: str) -> str:
    """Return the first of these members that is a non-blank string, or ""."""
    values = (entry.get(name) for name in names)
    return next((clean(value) for value in values if isinstance(value, str) and value.strip()), "")
