"""Read RDF that describes works in Dublin Core, and also the terms of BIBO and PRISM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imports.files.bibliography import doi_in, reference_item, serials_in
from imports.files.documents import Document
from imports.files.elements import Node, elements
from imports.files.errors import Unreadable
from imports.files.fields.dates import date_of
from imports.files.formats.tagged.records import keywords, pages, people
from imports.files.items import Row, clean, one_line

# CSL types by the last part of a work's `type`, or by its element's name: letters in lower case.
TYPES = {
    "article": "article-journal", "academicarticle": "article-journal", "book": "book",
    "journalarticle": "article-journal", "chapter": "chapter", "booksection": "chapter",
    "bookpart": "chapter", "proceedings": "book", "conferencepaper": "paper-conference",
    "conferenceobject": "paper-conference", "thesis": "thesis", "doctoralthesis": "thesis",
    "masterthesis": "thesis", "report": "report", "technicalreport": "report",
    "webpage": "webpage", "website": "webpage", "dataset": "dataset", "software": "software",
    "patent": "patent", "standard": "standard", "preprint": "article", "manuscript": "manuscript",
    "image": "graphic", "stillimage": "graphic", "movingimage": "motion_picture", "sound": "song",
}  # fmt: skip
# CSL fields with their elements, best first.
FIELDS = {
    "title": ("title",), "abstract": ("abstract", "description"), "language": ("language",),
    "publisher": ("publisher",), "volume": ("volume",), "issue": ("issue", "number"),
    "edition": ("edition",), "PMID": ("pmid",),
}  # fmt: skip
NO_REFERENCES = (
    "This RDF holds no references: nothing in it has a dc:title or dcterms:title. RDF is imported "
    "from Zotero, as an RSS 1.0 feed, or as works with such titles."
)


def read(document: Document) -> Iterator[Row]:
    """Yield the works that have a title; raise Unreadable if there are none."""
    is_empty = True
    try:
        for node in elements(document):
            if _text(node, "title"):
                is_empty = False
                yield item_of(node)
    except Unreadable as error:
        if error.code != "malformed" or is_empty:
            raise
        yield error.as_problem()
    if is_empty:
        raise Unreadable("no_references", NO_REFERENCES)


def item_of(node: Node) -> Row:
    """Convert the element of a work to an item."""
    identifiers = [
        node.attributes.get("about", ""),
        *_texts(node, "identifier", "uri", "URI", "source"),
    ]
    url = next((each for each in identifiers if each.startswith(("http://", "https://"))), "")
    return reference_item(
        line=node.line,
        fields=csl_of(node, identifiers),
        url=url,
        tags=keywords(_texts(node, "subject")),
    )


def csl_of(node: Node, identifiers: list[str]) -> dict[str, Any]:
    """Return a work as CSL-JSON; addresses count as identifiers."""
    csl: dict[str, Any] = {name: _text(node, *sources) for name, sources in FIELDS.items()}
    kinds = [*_texts(node, "type"), node.name]
    plain = ("".join(filter(str.isalnum, kind.rpartition("/")[2].lower())) for kind in kinds)
    csl["type"] = next((TYPES[kind] for kind in plain if kind in TYPES), "document")
    whole = node.find("isPartOf")
    inside = next(iter(whole.children), None) if whole else None
    csl["container-title"] = _text(node, "publicationName") or (
        _text(inside, "title") if inside else ""
    )
    csl["author"] = people(_names(node, "creator") or _names(node, "contributor"))
    csl["editor"] = people(_names(node, "editor"))
    csl["page"] = _text(node, "pages") or pages(
        _text(node, "pageStart", "startingPage"), _text(node, "pageEnd", "endingPage")
    )
    dois = (doi_in(each) for each in [*_texts(node, "doi"), *identifiers])
    csl["DOI"] = next(filter(None, dois), "")
    labelled = [each for each in identifiers if "IS" in each.upper()[:8]]  # "urn:isbn:…", "ISSN …"
    numbers = [*_texts(node, "issn", "isbn"), *labelled]
    csl |= serials_in(numbers, is_book=csl["type"] in ("book", "chapter")) if numbers else {}
    dates = (date_of(date) for date in _texts(node, "issued", "publicationDate", "date", "created"))
    csl["issued"] = next(filter(None, dates), None)
    return csl


def _text(node: Node, *names: str) -> str:
    return next(iter(_texts(node, *names)), "")


def _texts(node: Node, *names: str) -> list[str]:
    """Return the texts of the elements of these names, or the addresses that they refer to."""
    found = (child for name in names for child in node.children_named(name))
    texts = (one_line(child.whole_text) or _resource(child) for child in found)
    return [text for text in texts if text]


def _resource(node: Node) -> str:
    return clean(node.attributes.get("resource", ""))


def _names(node: Node, role: str) -> list[str]:
    """Return the names of the people in a role, who may be in elements each or in one list."""
    return [name for child in node.children_named(role) for name in _names_in(child) if name]


def _names_in(node: Node) -> list[str]:
    """Return the names of an element's people: each from family and given name, or as text."""
    family = next((each for each in node.children if each.name in ("familyName", "surname")), None)
    given = next((each for each in node.children if each.name in ("givenName", "givenname")), None)
    if family:
        return [f"{family.text}, {given.text if given else ''}".strip(", ")]
    if node.children:
        return [name for child in node.children for name in _names_in(child)]
    return [one_line(node.text)]
