"""BibTeX, in UTF-8 and with escapes where LaTeX would take a sign for something else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cards.exports.entries import Entry, Selection
from cards.exports.references import csl_of, date_parts, key_of

TYPES = {
    "article-journal": "article", "article-magazine": "article", "article-newspaper": "article",
    "book": "book", "chapter": "incollection", "paper-conference": "inproceedings",
    "thesis": "thesis", "report": "report", "webpage": "online", "post-weblog": "online",
    "dataset": "dataset", "software": "software", "manuscript": "unpublished", "patent": "patent",
    "pamphlet": "booklet",
}  # fmt: skip
FIELDS = {
    "title": "title", "collection-title": "series", "publisher": "publisher",
    "publisher-place": "address", "volume": "volume", "issue": "number", "page": "pages",
    "edition": "edition", "ISBN": "isbn", "ISSN": "issn", "PMID": "pmid", "language": "language",
    "genre": "type", "note": "note", "abstract": "abstract", "event-title": "eventtitle",
}  # fmt: skip
ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
SPECIAL = re.compile("|".join(re.escape(sign) for sign in ESCAPES))


def write(selection: Selection) -> Iterator[str]:
    """This writes references, and what has an address as @online."""
    for entry in selection.entries():
        if entry.card.link or entry.card.reference:
            yield _entry(entry)


def _entry(entry: Entry) -> str:
    csl = csl_of(entry)
    fields = {name: escaped(csl[key]) for key, name in FIELDS.items() if csl.get(key)}
    kind = TYPES.get(csl["type"], "misc")
    if csl.get("container-title"):
        holder = "journal" if kind == "article" else "booktitle"
        fields[holder] = escaped(csl["container-title"])
    for role in ("author", "editor", "translator"):
        if csl.get(role):
            fields[role] = " and ".join(_name(person) for person in csl[role])
    if parts := date_parts(csl):
        fields["date"] = "-".join(f"{part:0{4 if not n else 2}d}" for n, part in enumerate(parts))
    # Neither is text: what reads them takes them as they are.
    fields |= {
        name: _bare(csl[key]) for key, name in (("DOI", "doi"), ("URL", "url")) if csl.get(key)
    }
    if entry.card.tags:
        fields["keywords"] = ", ".join(escaped(tag) for tag in entry.card.tags)
    if entry.card.text:
        fields["annote"] = escaped(entry.card.text)
    lines = "".join(f",\n  {name} = {{{text}}}" for name, text in fields.items())
    return f"@{kind}{{{key_of(entry)}{lines}\n}}\n\n"


def escaped(text: Any) -> str:
    """This answers a text as LaTeX reads it."""
    return SPECIAL.sub(lambda sign: ESCAPES[sign.group()], str(text))


def _bare(text: str) -> str:
    return text.replace("{", "%7B").replace("}", "%7D")


def _name(person: dict[str, str]) -> str:
    if literal := person.get("literal"):
        return f"{{{escaped(literal)}}}"
    particle, suffix = person.get("non-dropping-particle", ""), person.get("suffix", "")
    family = escaped(f"{particle} {person.get('family', '')}".strip())
    parts = [family, escaped(suffix), escaped(person.get("given", ""))]
    return ", ".join(part for part in parts if part)
