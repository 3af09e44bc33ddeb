"""Read MEDLINE, the format of PubMed's `.nbib` files.

https://www.nlm.nih.gov/bsd/mms/medlineelements.html
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
    notes,
    people,
    records,
)
from imports.files.formats.tagged.records import read as read_records
from imports.files.items import Item, Row, one_line

read_line = line_reader(re.compile(r"([A-Z]{2,4}) {0,2}-(?: (.*))?"))
FIRST, LAST = frozenset({"PMID"}), frozenset({"END"})
FIELDS = {
    "volume": ("VI",), "issue": ("IP",), "page": ("PG",), "language": ("LA",), "PMID": ("PMID",),
    "edition": ("EN",), "publisher": ("PB",),
}  # fmt: skip
# `Doe JA`: a family name and initials.
SHORT_NAME = re.compile(r"(.{1,150}) ([A-Z]{1,4})(?: (Jr|Sr|\d\w{1,2}))?")
IS_DOI = re.compile(r"(10\..{1,300}) \[doi\]", re.IGNORECASE)


def read(document: Document) -> Iterator[Row]:
    """Yield the references of a MEDLINE file."""
    return read_records(records(document.text, read_line, first=FIRST, last=LAST), item_of)


def item_of(record: Record) -> Item:
    """Convert a record to an item."""
    subjects = [text.replace("*", "") for text in record.all("OT", "MH")]
    return reference_item(
        line=record.line,
        fields=csl_of(record),
        text=notes(record.all("GN")),
        tags=keywords(subjects, between=";"),
    )


def csl_of(record: Record) -> dict[str, Any]:
    """Return a record as CSL-JSON."""
    csl: dict[str, Any] = {name: record.first(*tags) for name, tags in FIELDS.items()}
    book, title = record.first("BTI"), record.first("TI")
    csl["title"] = one_line(title or book).removesuffix(".")
    csl["container-title"] = record.first("JT", "TA") or (book if title else "")
    csl["type"] = ("chapter" if title else "book") if book else "article-journal"
    csl["abstract"] = " ".join(one_line(text) for text in record.all("AB"))
    if book:
        csl["publisher-place"] = record.first("PL")
    for role, full, short in (("author", "FAU", "AU"), ("editor", "FED", "ED")):
        csl[role] = people(record.all(full)) or [short_name(name) for name in record.all(short)]
    csl["author"] += [{"literal": name} for name in record.all("CN")]
    found = (IS_DOI.search(text) for text in record.all("LID", "AID", "SO"))
    csl["DOI"] = next((doi_in(doi.group(1)) for doi in found if doi), "")
    csl |= serials_in(record.all("IS", "ISBN"), is_book=bool(book))
    csl["issued"] = date_of(record.first("DP"))
    return csl


def short_name(name: str) -> dict[str, str]:
    """Return the CSL-JSON name of a name like `Doe JA`."""
    found = SHORT_NAME.fullmatch(one_line(name))
    if not found:
        return {"literal": one_line(name)}
    family, given, suffix = found.groups()
    return {"family": family, "given": given} | ({"suffix": suffix} if suffix else {})
