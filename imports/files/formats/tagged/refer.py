"""Read the refer format, in the form of EndNote's `.enw` files and in its original form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from imports.files.bibliography import NUMBERED, doi_in, reference_item, serials_in
from imports.files.documents import Document
from imports.files.fields.dates import date_of
from imports.files.formats.tagged.endnote_types import TYPES
from imports.files.formats.tagged.records import Record, keywords, line_reader, notes, pages, people
from imports.files.formats.tagged.records import read as read_records
from imports.files.items import Item, Row

read_line = line_reader(re.compile(r"%([0-9A-Za-z@?!>\[\]<*^~$&(+])(?: (.*))?"))
FIELDS = {
    "title": ("T",), "collection-title": ("S",), "publisher": ("I",), "publisher-place": ("C",),
    "volume": ("V",), "edition": ("7",), "language": ("G",), "genre": ("9",), "abstract": ("X",),
}  # fmt: skip


def read(document: Document) -> Iterator[Row]:
    """Yield the references of a refer file."""
    return read_records(records(document.text), item_of)


def records(text: str) -> Iterator[Record]:
    """Yield the records of a text. A record begins with %0, or with any tag after an empty line."""
    record: Record | None = None
    is_apart = True
    for number, line in enumerate(text.split("\n"), start=1):
        tag, content = read_line(line.lstrip("\ufeff"))
        if tag == "0" or (tag and is_apart):
            if record:
                yield record
            record = Record(number)
        is_apart = not line.strip()
        if record:
            record.add(tag, content)
    if record:
        yield record


def item_of(record: Record) -> Item:
    """Convert a record to an item."""
    urls = [url for text in record.all("U") for url in text.split()]
    return reference_item(
        line=record.line,
        fields=csl_of(record),
        url=next(iter(urls), ""),
        text=notes(record.all("Z")),
        tags=keywords(record.all("K")),
    )


def csl_of(record: Record) -> dict[str, Any]:
    """Return a record as CSL-JSON."""
    csl: dict[str, Any] = {name: record.first(*tags) for name, tags in FIELDS.items()}
    journal, book = record.first("J"), record.first("B")
    named = record.first("0").lower()
    untyped = "article-journal" if journal else "chapter" if book else "book"
    kind = csl["type"] = TYPES.get(named, "document") if named else untyped
    csl["container-title"] = journal or book
    if kind == "book" and not journal:
        csl["collection-title"], csl["container-title"] = csl["collection-title"] or book, ""
    author = "editor" if named == "edited book" else "author"
    csl[author] = people(record.all("A"))
    csl["editor"] = csl.get("editor", []) + people(record.all("E", "Y"))
    csl["translator"] = people(record.all("?"))
    csl["number" if kind in NUMBERED else "issue"] = record.first("N")
    csl["page"] = pages(record.first("P"))
    csl["DOI"] = doi_in(record.first("R"))
    csl |= serials_in(record.all("@"), is_book=kind in ("book", "chapter"))
    exact, year = date_of(record.first("8")), date_of(record.first("D"), record.first("8"))
    same_year = exact and year and exact["date-parts"][0][0] == year["date-parts"][0][0]
    csl["issued"] = exact if same_year or not year else year
    return csl
