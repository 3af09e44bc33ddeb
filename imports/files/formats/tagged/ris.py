"""Read RIS in the variants of the many programs that write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cards.references import VISIBILITY
from imports.files.bibliography import NUMBERED, doi_in, reference_item, serials_in
from imports.files.documents import Document
from imports.files.fields.dates import date_of
from imports.files.fields.privacy import privacy_of
from imports.files.formats.tagged.records import (
    Record,
    keywords,
    notes,
    pages,
    people,
    records,
)
from imports.files.formats.tagged.records import read as read_records
from imports.files.items import Item, Row

TYPES = {
    "JOUR": "article-journal", "EJOUR": "article-journal", "JFULL": "article-journal",
    "INPR": "article-journal", "ABST": "article-journal", "MGZN": "article-magazine",
    "NEWS": "article-newspaper", "BOOK": "book", "EBOOK": "book", "EDBOOK": "book",
    "CHAP": "chapter", "ECHAP": "chapter", "CONF": "paper-conference", "CPAPER": "paper-conference",
    "THES": "thesis", "RPRT": "report", "GOVDOC": "report", "ELEC": "webpage", "ICOMM": "webpage",
    "BLOG": "post-weblog", "DATA": "dataset", "AGGR": "dataset", "COMP": "software",
    "PAT": "patent", "STAND": "standard", "STAT": "legislation", "BILL": "bill",
    "CASE": "legal_case", "UNPB": "manuscript", "MANSCPT": "manuscript",
    "VIDEO": "motion_picture", "MPCT": "motion_picture", "SOUND": "song", "MUSIC": "song",
    "PAMP": "pamphlet", "ENCYC": "entry-encyclopedia", "DICT": "entry-dictionary", "MAP": "map",
    "ART": "graphic", "PCOMM": "personal_communication", "SLIDE": "speech",
    "ADVS": "motion_picture",
}  # fmt: skip
# Types whose T2 is the series, not a containing work.
WHOLE = {"book", "thesis"}
# CSL fields with their tags, best first.
FIELDS = {
    "publisher": ("PB",), "publisher-place": ("CY", "PP"), "volume": ("VL",), "edition": ("ET",),
    "language": ("LA",), "collection-title": ("T3",),
}  # fmt: skip
TITLES = ("TI", "T1", "CT")
JOURNALS = ("JF", "T2", "BT", "JO", "JA", "J1", "J2")
TAGS = frozenset(
    (  # noqa: SIM905 - one a line would be a page of them
        "TY ER A1 A2 A3 A4 AB AD AN AU AV BT C1 C2 C3 C4 C5 C6 C7 C8 CA CN CP CT CY DA DB DO DP ED "
        "EP ET ID IS J1 J2 JA JF JO KW L1 L2 L3 L4 LA LB LK M1 M2 M3 N1 N2 NV OP PB PP PY RI RN RP "
        "SE SN SP ST T1 T2 T3 TA TI TT U1 U2 U3 U4 U5 UR VL VO Y1 Y2"
    ).split()
)
LINE = re.compile(r" ?([A-Za-z][A-Za-z0-9])( {1,2})- ?(.*)")
FIRST, LAST = frozenset({"TY"}), frozenset({"ER"})


def read(document: Document) -> Iterator[Row]:
    """Yield the references of a RIS file."""
    return read_records(records(document.text, read_line, first=FIRST, last=LAST), item_of)


def read_line(line: str) -> tuple[str, str]:
    """Return the tag of a line ("" for a continuation line) and its text.

    Some programs write one space instead of two, or lower-case tags. Then only known tags count,
    because a line of an abstract may look like a tag.
    """
    found = LINE.fullmatch(line.rstrip())
    if not found:
        return "", line.strip()
    tag, spaces, text = found.groups()
    is_strict = len(spaces) == 2 and tag == tag.upper()
    is_lax = tag.upper() in TAGS and (len(spaces) == 2 or tag == tag.upper())
    return (tag.upper(), text) if is_strict or is_lax else ("", line.strip())


def item_of(record: Record) -> Item:
    """Convert a record to an item."""
    csl = csl_of(record)
    urls = [url for text in record.all("UR", "L2", "LK") for url in text.replace(";", " ").split()]
    url = next((url for url in urls if url.startswith(("http://", "https://"))), "")
    others = [other for other in dict.fromkeys(urls) if other != url]
    if others and len(record.all("UR")) > 1:
        csl["note"] = "\n".join(others)
    own = (text.partition(":") for text in record.all("C8"))
    privacy = privacy_of({name: v for name, _, v in own if name.strip().lower() == VISIBILITY})
    item = reference_item(
        line=record.line,
        fields=csl,
        url=url or next(iter(urls), ""),
        text=notes(record.all("N1", "RN") + (record.all("N2") if record.all("AB") else [])),
        tags=keywords(record.all("KW")),
    )
    return replace(item, private=privacy.private, warning=privacy.warning)


def csl_of(record: Record) -> dict[str, Any]:
    """Return a record as CSL-JSON."""
    named = record.first("TY").upper()
    kind = TYPES.get(named, "document")
    csl: dict[str, Any] = {"type": kind}
    for name, tags in FIELDS.items():
        csl[name] = record.first(*tags)
    csl["title"] = record.first(*TITLES, *(("BT",) if kind == "book" else ()), "ST")
    csl["container-title"] = record.first(*JOURNALS)
    if kind == "paper-conference" and record.first("C3"):
        csl["container-title"], csl["event-title"] = record.first("C3"), record.first("T2")
    if kind in WHOLE and not record.first("JF", "JO"):
        csl["collection-title"] = csl["collection-title"] or record.first("T2")
        csl["container-title"] = ""
    numbers = [record.first("IS", "CP"), record.first("M1")]
    own, other = ("number", "issue") if kind in NUMBERED else ("issue", "number")
    csl[own] = numbers[0] or numbers[1]
    csl[other] = numbers[1] if numbers[0] else ""
    author = "editor" if named == "EDBOOK" else "author"
    csl[author] = people(record.all("AU", "A1"))
    csl["editor"] = csl.get("editor", []) + people(record.all("A2", "A3", "ED"))
    csl["translator"] = people(record.all("A4"))
    number = record.first("C7") if kind == "article-journal" else ""  # used if there are no pages
    csl["page"] = pages(record.first("SP"), record.first("EP")) or number
    csl["DOI"] = doi_in(record.first("DO")) or doi_in(record.first("M3"))
    if record.first("DB").lower() == "pubmed":
        csl["PMID"] = record.first("AN")
    csl["genre"] = "" if doi_in(record.first("M3")) else record.first("M3")
    csl |= serials_in(record.all("SN"), is_book=kind in ("book", "chapter"))
    csl["abstract"] = notes(record.all("AB")) or record.first("N2")
    csl["issued"] = issued_of(record)
    return csl


def issued_of(record: Record) -> dict[str, Any] | None:
    """Return the date of a record: DA if it agrees with the year, otherwise the year."""
    year = date_of(record.first("PY")) or date_of(record.first("Y1"))
    exact = date_of(record.first("DA"))
    if year and exact:
        (short,), (long,) = year["date-parts"], exact["date-parts"]
        return exact if long[: len(short)] == short else year
    return year or exact
