"""Look up works in registries, by DOI, arXiv id, PubMed id or ISBN.

https://api.crossref.org/swagger-ui/index.html, https://support.datacite.org/docs/api,
https://info.arxiv.org/help/api/user-manual.html, https://openlibrary.org/dev/docs/api/books,
https://www.ncbi.nlm.nih.gov/books/NBK25499/#chapter4.ESummary
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

import msgspec
from django.conf import settings

from outside.errors import ErrorStatus
from outside.fetcher import Limits, fetch
from pages import limits
from pages.metadata import cleaning, identifiers
from pages.metadata.fields import DESCRIPTION_LENGTH, SHORT_LENGTH

LIMITS = Limits(seconds=10, size=4 * 1024 * 1024)
ATOM = "{http://www.w3.org/2005/Atom}"
ARXIV = "{http://arxiv.org/schemas/atom}"

Details = dict[str, Any]
logger = logging.getLogger(__name__)


class NotInRegistry(Exception):
    """The registry has no usable record of the work."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A web service with records of works, found by one kind of identifier.

    `base` and `path` are the address of a record, with `{}` for the work's identifier; `identifier`
    is its kind. `parse` takes a response and the identifier. `fallback` names the registry to query
    if this one has no record.
    `pause_seconds` is added to the one second that the metadata queue waits between requests.
    """

    name: str
    identifier: str
    base: str
    path: str
    parse: Callable[[bytes, str], Details]
    fallback: str | None = None
    pause_seconds: int = 0

    def look_up(self, value: str) -> Details:
        """Return the registry's metadata of a work, without empty fields.

        Raise NotInRegistry if it has no record of the work, and FetchFailed if the request fails.
        """
        stand_in = settings.METADATA_REGISTRIES  # the address of the tests' server
        base = f"{stand_in}/{self.name}" if stand_in else self.base
        try:
            found = fetch(f"{base}{self.path.format(quote(value, safe=''))}", limits=LIMITS)
        except ErrorStatus as error:
            if error.status in {400, 404, 410}:
                raise NotInRegistry(f"{self.name} has no {self.identifier} {value}.") from error
            raise
        try:
            details = self.parse(found.content, value)
        except (msgspec.DecodeError, ParseError, *FORMAT_ERRORS) as error:
            # Crossref or another registry may have changed its format, which affects all works.
            logger.warning(
                "registry.unexpected_response", extra={"registry": self.name, "error": repr(error)}
            )
            raise NotInRegistry(f"The response of {self.name} has an unexpected format.") from error
        if not details["title"]:
            raise NotInRegistry(f"{self.name} has no title of {value}.")
        return {name: detail for name, detail in details.items() if detail}


# The errors of `parse` for a response in an unexpected format.
FORMAT_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)


def parse_crossref(content: bytes, doi: str) -> Details:
    """Parse Crossref's record of a work."""
    work = msgspec.json.decode(content)["message"]
    return {
        "title": _title(": ".join([*_texts(work, "title")[:1], *_texts(work, "subtitle")[:1]])),
        "authors": cleaning.names(map(_crossref_name, work.get("author") or [])),
        "published": _crossref_date(work),
        "journal": _short(next(iter(_texts(work, "container-title")), "")),
        "publisher": _short(work.get("publisher")),
        "volume": cleaning.text(work.get("volume"), 50),
        "issue": cleaning.text(work.get("issue"), 50),
        "pages": cleaning.text(work.get("page"), 50),
        "isbn": next(filter(None, map(identifiers.isbn, _texts(work, "ISBN"))), ""),
        "description": cleaning.prose(work.get("abstract"), DESCRIPTION_LENGTH),
        "doi": doi,
    }


def _crossref_name(author: Mapping[str, Any]) -> str:
    parts = (author.get("given"), author.get("family"), author.get("suffix"))
    return " ".join(str(part) for part in parts if part) or str(author.get("name") or "")


def _crossref_date(work: Mapping[str, Any]) -> str:
    """Return the first date that Crossref gives, the date of publication first."""
    for key in ("published", "issued", "published-print", "published-online"):
        parts = ((work.get(key) or {}).get("date-parts") or [[]])[0]
        if date := cleaning.date("-".join(str(part) for part in parts if part)):
            return date
    return ""


def parse_datacite(content: bytes, doi: str) -> Details:
    """Parse DataCite's record of a work."""
    work = msgspec.json.decode(content)["data"]["attributes"]
    publisher = work.get("publisher")
    issued = [each["date"] for each in work.get("dates") or [] if each.get("dateType") == "Issued"]
    abstracts = [
        each.get("description")
        for each in work.get("descriptions") or []
        if each.get("descriptionType") == "Abstract"
    ]
    return {
        "title": _title(work["titles"][0]["title"]),
        "authors": cleaning.names(
            map(_datacite_name, work.get("creators") or []), family_first=True
        ),
        "published": cleaning.date(issued[0] if issued else work.get("publicationYear")),
        "journal": _short((work.get("container") or {}).get("title")),
        "publisher": _short(publisher.get("name") if isinstance(publisher, dict) else publisher),
        "description": cleaning.prose(abstracts[0], DESCRIPTION_LENGTH) if abstracts else "",
        "arxiv": identifiers.arxiv(doi),
        "doi": doi,
    }


