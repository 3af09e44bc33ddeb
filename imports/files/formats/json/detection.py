"""Tests that detect the kind of a JSON file by its structure, never by words in its texts."""

from __future__ import annotations

from typing import Any

from imports.files.bibliography import CSL_TYPES
from imports.files.fields.field_names import FIELD_OF, normalized
from imports.files.formats.json.bookmarks import adapted, list_in

# Members that only references have.
MEMBERS = ("container-title", "URL", "DOI", "ISBN", "citation-key", "citation-label")
SAMPLE = 50  # how many entries of a list are checked


def commonplace(value: Any) -> bool:
    """Return whether a JSON value is Commonplace's own export."""
    return isinstance(value, dict) and "commonplace" in value


def chrome(value: Any) -> bool:
    """Return whether a JSON value is the bookmarks file of Chrome or a related browser."""
    return isinstance(value, dict) and "roots" in value


def firefox(value: Any) -> bool:
    """Return whether a JSON value is a Firefox backup of bookmarks."""
    kind = value.get("type") if isinstance(value, dict) else None
    return isinstance(kind, str) and kind.startswith("text/x-moz-place")


def json_feed(value: Any) -> bool:
    """Return whether a JSON value is a JSON Feed."""
    version = value.get("version") if isinstance(value, dict) else None
    return isinstance(version, str) and "://jsonfeed.org/version" in version


def pinboard(value: Any) -> bool:
    """Return whether a JSON value is a list of bookmarks with Delicious's member names."""
    return isinstance(value, list) and any("href" in entry for entry in _objects(value))


def zotero(value: Any) -> bool:
    """Return whether a JSON value holds Zotero items, as Better BibTeX exports them."""
    return any("itemType" in adapted(entry) for entry in _objects(list_in(value) or []))


def csl(value: Any) -> bool:
    """Return whether a JSON value is CSL-JSON: a list, alone or in `items` or `references`."""
    if isinstance(value, dict):
        value = value.get("items", value.get("references"))
    if not isinstance(value, list):
        return False
    return not value or any(map(_is_reference, _objects(value)))


def bookmarks(value: Any) -> bool:
    """Return whether a JSON value has a list of addresses, or objects with address or title."""
    found = list_in(value)
    if found is None:
        return False
    sample = found[:SAMPLE]
    if sample and all(isinstance(entry, str) for entry in sample):
        return all("://" in entry[:20] for entry in sample)
    names = {name for entry in _objects(sample) for name in adapted(entry)}
    return not sample or bool({"url", "title"} & {FIELD_OF.get(normalized(name)) for name in names})


def _objects(value: list[Any]) -> list[dict[str, Any]]:
    return [entry for entry in value[:SAMPLE] if isinstance(entry, dict)]


def _is_reference(entry: dict[str, Any]) -> bool:
    """Return whether an object is a reference; a title and type alone may be a bookmark's."""
    if any(name in entry for name in MEMBERS):
        return True
    if isinstance(entry.get("issued"), dict):
        return True
    authors = entry.get("author")
    people = (
        [each for each in authors if isinstance(each, dict)] if isinstance(authors, list) else []
    )
    if any("family" in person or "literal" in person for person in people):
        return True
    has_link = any(isinstance(entry.get(name), str) for name in ("url", "link", "href", "uri"))
    return entry.get("type") in CSL_TYPES and "title" in entry and not has_link
