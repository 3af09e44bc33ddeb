"""Read BibTeX and biblatex. Each entry is parsed alone, so a broken one harms no other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from imports.files.bibliography import CSL_TYPES, doi_in, reference_item
from imports.files.documents import Document
from imports.files.fields.dates import date_of
from imports.files.fields.moments import moment
from imports.files.fields.privacy import privacy_of
from imports.files.formats.bibtex import mapping
from imports.files.formats.bibtex.entries import BibFile
from imports.files.formats.bibtex.latex import decoded, split_outside_braces, verbatim
from imports.files.formats.bibtex.people import is_whole, people_of
from imports.files.items import Problem, Row

ADDRESS = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
# An address that continues on the next line, and one that is percent-encoded as a whole.
WRAPPED = re.compile(r" {0,9}\n {0,40}")
ENCODED = re.compile(r"https?%3A%2F%2F", re.IGNORECASE)
ARXIV = re.compile(r"\barxiv:\s*((?:[a-z-]+(?:\.[a-z]{2})?/)?\d[\d.]+(?:v\d+)?)", re.IGNORECASE)
DASHES = re.compile(r"\s{0,9}(?:-+|–|—)\s{0,9}")
# Entries that are no references but data for other entries.
NO_REFERENCES = {"xdata", "set"}


def read(document: Document) -> Iterator[Row]:
    """Yield the references of a BibTeX file."""
    file = BibFile(document.text)
    for found in file.entries():
        if isinstance(found, Problem):
            yield found
        elif found.kind not in NO_REFERENCES:
            yield item_of(found.kind, file.family.completed(found), found.line)


def item_of(kind: str, fields: Mapping[str, str], line: int) -> Row:
    """Return the item of a BibTeX entry."""
    texts = {name: decoded(value) for name, value in fields.items() if name in mapping.TEXTS}
    csl = csl_of(kind, texts)
    subtype = verbatim(fields.get("entrysubtype", ""))
    if subtype in mapping.SUBTYPES or subtype in CSL_TYPES:
        csl["type"] = mapping.SUBTYPES.get(subtype, subtype)
    if doi := doi_in(verbatim(fields.get("doi", ""))):
        csl["DOI"] = doi
    if _prefix(fields) in ("pubmed", "pmid") and fields.get("eprint"):
        csl.setdefault("PMID", verbatim(fields["eprint"]))
    for role, holders in mapping.PEOPLE.items():
        found = (people_of(fields.get(name, "")) for name in holders)
        if people := next(filter(None, found), []):
            csl[role] = people
    url, own = address_of(fields), verbatim(fields.get("url", ""))
    if own and not url:  # an address that no card can have, for example ftp
        csl["note"] = f"{csl.get('note', '')} {own}".strip()
    notes = (texts.get(name, "") for name in ("annote", "annotation", "comment", "review"))
    text = "\n\n".join(dict.fromkeys(filter(None, notes)))
    item = reference_item(
        line=line,
        fields=csl,
        url=url,
        text=text,
        tags=tuple(
            tag for name in mapping.KEYWORDS if name in fields for tag in tags_of(fields[name])
        ),
        added_at=next(filter(None, (moment(fields.get(name)) for name in mapping.ADDED)), None),
    )
    privacy = privacy_of({name: verbatim(fields[name]) for name in mapping.MARKS if name in fields})
    return replace(item, private=privacy.private, warning=privacy.warning)


def csl_of(kind: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the decoded text fields of an entry as CSL-JSON, without people and identifiers."""
    csl: dict[str, Any] = {"type": mapping.TYPES.get(kind, "document")}
    for target, titles in mapping.TITLES.items():
        pairs = ((texts.get(title), texts.get(subtitle)) for title, subtitle in titles)
        title, subtitle = next((pair for pair in pairs if pair[0]), ("", ""))
        csl[target] = f"{title}: {subtitle}" if subtitle else title
    if csl["container-title"] == csl["title"]:
        del csl["container-title"]  # a book that repeats its title as `booktitle`
    for target, sources in mapping.FIELDS.items():
        csl[target] = next((texts[name] for name in sources if texts.get(name)), "")
    csl["page"] = DASHES.sub("-", csl["page"])
    csl["genre"] = mapping.GENRE_WORDS.get(csl["genre"].lower(), csl["genre"])
    csl["genre"] = csl["genre"] or mapping.GENRES.get(kind, "")
    if csl["genre"] == "Thesis":  # says no more than the type
        csl["genre"] = ""
    if kind in mapping.WITH_ISSUES:
        csl["issue"] = texts.get("number") or texts.get("issue", "")
    else:
        csl["number"], csl["issue"] = texts.get("number", ""), texts.get("issue", "")
    csl["issued"] = date_of(texts.get("date", "")) or date_of(
        texts.get("year", ""), texts.get("month", ""), texts.get("day", "")
    )
    return {name: value for name, value in csl.items() if value}


def tags_of(text: str) -> tuple[str, ...]:
    """Return keywords, separated by semicolons outside braces, or by commas if there are none."""
    if is_whole(text.strip()):
        text = text.strip()[1:-1]
    parts = split_outside_braces(text, ";", quotes=False)
    parts = parts if len(parts) > 1 else split_outside_braces(text, ",", quotes=False)
    return tuple(decoded(part.strip()) for part in parts)


def address_of(fields: Mapping[str, str]) -> str:
    """Return the address of an entry: its `url`, else one in a note, else arXiv's, else ""."""
    if url := WRAPPED.sub("", verbatim(fields.get("url", ""))):
        url = unquote(url) if ENCODED.match(url) else url
        if found := ADDRESS.search(url):
            return found.group()
        return f"http://{url}" if re.match(r"www\.[\w-]+\.", url) and " " not in url else ""
    for name in ("howpublished", "note", "addendum"):
        if found := ADDRESS.search(verbatim(fields.get(name, ""))):
            return found.group().rstrip(".,;)")
    eprint = verbatim(fields.get("eprint", ""))
    if eprint and _prefix(fields) == "arxiv":
        return f"https://arxiv.org/abs/{re.sub('^arxiv:', '', eprint, flags=re.IGNORECASE)}"
    named = ARXIV.search(fields.get("journal", "") or fields.get("journaltitle", ""))
    return f"https://arxiv.org/abs/{named.group(1)}" if named else ""


def _prefix(fields: Mapping[str, str]) -> str:
    return (fields.get("archiveprefix") or fields.get("eprinttype") or "").strip().lower()
