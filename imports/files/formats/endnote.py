"""Read EndNote's XML: one `record` per reference, with texts in `style` elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imports.files.bibliography import NUMBERED, doi_in, reference_item, serials_in
from imports.files.documents import Document
from imports.files.elements import Node, elements
from imports.files.errors import Unreadable
from imports.files.fields.dates import date_of
from imports.files.formats.tagged.endnote_types import TYPES
from imports.files.formats.tagged.records import keywords, notes, pages, people
from imports.files.items import Row, clean, one_line

# CSL fields with their elements.
FIELDS = {
    "title": "title", "collection-title": "tertiary-title", "volume": "volume",
    "edition": "edition", "publisher": "publisher", "publisher-place": "pub-location",
    "language": "language", "genre": "work-type", "abstract": "abstract",
}  # fmt: skip
PEOPLE = {
    "author": ("authors",), "editor": ("secondary-authors", "tertiary-authors"),
    "translator": ("translated-authors", "subsidiary-authors"),
}  # fmt: skip


def read(document: Document) -> Iterator[Row]:
    """Yield a file's references.

    If the XML breaks off, yield the references before the fault, then a problem. Other Unreadable
    errors are raised.
    """
    try:
        for node in elements(document, depth=2):
            if node.name == "record":
                yield item_of(node)
    except Unreadable as error:
        if error.code != "malformed":
            raise
        yield error.as_problem()


def item_of(record: Node) -> Row:
    """Convert a `record` element to an item."""
    urls = [url for text in _all(record, "urls", "url") for url in text.split()]
    web = next((url for url in urls if url.startswith(("http://", "https://"))), "")
    return reference_item(
        line=record.line,
        fields=csl_of(record),
        url=web,
        text=notes([*_all(record, "notes"), *_all(record, "research-notes")]),
        tags=keywords(_all(record, "keywords", "keyword")),
    )


def csl_of(record: Node) -> dict[str, Any]:
    """Return a record as CSL-JSON."""
    csl: dict[str, Any] = {name: _first(record, element) for name, element in FIELDS.items()}
    named = record.find("ref-type")
    label = one_line(named.attributes.get("name", "")).lower() if named else ""
    kind = csl["type"] = TYPES.get(label, "document")
    csl["container-title"] = _first(record, "full-title") or _first(record, "secondary-title")
    if kind == "book":
        series = csl.pop("container-title")
        csl["collection-title"] = csl["collection-title"] or series
    csl["number" if kind in NUMBERED else "issue"] = _first(record, "number")
    for role, groups in PEOPLE.items():
        target = "editor" if (role, label) == ("author", "edited book") else role
        found = [name for group in groups for name in _all(record, group, "author")]
        csl[target] = csl.get(target, []) + people(found)
    csl["page"] = pages(_first(record, "pages"))
    csl["DOI"] = doi_in(_first(record, "electronic-resource-num"))
    csl |= serials_in(_all(record, "isbn"), is_book=kind in ("book", "chapter"))
    csl["issued"] = date_of(_first(record, "year"), _first(record, "date"))
    return csl


def _first(record: Node, name: str) -> str:
    return next(iter(_all(record, name)), "")


def _all(record: Node, *names: str) -> list[str]:
    """Return the texts of the elements at a path of names, without empty texts.

    Each element of the path may be at any depth below the one before it.
    """
    found = [record]
    for name in names:
        found = [node for outer in found for node in _within(outer, name)]
    return [text for node in found if (text := clean(node.whole_text))]


def _within(node: Node, name: str) -> Iterator[Node]:
    """Yield the outermost elements with this name, outside `style`.

    They may be at any depth, because EndNote wraps most in group elements.
    """
    for child in node.children:
        if child.name == name:
            yield child
        elif child.name != "style":
            yield from _within(child, name)
