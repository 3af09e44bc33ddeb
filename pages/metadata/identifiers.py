"""Recognize the identifiers of works in texts and addresses: DOI, arXiv id, PMID and ISBN."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

import ada_url

from pages import works

DOI_LENGTH = 300
MAX_LENGTH = 4096  # characters of a text that are searched

# https://www.doi.org/doi-handbook/HTML/doi-name-syntax.html; case doesn't matter.
DOI = re.compile(r"(?<![\w.])10\.[0-9]{4,9}(?:\.[0-9]++)*+/[^\s\"<>{}|\\^`\x00-\x20\x7f]+")
# What addresses of a work's pages append to its DOI.
PAGE_SUFFIX = re.compile(
    r"(?:/(?:abstract|full|fulltext|full-text|pdf|epdf|pdfdirect|epub|html|meta|references|summary"
    r"|supplementary[\w-]*|suppl_file.*)|v[0-9]+\.full|\.full|\.pdf|\.html?|\.xml)(?:[.;/].*)?$"
)
PREPRINT_VERSION = re.compile(r"^(10\.(?:1101|64898)/.*)v[0-9]+$")
ARXIV_ID = re.compile(rf"(?:arxiv:\s*)?{works.ARXIV_ID}", re.IGNORECASE)
PUBMED_ID = re.compile(rf"(?:pmid:?\s*)?{works.PUBMED_ID}", re.IGNORECASE)
ISBN_PATH = re.compile(r"/(?:isbn|dp|product)/([0-9-]{9,16}[0-9Xx])(?=/|$)")


def doi(text: str) -> str:
    """Return the first DOI in a text, in lower case, or an empty string."""
    found = DOI.search(unquote(text[:MAX_LENGTH]))
    name = _without_closing(found.group()) if found else ""
    return _storable(name.lower()) if not name.endswith("/") else ""


def _storable(doi: str) -> str:
    """Return a DOI, or "" if PostgreSQL can't store it: too long, or with NUL or a surrogate."""
    return doi if len(doi) <= DOI_LENGTH and doi.isprintable() else ""


def _without_closing(text: str) -> str:
    """Return a DOI without the punctuation of the surrounding sentence at its end."""
    while text:
        last = text[-1]
        if last in ".,;:!?'*_&#=" or (
            last in ")]" and text.count(last) > text.count("(" if last == ")" else "[")
        ):
            text = text[:-1]
        else:
            break
    return text


def arxiv(text: str) -> str:
    """Return the arXiv id if the text is one or its DOI, without version, else an empty string."""
    if found := works.ARXIV_DOI.search(text[:MAX_LENGTH].strip()):
        return found.group(1).lower()
    found = ARXIV_ID.fullmatch(text[:MAX_LENGTH].strip())
    return found.group(1).lower() if found else ""


def pmid(text: str) -> str:
    """Return the PubMed id if the text is one, else an empty string."""
    found = PUBMED_ID.fullmatch(text[:MAX_LENGTH].strip())
    return found.group(1) if found else ""


def isbn(text: str) -> str:
    """Return the ISBN with 13 digits if the text is one, else an empty string.

    The check digit must be right: https://www.isbn-international.org/content/isbn-users-manual.
    """
    digits = re.sub(r"^(?:urn:)?isbn(?:-1[03])?:?|[\s‐-–-]", "", text[:50].strip().lower())
    if re.fullmatch(r"[0-9]{9}[0-9x]", digits):
        total = sum((10 - place) * _value(digit) for place, digit in enumerate(digits))
        return _with_check_digit("978" + digits[:9]) if total % 11 == 0 else ""
    if re.fullmatch(r"97[89][0-9]{10}", digits) and _with_check_digit(digits[:12]) == digits:
        return digits
    return ""


def _value(digit: str) -> int:
    return 10 if digit == "x" else int(digit)


def _with_check_digit(twelve: str) -> str:
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(twelve))
    return f"{twelve}{-total % 10}"


def in_url(url: str) -> dict[str, str]:
    """Return the identifiers in an address, by kind (a key of READERS)."""
    try:
        parsed = ada_url.URL(url)
    except ValueError:
        return {}
    host, path = parsed.hostname.lower(), unquote(parsed.pathname[:MAX_LENGTH])
    found: dict[str, str] = {}
    if preprint := works.arxiv_id_at(host, parsed.pathname):
        found["arxiv"] = preprint
    if article := works.pubmed_id_at(host, parsed.pathname, parsed.search):
        found["pmid"] = article
    if (named := ISBN_PATH.search(path)) and (number := isbn(named.group(1))):
        found["isbn"] = number
    if (
        name := _storable(works.doi_at(host, parsed.pathname))
        or _doi_in_path(path)
        or _doi_in_query(parsed.search)
    ):
        found["doi"] = name
        if in_arxiv := arxiv(name):
            found["arxiv"] = in_arxiv
    return found


def _doi_in_path(path: str) -> str:
    """Return the DOI in a path, without the view or version that sites append, or ""."""
    if not (found := DOI.search(path)):
        return ""
    name = PAGE_SUFFIX.sub("", found.group())
    # bioRxiv and medRxiv append the version to the DOI.
    return doi(PREPRINT_VERSION.sub(r"\1", name))


def _doi_in_query(search: str) -> str:
    """Return the first DOI among the values of a query string, or an empty string."""
    values = (part.partition("=")[2] for part in search[1:MAX_LENGTH].split("&"))
    return next((name for value in values if (name := doi(value))), "")


# The function that reads each kind of identifier from a text.
READERS: Mapping[str, Callable[[str], str]] = {
    "doi": doi,
    "arxiv": arxiv,
    "pmid": pmid,
    "isbn": isbn,
}
