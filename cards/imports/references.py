"""References in the terms of CSL-JSON, made to fit what a card can hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from rest_framework.exceptions import ValidationError

from cards import limits
from cards.canonical import InvalidUrl, page
from cards.imports.dates import date_of
from cards.imports.items import Item, clean, fingerprint, one_line
from cards.references import PEOPLE_FIELDS, TEXT_FIELDS, Issued, Person

# What tells one reference from another, beside its people and its year.
PRINTED = ("title", "container-title", "volume", "issue", "page", "edition", "publisher")
# What stands in a book or a volume.
PARTS = {"chapter", "paper-conference", "entry-dictionary", "entry-encyclopedia", "article-journal"}
SUBTITLE = re.compile(r"\s{0,9}[:–—?!.]\s{1,9}|\s{1,9}[-–—]\s{1,9}")
SCOPUS = re.compile(r"https?://(?:www\.)?scopus\.com/", re.IGNORECASE)  # asks for a login
# The beginning of an address whose scheme was left out.
HOSTED = re.compile(r"(?:www\.|[a-z0-9.-]{1,99}\.[a-z]{2,20}/)\S*$", re.IGNORECASE)
# Addresses that need no closer look: most of them.
ORDINARY = re.compile(r"https?://(?:[a-z0-9-]{1,63}\.){1,9}[a-z]{2,63}(?:[/?#]|$)", re.IGNORECASE)
WITH_PASSWORD = re.compile(r"[a-z]{1,20}://[^/@\s]{0,200}@", re.IGNORECASE)
ON_DISK = re.compile(r"(?:file|internal-pdf|zotero):|[a-z]:[\\/]|[/~]", re.IGNORECASE)
RESOLVED = re.compile(r"https?://(?:(?:dx|www)\.)?doi\.org/", re.IGNORECASE)
PMID = re.compile(r"[1-9]\d{0,8}")
ISSN = re.compile(r"(?<![\w-])\d{4}-?\d{3}[\dXx](?![\w-])")
ISBN = re.compile(r"(?<![\w-])\d[\d -]{8,15}[\dXx](?![\w-])")
# Not people: the list was cut there, or a catalogue says that it knows nobody.
OTHERS = re.compile(
    r"(?:and )?(?:others|et\.? al\.?)|\[(?:anonymous|anon\.?|s\.? ?n\.?|no author[^\]]{0,40})\]",
    re.IGNORECASE,
)
LONG = ("abstract", "note")  # fields that may have several lines
DOI = re.compile(r"10\.\d{4,9}(?:\.\d{1,9}){0,3}/\S+")
CLOSING = {")": "(", "]": "[", ">": "<", "}": "{"}


def reference_item(
    *,
    line: int,
    fields: Mapping[str, Any],
    url: str = "",
    text: str = "",
    tags: tuple[str, ...] = (),
    added_at: datetime | None = None,
    collections: tuple[tuple[str, ...], ...] = (),
) -> Item:
    """Return the item of a reference; its DOI or PMID gives a link where it has none."""
    url, unsaved = saved_and_not(clean(url))
    if unsaved:
        fields = {**fields, "note": f"{clean(fields.get('note'))} {unsaved}".strip()}
    reference = fitted(fields)
    if "DOI" not in reference and RESOLVED.match(url) and (doi := doi_in(url)):
        reference["DOI"] = doi
    if "DOI" in reference and SCOPUS.match(url):
        url = ""
    link = url or link_of(reference)
    return Item(
        line=line,
        guid=identity_of(reference, link),
        source="reference",
        title=reference.get("title", ""),
        url=link,
        text=clean(text),
        tags=tags,
        added_at=added_at,
        collections=collections,
        reference=reference or {"type": "document"},
    )


def saved_and_not(url: str) -> tuple[str, str]:
    """Return the address of a reference if a card can have it, or else what its note says instead.

    A reference is worth more than its address: ftp or a broken one is no reason to refuse it. An
    address without a scheme gets one, and what is on somebody's disk is left out, as files are.
    """
    if HOSTED.match(url):
        url = f"http://{url}"
    if not url or ORDINARY.match(url):
        return url, ""
    try:
        return (url, "") if page(url) else ("", url)
    except InvalidUrl:
        if WITH_PASSWORD.match(url):
            return (url, "")  # the row is refused with the reason: what is secret goes nowhere
        return ("", "" if ON_DISK.match(url) else url)


def link_of(reference: Mapping[str, Any]) -> str:
    """Return the address at which a reference's DOI or PMID resolves, or nothing."""
    if doi := reference.get("DOI"):
        return f"https://doi.org/{quote(doi, safe='/:;().-_<>')}"
    pmid = str(reference.get("PMID", ""))
    return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/" if PMID.fullmatch(pmid) else ""


def identity_of(reference: Mapping[str, Any], link: str) -> str:
    """Return the guid of a reference: the same one in whatever format the reference comes.

    It is `ANCHOR#PART`. The anchor is the DOI, else the address. The part is a digest of the title
    and the first page, because chapters share the DOI or the address of their book. A reference
    with neither is known by a digest of what is printed on it.

    Two guids that differ may still be one work: a title was mended, or one file has no pages. So
    where a card with the same address is there already, ask `is_other_work`.
    """
    doi = str(reference.get("DOI", "")).lower()
    if anchor := f"doi:{doi}" if doi else link:
        return f"{anchor}#{fingerprint(_key(reference.get('title')), _first_page(reference))}"
    printed = [reference.get(name, "") for name in PRINTED]
    printed.append(str(reference.get("issued", {}).get("date-parts", [[""]])[0][0]))
    return fingerprint(_names(reference), *printed)


