"""Bibliographic references as CSL-JSON, cut to the limits of a card."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from rest_framework.exceptions import ValidationError

from cards.limits import REFERENCE_BYTES, REFERENCE_PEOPLE
from cards.references import PEOPLE_FIELDS, TEXT_FIELDS, Issued, Person
from imports.files.fields.dates import date_of
from imports.files.items import Item, clean, fingerprint, one_line
from pages.canonical import InvalidUrl, page_at

# The fields that distinguish references, besides people and year.
IDENTIFYING_FIELDS = ("title", "container-title", "volume", "issue", "page", "edition", "publisher")
# Types of CSL-JSON (https://docs.citationstyles.org/en/stable/specification.html#appendix-iii-types).
CSL_TYPES = frozenset(
    (  # noqa: SIM905 - one a line would be a page of them
        "article article-journal article-magazine article-newspaper bill book broadcast chapter "
        "classic collection dataset document entry entry-dictionary entry-encyclopedia event "
        "figure graphic hearing interview legal_case legislation manuscript map motion_picture "
        "musical_score pamphlet paper-conference patent performance periodical "
        "personal_communication post post-weblog regulation report review review-book software "
        "song speech standard thesis treaty webpage"
    ).split()
)
# Types whose number is the work's own, not that of an issue.
NUMBERED = {"report", "thesis", "patent", "standard", "legislation", "bill", "dataset", "software"}
# CSL types of works that are part of a book, volume or journal.
PART_TYPES = {
    "chapter", "paper-conference", "entry-dictionary", "entry-encyclopedia", "article-journal",
}  # fmt: skip
SUBTITLE = re.compile(r"\s{0,9}[:–—?!.]\s{1,9}|\s{1,9}[-–—]\s{1,9}")
SCOPUS = re.compile(r"https?://(?:www\.)?scopus\.com/", re.IGNORECASE)  # requires a login
# An address without its scheme.
WITHOUT_SCHEME = re.compile(r"(?:www\.|[a-z0-9.-]{1,99}\.[a-z]{2,20}/)\S*$", re.IGNORECASE)
# Plain web addresses: they skip the slower check of `page_at`.
ORDINARY = re.compile(r"https?://(?:[a-z0-9-]{1,63}\.){1,9}[a-z]{2,63}(?:[/?#]|$)", re.IGNORECASE)
WITH_PASSWORD = re.compile(r"[a-z]{1,20}://[^/@\s]{0,200}@", re.IGNORECASE)
ON_DISK = re.compile(r"(?:file|internal-pdf|zotero):|[a-z]:[\\/]|[/~]", re.IGNORECASE)
DOI_URL = re.compile(r"https?://(?:(?:dx|www)\.)?doi\.org/", re.IGNORECASE)
PMID = re.compile(r"[1-9]\d{0,8}")
ISSN = re.compile(r"(?<![\w-])\d{4}-?\d{3}[\dXx](?![\w-])")
ISBN = re.compile(r"(?<![\w-])\d[\d -]{8,15}[\dXx](?![\w-])")
# Entries of a list of people that name nobody: "et al.", or a catalogue's "anonymous".
NOT_A_PERSON = re.compile(
    r"(?:and )?(?:others|et\.? al\.?)|\[(?:anonymous|anon\.?|s\.? ?n\.?|no author[^\]]{0,40})\]",
    re.IGNORECASE,
)
MULTILINE_FIELDS = ("abstract", "note")  # fields that may have several lines
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
    """Return the item of a reference; `fields` are CSL-JSON.

    Without a usable `url`, the DOI or PMID provides the link.
    """
    url, note = address_and_note(clean(url))
    if note:
        fields = {**fields, "note": f"{clean(fields.get('note'))} {note}".strip()}
    reference = fit_to_card(fields)
    if "DOI" not in reference and DOI_URL.match(url) and (doi := doi_in(url)):
        reference["DOI"] = doi
    if "DOI" in reference and SCOPUS.match(url):
        url = ""
    link = url or link_of(reference)
    return Item(
        line=line,
        guid=guid_of(reference, link),
        source="reference",
        title=reference.get("title", ""),
        url=link,
        text=clean(text),
        tags=tags,
        added_at=added_at,
        collections=collections,
        reference=reference or {"type": "document"},
    )


def address_and_note(url: str) -> tuple[str, str]:
    """Return (address, ""), or ("", text for the note) if no card can have that address.

    A reference with a broken or ftp address is still added. An address without a scheme gets one.
    A path on the owner's disk is dropped.
    """
    if WITHOUT_SCHEME.match(url):
        url = f"http://{url}"
    if not url or ORDINARY.match(url):
        return url, ""
    try:
        return (url, "") if page_at(url) else ("", url)
    except InvalidUrl:
        if WITH_PASSWORD.match(url):
            return (url, "")  # later refused with a reason: a password must not reach the note
        return ("", "" if ON_DISK.match(url) else url)


def link_of(reference: Mapping[str, Any]) -> str:
    """Return the web address of a reference's DOI or PMID, or ""."""
    if doi := reference.get("DOI"):
        return f"https://doi.org/{quote(doi, safe='/:;().-_<>')}"
    pmid = str(reference.get("PMID", ""))
    return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/" if PMID.fullmatch(pmid) else ""


