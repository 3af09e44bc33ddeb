"""Which formats there are, and how a file tells its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cards.imports.documents import Document
from cards.imports.errors import Unreadable
from cards.imports.formats import (
    bibtex,
    bookmarks,
    feeds,
    json_files,
    lists,
    opml,
    ris,
    tables,
    zotero,
)
from cards.imports.items import Row


@dataclass(frozen=True)
class Format:
    """A format: its name, how a file of it begins, and what reads it."""

    name: str
    label: str
    looks_like_it: Callable[[Document], bool]
    read: Callable[[Document], Iterator[Row]]


def xml(pattern: str) -> Callable[[Document], bool]:
    """Return a test for XML whose first element has such a name."""
    root = re.compile(rf"<{pattern}[\s/>]")
    return lambda document: bool(root.match(document.head, first_element(document.head)))


# What may stand before the first element, and how it ends.
PROLOG = {"<?": "?>", "<!--": "-->", "<!doctype": ">"}
SPACE = re.compile(r"\s*+")
DOCTYPE_PART = re.compile(r"[>\[]")


def first_element(text: str) -> int:
    """Return where the first element begins, behind declarations and comments.

    One look at each character: a regular expression would try each way to divide them.
    """
    place = 0
    while True:
        begin = SPACE.match(text, place).end()  # type: ignore[union-attr]
        ends = (end for sign, end in PROLOG.items() if text.startswith(sign, begin))
        if (end := next(ends, "")) == "":
            return begin
        stop = _end_of_doctype(text, begin) if end == ">" else text.find(end, begin)
        if stop < 0:
            return len(text)
        place = stop + len(end)


def _end_of_doctype(text: str, place: int) -> int:
    """Return where a DOCTYPE ends, which may have declarations of its own in brackets."""
    found = DOCTYPE_PART.search(text, place)
    if found and found.group() == "[":
        place = text.find("]", found.end())
        return text.find(">", place) if place >= 0 else -1
    return found.start() if found else -1


def json(pattern: str) -> Callable[[Document], bool]:
    """This answers a test for JSON that has such members near its beginning."""
    member = re.compile(pattern)
    return lambda document: document.head[:1] in ("{", "[") and bool(member.search(document.head))


def has(pattern: str) -> Callable[[Document], bool]:
    """This answers a test for such a text near the beginning."""
    text = re.compile(pattern, re.MULTILINE)
    return lambda document: bool(text.search(document.head))


RDF = xml(r"(?:\w+:)?rdf")
ZOTERO = has(r"purl\.org/net/biblio|zotero\.org/namespaces")
BOOKMARKS = has(r"netscape-bookmark-file|<dt>\s*<(?:a|h3)[\s>]")
FEED = xml(r"(?:\w+:)?(?:rss|feed|rdf|channel)")
JSON_FEED = json(r'"version"\s*:\s*"https?:\\?/\\?/jsonfeed')
CSL = json(r'"(?:type|title|doi|items|references)"\s*:|^\[\s*\]')
BIBTEX = has(r"^[ \t]*@[ \t]*[a-z]\w*[ \t]*[{(]")


def is_zotero(document: Document) -> bool:
    """This says whether a file is RDF of references, and not a feed."""
    return RDF(document) and ZOTERO(document)


def is_table(document: Document) -> bool:
    """This says whether the first line names columns."""
    return tables.layout(document) is not None


# In this order: what is more particular comes first.
FORMATS = {
    found.name: found
    for found in (
        Format("html", "Bookmarks (HTML)", BOOKMARKS, bookmarks.read),
        Format("opml", "OPML", xml("opml"), opml.read),
        Format("zotero", "Zotero RDF", is_zotero, zotero.read),
        Format("feed", "RSS, Atom or RDF feed", FEED, feeds.read),
        Format("commonplace", "Commonplace", json(r'"commonplace"\s*:'), json_files.commonplace),
        Format("chrome", "Chrome bookmarks (JSON)", json(r'"roots"\s*:'), json_files.chrome),
        Format("firefox", "Firefox backup (JSON)", json(r'"text/x-moz-place'), json_files.firefox),
        Format("json_feed", "JSON Feed", JSON_FEED, json_files.json_feed),
        Format("pinboard", "Pinboard (JSON)", json(r'"href"\s*:'), json_files.pinboard),
        Format("csl", "CSL-JSON", CSL, json_files.csl),
        Format("csv", "CSV", is_table, tables.read),
        Format("ris", "RIS", has(r"^ty  - "), ris.read),
        Format("bibtex", "BibTeX", BIBTEX, bibtex.read),
        Format("list", "Addresses or DOIs", lists.looks_like_it, lists.read),
    )
}
# Whose news can be subscribed to.
FEEDS = ("feed", "json_feed")


def detected(document: Document) -> Format:
    """This answers the format of a file by its content; raises Unreadable for none of them."""
    for known in FORMATS.values():
        if known.looks_like_it(document):
            return known
    labels = ", ".join(known.label for known in FORMATS.values())
    raise Unreadable("unknown_format", f"This is none of the known formats: {labels}.")


def rows(document: Document, name: str = "") -> tuple[Format, Iterator[Row]]:
    """This answers the format of a file, and what it holds; `name` says what it is meant to be."""
    found = FORMATS[name] if name else detected(document)
    return found, found.read(document)
