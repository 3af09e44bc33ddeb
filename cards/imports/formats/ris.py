"""RIS, record by record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cards.imports.dates import date_of
from cards.imports.documents import Document
from cards.imports.items import Problem, Row, clean, one_line
from cards.imports.references import doi_in, reference_item

LONGEST_RECORD = 5_000  # lines
# "van der Waals": what is written small before a name.
PARTICLE = re.compile(r"((?:[a-z][\w'’]*+\s++)*)(.*)", re.DOTALL)
TYPES = {
    "JOUR": "article-journal", "EJOUR": "article-journal", "MGZN": "article-magazine",
    "NEWS": "article-newspaper", "BOOK": "book", "EBOOK": "book", "EDBOOK": "book",
    "CHAP": "chapter", "ECHAP": "chapter", "CONF": "book", "CPAPER": "paper-conference",
    "THES": "thesis", "RPRT": "report", "ELEC": "webpage", "BLOG": "post-weblog",
    "DATA": "dataset", "COMP": "software", "PAT": "patent", "UNPB": "manuscript",
    "MANSCPT": "manuscript", "VIDEO": "motion_picture", "SOUND": "song", "PAMP": "pamphlet",
}  # fmt: skip
# The fields of CSL, and the tags that have them, the best first.
FIELDS = {
    "title": ("primary_title", "title", "short_title"),
    "container-title": (
        "secondary_title", "journal_name", "alternate_title2", "alternate_title3",
    ),
    "collection-title": ("tertiary_title",), "publisher": ("publisher",),
    "publisher-place": ("place_published",), "volume": ("volume",), "issue": ("number",),
    "edition": ("edition",), "language": ("language",), "abstract": ("abstract", "notes_abstract"),
    "genre": ("type_of_work",),
}  # fmt: skip
PEOPLE = {
    "author": ("authors", "first_authors"),
    "editor": ("secondary_authors", "tertiary_authors"),
    "translator": ("subsidiary_authors",),
}


def read(document: Document) -> Iterator[Row]:
    """This answers the references of a RIS file."""
    for line, record in records(document.text):
        yield item_of(line, record)


def records(text: str) -> Iterator[tuple[int, list[str]]]:
    """This answers the lines of each record, from TY to ER, and where it begins."""
    lines: list[str] = []
    begin = 0
    for number, line in enumerate(text.split("\n"), start=1):
        tag = line.lstrip("\ufeff")[:5]
        if tag == "TY  -":
            if lines:
                yield begin, lines
            lines, begin = [line.lstrip("\ufeff")], number
        elif tag == "ER  -":
            if lines:
                yield begin, lines
            lines = []
        elif lines and len(lines) < LONGEST_RECORD:
            lines.append(line)
    if lines:
        yield begin, lines


def item_of(line: int, lines: list[str]) -> Row:
    """This answers the item of a record."""
    from rispy import RisParser

    parser = RisParser(delimiter_tags_mapping={}, skip_unknown_tags=True)
    try:
        (found,) = parser.parse_lines(iter([*lines, "ER  - "]))
    except Exception as error:  # of the parser, for lines that continue nothing
        detail = f"This record cannot be read: {one_line(error)}."
        return Problem(line=line, code="malformed", detail=detail, label=one_line(lines[0]))
    csl: dict[str, Any] = {"type": TYPES.get(found.get("type_of_reference", ""), "document")}
    for name, tags in FIELDS.items():
        csl[name] = next((found[tag] for tag in tags if found.get(tag)), "")
    for name, tags in PEOPLE.items():
        csl[name] = [person(each) for tag in tags for each in found.get(tag, []) if each]
    pages = [found[name] for name in ("start_page", "end_page") if found.get(name)]
    csl["page"] = "-".join(pages)
    csl["DOI"] = doi_in(found.get("doi", ""))
    serial = found.get("issn", "")
    csl["ISSN" if re.fullmatch(r"\d{4}-?\d{3}[\dXx]", serial) else "ISBN"] = serial
    csl["issued"] = date_of(found.get("date") or found.get("year") or _year(found))
    urls = [clean(url) for url in found.get("urls", []) if url.strip()]
    notes = "\n".join(clean(note) for note in found.get("notes", []))
    return reference_item(
        line=line,
        fields=csl,
        url=urls[0] if urls else "",
        text=notes,
        tags=tuple(found.get("keywords", [])),
    )


def _year(found: dict[str, Any]) -> str:
    return str(found.get("publication_year", "")).strip("/")


def person(text: str) -> dict[str, str]:
    """This answers a name, `Family, Given, Suffix`, in its parts."""
    family, _, rest = text.partition(",")
    given, _, suffix = rest.partition(",")
    if not rest.strip():
        return {"literal": family.strip()}
    particle, family = PARTICLE.fullmatch(family.strip()).groups("")  # type: ignore[union-attr]
    parts = {
        "family": family, "given": given.strip(), "suffix": suffix.strip(),
        "non-dropping-particle": particle.strip(),
    }  # fmt: skip
    return {name: part for name, part in parts.items() if part}