def guid_of(reference: Mapping[str, Any], link: str) -> str:
    """Return the guid of a reference, which is the same in all file formats.

    The guid is `ANCHOR#PART`. The anchor is the DOI, else the address. The part is a digest of
    title and first page, because chapters share the DOI or the address of their book. Without an
    anchor, the guid is a digest of people, year and the fields of IDENTIFYING_FIELDS.

    One work may still have two guids, for example after a correction of its title. So use
    `is_different_work` when a card with the same address exists.
    """
    doi = str(reference.get("DOI", "")).lower()
    if anchor := f"doi:{doi}" if doi else link:
        return f"{anchor}#{fingerprint(_title_key(reference.get('title')), _first_page(reference))}"
    printed = [reference.get(name, "") for name in IDENTIFYING_FIELDS]
    printed.append(str(reference.get("issued", {}).get("date-parts", [[""]])[0][0]))
    return fingerprint(_family_names(reference), *printed)


def is_different_work(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two references (CSL-JSON) with the same address or DOI are different works.

    References differ if their titles differ, their first pages differ, or one is a book and the
    other a part of a book. Missing titles and pages don't count as different. Titles are compared
    without case, accents and punctuation, and one may lack the other's subtitle.
    """
    pages = {_first_page(one), _first_page(other)} - {""}
    kinds = {str(one.get("type")), str(other.get("type"))}
    if "book" in kinds and kinds & PART_TYPES:
        return True
    return len(pages) > 1 or not _same_title(one.get("title"), other.get("title"))


def _same_title(one: object, other: object) -> bool:
    """Return whether titles are equal, one lacks the other's subtitle, or one is missing."""
    keys = [
        {_title_key(title), _title_key(SUBTITLE.split(one_line(title), 1)[0])}
        for title in (one, other)
    ]
    wholes = {_title_key(one), _title_key(other)}
    return len(wholes) == 1 or "" in wholes or bool(wholes & keys[0] & keys[1])


def _title_key(title: object) -> str:
    """Return a title for comparison: its letters and digits, without accents and case."""
    text = unicodedata.normalize("NFKD", one_line(title)).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def _first_page(reference: Mapping[str, Any]) -> str:
    """Return the first page of a reference in lower case, or ""."""
    return re.split(r"[-–—,]", str(reference.get("page", "")), maxsplit=1)[0].strip().casefold()


def _family_names(reference: Mapping[str, Any]) -> str:
    """Return the family names of authors and editors, for a fingerprint."""
    people = reference.get("author", []) + reference.get("editor", [])
    return "; ".join(person.get("family") or person.get("literal", "") for person in people)


def fit_to_card(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reference fields that a card can hold, cut to its limits."""
    found: dict[str, Any] = {}
    for name, length in TEXT_FIELDS.items():
        value = fields.get(name)
        if isinstance(value, list):  # Crossref has lists of titles
            value = next((each for each in value if each), None)
        if not value and value != 0:
            continue
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if fitting := (clean(text) if name in MULTILINE_FIELDS else one_line(text))[
            :length
        ].strip():
            found[name] = fitting
    if "DOI" in found:
        found["DOI"] = doi_in(found["DOI"]) or found["DOI"]
    for name in PEOPLE_FIELDS:
        if people := _people(fields.get(name)):
            found[name] = people
    if issued := issued_of(fields.get("issued")):
        found["issued"] = issued
    return _cut_to_bytes(found)


def _people(value: Any) -> list[dict[str, str]]:
    """Return the valid CSL-JSON names in a value, up to REFERENCE_PEOPLE."""
    given = value if isinstance(value, list) else [value]
    people = [_person(person) for person in given[:REFERENCE_PEOPLE]]
    return [person for person in people if person]


def _person(value: Any) -> dict[str, str]:
    """Return a CSL-JSON name cut to its limits; {} for "et al." and for no name."""
    parts = {"literal": value} if isinstance(value, str) else value
    if not isinstance(parts, dict):
        return {}
    texts = {name: one_line(parts.get(name))[:200].strip() for name in Person.parts}
    named = {name: text for name, text in texts.items() if text}
    return {} if len(named) == 1 and NOT_A_PERSON.fullmatch(next(iter(named.values()))) else named


def _cut_to_bytes(found: dict[str, Any]) -> dict[str, Any]:
    """Drop long fields until the reference fits into REFERENCE_BYTES."""
    for name in ("abstract", "note", "translator", "editor", "author"):
        if len(msgspec.json.encode(found)) <= REFERENCE_BYTES:
            break
        found.pop(name, None)
    return found


def doi_in(text: str) -> str:
    """Return the DOI in a text, without surrounding text and percent-encoding, or ""."""
    found = DOI.search(unquote(text) if "%" in text else text)
    return _without_closing(found.group()) if found else ""


def _without_closing(text: str) -> str:
    """Return a text without trailing punctuation and unmatched closing brackets."""
    while text and (
        text[-1] in ".,;\"'"
        or (text[-1] in CLOSING and text.count(CLOSING[text[-1]]) < text.count(text[-1]))
    ):
        text = text[:-1]
    return text


def serials_in(texts: Iterable[str], *, is_book: bool) -> dict[str, str]:
    """Return the first ISSN and ISBN in texts, each of which may hold several and other words.

    If there is neither, the first text is kept: as ISBN for a book, otherwise as ISSN.
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
    """Return a CSL-JSON date from a CSL-JSON date, a year or a text; None if there is none."""
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