def is_other_work(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two references (CSL-JSON) that share an address or a DOI are two works.

    They are when both have titles that differ, or both have first pages that differ, or one is a
    book and the other a part of a book. A missing title or page tells nothing apart, and a title
    is the same with and without its subtitle, in other letters and with other punctuation.
    """
    pages = {_first_page(one), _first_page(other)} - {""}
    kinds = {str(one.get("type")), str(other.get("type"))}
    if "book" in kinds and kinds & PARTS:
        return True
    return len(pages) > 1 or not _same_title(one.get("title"), other.get("title"))


def _same_title(one: object, other: object) -> bool:
    """Return whether two titles are equal, or one is the other without its subtitle."""
    keys = [{_key(title), _key(SUBTITLE.split(one_line(title), 1)[0])} for title in (one, other)]
    wholes = {_key(one), _key(other)}
    return len(wholes) == 1 or "" in wholes or bool(wholes & keys[0] & keys[1])


def _key(title: object) -> str:
    """Return a title as it can be compared: its letters and digits, without accents or case."""
    text = unicodedata.normalize("NFKD", one_line(title)).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def _first_page(reference: Mapping[str, Any]) -> str:
    return re.split(r"[-–—,]", str(reference.get("page", "")), maxsplit=1)[0].strip().casefold()


def _names(reference: Mapping[str, Any]) -> str:
    people = reference.get("author", []) + reference.get("editor", [])
    return "; ".join(person.get("family") or person.get("literal", "") for person in people)


def fitted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a card holds, each of a length that it holds."""
    found: dict[str, Any] = {}
    for name, length in TEXT_FIELDS.items():
        value = fields.get(name)
        if isinstance(value, list):  # Crossref lists titles
            value = next((each for each in value if each), None)
        if not value and value != 0:
            continue
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if fitting := (clean(text) if name in LONG else one_line(text))[:length].strip():
            found[name] = fitting
    if "DOI" in found:
        found["DOI"] = doi_in(found["DOI"]) or found["DOI"]
    for name in PEOPLE_FIELDS:
        if people := _people(fields.get(name)):
            found[name] = people
    if issued := issued_of(fields.get("issued")):
        found["issued"] = issued
    return _of_size(found)


def _people(value: Any) -> list[dict[str, str]]:
    given = value if isinstance(value, list) else [value]
    people = [_person(person) for person in given[: limits.REFERENCE_PEOPLE]]
    return [person for person in people if person]


def _person(value: Any) -> dict[str, str]:
    parts = {"literal": value} if isinstance(value, str) else value
    if not isinstance(parts, dict):
        return {}
    texts = {name: one_line(parts.get(name))[:200].strip() for name in Person.parts}
    named = {name: text for name, text in texts.items() if text}
    return {} if len(named) == 1 and OTHERS.fullmatch(next(iter(named.values()))) else named


def _of_size(found: dict[str, Any]) -> dict[str, Any]:
    for name in ("abstract", "note", "translator", "editor", "author"):
        if len(msgspec.json.encode(found)) <= limits.REFERENCE_BYTES:
            break
        found.pop(name, None)
    return found


def doi_in(text: str) -> str:
    """Return the DOI in a text, without what stands around it and without percent-encoding."""
    found = DOI.search(unquote(text) if "%" in text else text)
    return _without_closing(found.group()) if found else ""


def _without_closing(text: str) -> str:
    """Return a text without the punctuation and the brackets of the sentence around it."""
    while text and (
        text[-1] in ".,;\"'"
        or (text[-1] in CLOSING and text.count(CLOSING[text[-1]]) < text.count(text[-1]))
    ):
        text = text[:-1]
    return text


def serials_in(texts: Iterable[str], *, is_book: bool) -> dict[str, str]:
    """Return the first ISSN and the first ISBN in texts that may have several, and words around.

    What is neither goes by what the reference is, so that nothing is lost.
    """
    found: dict[str, str] = {}
    joined = " ; ".join(text[:500] for text in texts)
    if issn := ISSN.search(joined):
        found["ISSN"] = issn.group()
    for isbn in ISBN.finditer(joined):
        if sum(letter.isalnum() for letter in isbn.group()) in (10, 13):
            found.setdefault("ISBN", isbn.group())
    if not found and joined:
        found["ISBN" if is_book else "ISSN"] = joined.partition(" ; ")[0]
    return found


def issued_of(value: Any) -> dict[str, Any] | None:
    """Return a date as CSL-JSON has it, from that or from a text; None for no date."""
    match value:
        case {"date-parts": [[*parts], *_]}:
            value = {"date-parts": [parts[:3]]}
        case {"raw": str(text)} | {"literal": str(text)} | str(text):
            return date_of(text)
        case int():
            pass
        case _:
            return None
    try:
        return Issued().to_internal_value(value)
    except ValidationError:
        return None