def _datacite_name(creator: Mapping[str, Any]) -> str:
    given, family = creator.get("givenName"), creator.get("familyName")
    return f"{given} {family}" if given and family else str(creator.get("name") or "")


def parse_arxiv(content: bytes, id: str) -> Details:
    """Parse arXiv's record of a work: the entry of an Atom feed."""
    # Imported here, because only workers need it. Its exception is a ValueError.
    from defusedxml.ElementTree import fromstring

    entry = fromstring(content, forbid_dtd=True).find(f"{ATOM}entry")
    # For an unknown id, arXiv returns an entry, too, with the error as its summary.
    if entry is None or "/api/errors" in _child(entry, f"{ATOM}id"):
        raise NotInRegistry(f"arXiv has no entry {id}.")
    authors = entry.iterfind(f"{ATOM}author/{ATOM}name")
    return {
        "title": _title(_child(entry, f"{ATOM}title")),
        "authors": cleaning.names(author.text for author in authors),
        "published": cleaning.date(_child(entry, f"{ATOM}published")),
        "modified": cleaning.date(_child(entry, f"{ATOM}updated")),
        "description": cleaning.prose(_child(entry, f"{ATOM}summary"), DESCRIPTION_LENGTH),
        "journal": _short(_child(entry, f"{ARXIV}journal_ref")),
        "doi": identifiers.doi(_child(entry, f"{ARXIV}doi")),
        "pdf": f"https://arxiv.org/pdf/{id}",
        "arxiv": id,
    }


def _child(entry: Element, name: str) -> str:
    return entry.findtext(name) or ""


def parse_pubmed(content: bytes, pmid: str) -> Details:
    """Parse PubMed's record of an article."""
    article = msgspec.json.decode(content)["result"][pmid]
    if "error" in article:
        raise NotInRegistry(f"PubMed has no article {pmid}.")
    ids = {each["idtype"]: each["value"] for each in article.get("articleids") or []}
    people = (author["name"] for author in article.get("authors") or [])
    return {
        "title": _title(article["title"]).removesuffix("."),
        "authors": cleaning.names(map(cleaning.initials_first, people)),
        "published": cleaning.date(article.get("pubdate")),
        "journal": _short(article.get("fulljournalname")),
        "volume": cleaning.text(article.get("volume"), 50),
        "issue": cleaning.text(article.get("issue"), 50),
        "pages": cleaning.text(article.get("pages"), 50),
        "doi": identifiers.doi(ids.get("doi", "")),
        "pmid": pmid,
    }


def parse_openlibrary(content: bytes, isbn: str) -> Details:
    """Parse OpenLibrary's record of a book."""
    books = msgspec.json.decode(content)
    if not books:
        raise NotInRegistry(f"OpenLibrary has no book {isbn}.")
    book = books[f"ISBN:{isbn}"]
    cover = book.get("cover") or {}
    return {
        "title": _title(": ".join(filter(None, [book["title"], book.get("subtitle")]))),
        "authors": cleaning.names(author["name"] for author in book.get("authors") or []),
        "published": cleaning.date(book.get("publish_date")),
        "publisher": _short(next((each["name"] for each in book.get("publishers") or []), "")),
        "image": cleaning.address(
            cover.get("large") or cover.get("medium"), "https://openlibrary.org/"
        ),
        "isbn": isbn,
    }


def _title(value: Any) -> str:
    return cleaning.prose(value, limits.TITLE_LENGTH)


def _short(value: Any) -> str:
    return cleaning.prose(value, SHORT_LENGTH)


def _texts(work: Mapping[str, Any], name: str) -> list[str]:
    return [each for each in work.get(name) or [] if isinstance(each, str)]


REGISTRIES = {
    registry.name: registry
    for registry in (
        Registry(
            name="crossref", identifier="doi", base="https://api.crossref.org",
            path="/works/{}", parse=parse_crossref, fallback="datacite",
        ),
        Registry(
            name="datacite", identifier="doi", base="https://api.datacite.org",
            path="/dois/{}", parse=parse_datacite,
        ),
        # https://info.arxiv.org/help/api/tou.html: no more than one request every three seconds.
        Registry(
            name="arxiv", identifier="arxiv", base="https://export.arxiv.org",
            path="/api/query?max_results=1&id_list={}", parse=parse_arxiv, pause_seconds=2,
        ),
        Registry(
            name="pubmed", identifier="pmid", base="https://eutils.ncbi.nlm.nih.gov",
            path="/entrez/eutils/esummary.fcgi?db=pubmed&retmode=json&id={}", parse=parse_pubmed,
        ),
        Registry(
            name="openlibrary", identifier="isbn", base="https://openlibrary.org",
            path="/api/books?format=json&jscmd=data&bibkeys=ISBN:{}", parse=parse_openlibrary,
        ),
    )
}  # fmt: skip
# The registry to query first, by kind of identifier. A page with several is looked up by the first
# kind here.
FIRST_REGISTRY = {"arxiv": "arxiv", "doi": "crossref", "pmid": "pubmed", "isbn": "openlibrary"}
