"""Read Web of Science's tagged format (`FN`, `VR`, then records from `PT` to `ER`).

https://webofscience.help.clarivate.com/en-us/Content/wos-core-collection/woscc-field-tags.htm
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from imports.files.bibliography import doi_in, reference_item, serials_in
from imports.files.documents import Document
from imports.files.fields.dates import date_of
from imports.files.formats.tagged.records import (
    Record,
    keywords,
    line_reader,
    pages,
    people,
    records,
)
from imports.files.formats.tagged.records import read as read_records
from imports.files.items import Item, Row, one_line

read_line = line_reader(re.compile(r"([A-Z][A-Z0-9])(?: (.*))?"))
FIRST, LAST = frozenset({"PT"}), frozenset({"ER", "EF", "FN", "VR"})
TYPES = {"J": "article-journal", "B": "book", "S": "book", "C": "paper-conference", "P": "patent"}
# The type of the document (DT), where it is more specific than the type of publication (PT).
DOCUMENTS = {
    "proceedings paper": "paper-conference", "book chapter": "chapter", "book": "book",
    "review": "article-journal", "article": "article-journal", "data paper": "article-journal",
}  # fmt: skip
FIELDS = {
    "title": ("TI",), "container-title": ("SO", "J9", "JI"), "collection-title": ("SE",),
    "event-title": ("CT",), "volume": ("VL",), "issue": ("IS",), "publisher": ("PU",),
    "publisher-place": ("PI",), "language": ("LA",), "PMID": ("PM",), "number": ("PN",),
}  # fmt: skip


def read(document: Document) -> Iterator[Row]:
    """Yield the references of a Web of Science file."""
    return read_records(records(document.text, read_line, first=FIRST, last=LAST), item_of)


def item_of(record: Record) -> Item:
    """Convert a record to an item."""
    subjects = [one_line(text) for text in record.all("DE", "ID")]
    return reference_item(
        line=record.line, fields=csl_of(record), tags=keywords(subjects, between=";")
    )


def csl_of(record: Record) -> dict[str, Any]:
    """Return a record as CSL-JSON."""
    csl: dict[str, Any] = {name: one_line(record.first(*tags)) for name, tags in FIELDS.items()}
    csl["type"] = _type_of(record)
    if csl["type"] == "book" and csl["title"] == csl["container-title"]:
        del csl["container-title"]
    # One name per line, in one field.
    for role, tags in {"author": ("AF", "AU"), "editor": ("BE", "ED")}.items():
        csl[role] = people(record.first(*tags).split("\n"))
    csl["author"] += [{"literal": one_line(name)} for name in record.all("CA", "GP")]
    csl["page"] = pages(record.first("BP"), record.first("EP")) or record.first("AR")
    csl["abstract"] = one_line(record.first("AB"))
    csl["DOI"] = doi_in(record.first("DI"))
    csl |= serials_in(record.all("SN", "EI", "BN"), is_book=False)
    year = record.first("PY")
    csl["issued"] = date_of(year, record.first("PD").split("-")[0])
    return csl


def _type_of(record: Record) -> str:
    """Return the CSL type of a record, by DT and PT."""
    words = [word.strip().lower() for word in record.first("DT").split(";")]
    # Proceedings that appear in a journal are cited as articles of the journal.
    if record.first("PT")[:1] == "J":
        return "article-journal"
    found = (DOCUMENTS[word] for word in reversed(words) if word in DOCUMENTS)
    return next(found, TYPES.get(record.first("PT")[:1], "document"))
