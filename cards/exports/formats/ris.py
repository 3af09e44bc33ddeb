"""RIS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cards.exports.entries import Entry, Selection
from cards.exports.references import csl_of, date_parts

TYPES = {
    "article-journal": "JOUR", "article-magazine": "MGZN", "article-newspaper": "NEWS",
    "book": "BOOK", "chapter": "CHAP", "paper-conference": "CPAPER", "thesis": "THES",
    "report": "RPRT", "webpage": "ELEC", "post-weblog": "BLOG", "dataset": "DATA",
    "software": "COMP", "patent": "PAT", "manuscript": "UNPB", "motion_picture": "VIDEO",
    "song": "SOUND", "pamphlet": "PAMP",
}  # fmt: skip
FIELDS = {
    "title": "TI", "container-title": "T2", "collection-title": "T3", "publisher": "PB",
    "publisher-place": "CY", "volume": "VL", "issue": "IS", "edition": "ET", "language": "LA",
    "abstract": "AB", "genre": "M3", "DOI": "DO", "ISSN": "SN", "URL": "UR",
}  # fmt: skip
PEOPLE = {"author": "AU", "editor": "A2", "translator": "A4"}


def write(selection: Selection) -> Iterator[str]:
    """This writes references, and what has an address as ELEC."""
    for entry in selection.entries():
        if entry.card.link or entry.card.reference:
            yield _record(entry)


def _record(entry: Entry) -> str:
    csl = csl_of(entry)
    lines = [("TY", TYPES.get(csl["type"], "GEN"))]
    lines += [(tag, csl[key]) for key, tag in FIELDS.items() if csl.get(key)]
    if csl.get("ISBN") and not csl.get("ISSN"):
        lines.append(("SN", csl["ISBN"]))
    for role, tag in PEOPLE.items():
        lines += [(tag, _name(person)) for person in csl.get(role) or []]
    if parts := date_parts(csl):
        lines.append(("PY", f"{parts[0]:04d}"))
        lines.append(("DA", "/".join(f"{part:02d}" for part in parts)))
    first, _, last = str(csl.get("page", "")).partition("-")
    lines += [(tag, page) for tag, page in (("SP", first), ("EP", last)) if page]
    lines += [("KW", tag) for tag in entry.card.tags]
    lines += [("N1", line) for line in entry.card.text.split("\n") if line.strip()]
    return (
        "".join(f"{tag}  - {' '.join(str(text).split())}\n" for tag, text in lines) + "ER  - \n\n"
    )


def _name(person: dict[str, Any]) -> str:
    if literal := person.get("literal"):
        return str(literal)
    particle = person.get("non-dropping-particle", "")
    family = f"{particle} {person.get('family', '')}".strip()
    parts = [family, person.get("given", ""), person.get("suffix", "")]
    return ", ".join(part for part in parts if part)
