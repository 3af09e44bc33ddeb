"""Write RIS: one line per tag; further lines of a long text have no tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cards.references import VISIBILITY
from exports.csl import csl_of, date_parts
from exports.entries import Entry, Selection
from imports.files.bibliography import NUMBERED

TYPES = {
    "article-journal": "JOUR", "article-magazine": "MGZN", "article-newspaper": "NEWS",
    "review": "JOUR", "book": "BOOK", "chapter": "CHAP", "paper-conference": "CPAPER",
    "thesis": "THES", "report": "RPRT", "standard": "STAND", "webpage": "ELEC",
    "post-weblog": "BLOG", "dataset": "DATA", "software": "COMP", "patent": "PAT",
    "manuscript": "UNPB", "motion_picture": "VIDEO", "song": "SOUND", "pamphlet": "PAMP",
    "entry-encyclopedia": "ENCYC", "entry-dictionary": "DICT", "map": "MAP", "graphic": "ART",
    "legal_case": "CASE", "legislation": "STAT", "bill": "BILL", "speech": "SLIDE",
    "personal_communication": "PCOMM",
}  # fmt: skip
FIELDS = {
    "title": "TI", "container-title": "T2", "collection-title": "T3", "publisher": "PB",
    "publisher-place": "CY", "volume": "VL", "edition": "ET", "language": "LA", "genre": "M3",
    "DOI": "DO", "ISSN": "SN", "ISBN": "SN", "URL": "UR",
}  # fmt: skip
PEOPLE = {"author": "AU", "editor": "A2", "translator": "A4"}
LOOKS_LIKE_A_TAG = re.compile(r"\s{0,9}[A-Za-z][A-Za-z0-9] {1,2}-")


def write(selection: Selection) -> Iterator[str]:
    """Yield a record for each card with a reference or an address; notes have no record."""
    return map(_record, selection.references())


def _record(entry: Entry) -> str:
    """Return a card as one RIS record."""
    csl = csl_of(entry)
    lines: list[tuple[str, Any]] = [("TY", TYPES.get(csl["type"], "GEN"))]
    lines += [(tag, csl[key]) for key, tag in FIELDS.items() if csl.get(key)]
    if csl["type"] == "paper-conference" and csl.get("event-title"):
        # For a conference paper, T2 is the conference and C3 its proceedings.
        lines.append(("C3", csl.get("container-title")))
        lines = [(tag, text) for tag, text in lines if tag != "T2"]
        lines.append(("T2", csl["event-title"]))
    number, issue = csl.get("number"), csl.get("issue")
    is_numbered = csl["type"] in NUMBERED
    lines += [("IS", number if is_numbered else issue), ("M1", issue if is_numbered else number)]
    for role, tag in PEOPLE.items():
        lines += [(tag, _name(person)) for person in csl.get(role) or []]
    if parts := date_parts(csl):
        year, *rest = parts
        lines.append(("PY", f"{year:04d}"))
        lines.append(("DA", "/".join([f"{year:04d}", *(f"{part:02d}" for part in rest)])))
    first, _, last = str(csl.get("page", "")).partition("-")
    lines += [("SP", first), ("EP", last)]
    if csl.get("PMID"):
        lines += [("DB", "PubMed"), ("AN", csl["PMID"])]
    lines += [("KW", tag) for tag in entry.card.tags]
    lines += [("AB", csl.get("abstract")), ("N1", csl.get("note")), ("N1", entry.card.text)]
    lines.append(("C8", f"{VISIBILITY}: {entry.card.visibility.lower()}"))
    return "".join(_lines(tag, str(text)) for tag, text in lines if text) + "ER  - \n\n"


def _lines(tag: str, text: str) -> str:
    """Return the lines of a text under a tag; only AB and N1 may have more than one line."""
    if tag not in ("AB", "N1"):
        return f"{tag}  - {' '.join(text.split())}\n"
    first, *others = text.splitlines()
    written = [f"{tag}  - {first.rstrip()}"]
    # A line that looks like a tag gets the tag again, or readers would end the text there.
    written += [
        f"{tag}  - {line.rstrip()}" if LOOKS_LIKE_A_TAG.match(line) else line.rstrip()
        for line in others
    ]
    return "\n".join(written) + "\n"


def _name(person: dict[str, Any]) -> str:
    """Return a name as RIS writes it: `Family, Given, Suffix`, or an organization."""
    if literal := person.get("literal"):
        return str(literal)
    particle = person.get("non-dropping-particle", "")
    family = f"{particle} {person.get('family', '')}".strip()
    parts = [family, person.get("given", ""), person.get("suffix", "")]
    return ", ".join(part for part in parts if part)
