"""The formats that can be imported, and how a file's format is detected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.formats import (
    bibtex,
    bookmarks,
    dublin_core,
    endnote,
    feeds,
    lists,
    opml,
    posts,
    tables,
    zotero,
)
from imports.files.formats.json import bookmarks as json_bookmarks
from imports.files.formats.json import detection, exchange, trees
from imports.files.formats.tagged import medline, refer, ris, wos
from imports.files.items import Row


@dataclass(frozen=True)
class Format:
    """A format: its name, its label for people, its test for a file, and its parser."""

    name: str
    label: str
    matches: Callable[[Document], bool]
    read: Callable[[Document], Iterator[Row]]


def xml_root(pattern: str) -> Callable[[Document], bool]:
    """Return a test for XML whose first element's name matches the pattern."""
    root = re.compile(rf"<{pattern}[\s/>]")
    return lambda document: bool(root.match(document.head, first_element_place(document.head)))


# The beginnings of declarations and comments before the first element, with their ends.
PROLOG = {"<?": "?>", "<!--": "-->", "<!doctype": ">"}
SPACE = re.compile(r"\s*+")
DOCTYPE_PART = re.compile(r"[>\[]")


def first_element_place(text: str) -> int:
    """Return where the first element begins, behind declarations and comments.

    Each character is scanned once. A regular expression would backtrack.
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
    """Return where a DOCTYPE ends, or -1 if it doesn't; it may have declarations in brackets."""
    found = DOCTYPE_PART.search(text, place)
    if found and found.group() == "[":
        place = text.find("]", found.end())
        return text.find(">", place) if place >= 0 else -1
    return found.start() if found else -1


def json_value(test: Callable[[Any], bool]) -> Callable[[Document], bool]:
    """Return a test for JSON by its parsed value, never by words in its texts."""
    return lambda document: document.is_json and test(document.json)


def contains(pattern: str) -> Callable[[Document], bool]:
    """Return a test for a pattern in the first 64 KiB of the text (lower case)."""
    text = re.compile(pattern, re.MULTILINE)
    return lambda document: bool(text.search(document.head))


RDF = xml_root(r"(?:\w+:)?rdf")
ZOTERO = contains(r"purl\.org/net/biblio|zotero\.org/namespaces")
# Netscape bookmark files, and the pages of links that Pocket and Instapaper export.
BOOKMARKS = contains(
    r"netscape-bookmark-file|<dt>\s{0,99}<(?:a|h3)[\s>]|<title>(?:pocket|instapaper)|"
    r"<a\s[^<>]{0,4000}\stime_added="
)
FEED = xml_root(r"(?:\w+:)?(?:rss|feed|rdf|channel)")
RSS = contains(r"purl\.org/rss/|netscape\.com/rdf/|<(?:\w{1,20}:)?(?:channel|item)[\s>]")
ENDNOTE = xml_root("xml")
# How a reference begins in line-based formats. A text may quote another format, so the first match
# in the file decides.
LINES = {
    name: re.compile(pattern, re.MULTILINE)
    for name, pattern in {
        "ris": r"^ ?ty {1,2}-",
        "nbib": r"^pmid {0,2}- ?\d",
        "wos": r"^fn .{1,100}\nvr |^pt [jbspc]$",
        # EndNote begins a reference with its type (%0); plain `refer` has no types.
        "enw": r"^%0 [a-z]|\A%[a-z] \S.{0,1000}\n%[0-9a-z@] \S",
        "bibtex": r"^[ \t]*@[ \t]*[a-z]\w*[ \t]*[{(]",
    }.items()
}


def first_record_is(name: str) -> Callable[[Document], bool]:
    """Return a test for text whose first reference has the named format."""

    def is_first(document: Document) -> bool:
        found = {each: pattern.search(document.head) for each, pattern in LINES.items()}
        places = {each: begin.start() for each, begin in found.items() if begin}
        return bool(places) and min(places, key=lambda each: places[each]) == name

    return is_first


def is_zotero(document: Document) -> bool:
    """Return whether a file is Zotero's RDF of references, and not a feed."""
    return RDF(document) and ZOTERO(document)


def is_dublin_core(document: Document) -> bool:
    """Return whether a file is RDF but no feed (Zotero's RDF was tested before)."""
    return RDF(document) and not RSS(document)


def is_endnote(document: Document) -> bool:
    """Return whether a file is EndNote's XML, whose root element is named `xml`."""
    return ENDNOTE(document) and "<record" in document.head


def is_table(document: Document) -> bool:
    """Return whether a file is a table with recognizable columns."""
    return tables.layout(document) is not None


def is_html(document: Document) -> bool:
    """Return whether a file is HTML with bookmarks, not another format that quotes such HTML."""
    return document.head[:1] == "<" and BOOKMARKS(document)


# The first format whose test succeeds is used, so more specific formats come first.
FORMATS = {
    found.name: found
    for found in (
        Format("opml", "OPML", xml_root("opml"), opml.read),
        Format("zotero", "Zotero RDF", is_zotero, zotero.read),
        Format("dublin_core", "Dublin Core (RDF)", is_dublin_core, dublin_core.read),
        Format("endnote", "EndNote (XML)", is_endnote, endnote.read),
        Format("feed", "RSS, Atom or RDF feed", FEED, feeds.read),
        Format("posts", "Delicious or Pinboard (XML)", xml_root("posts"), posts.read),
        Format("html", "Bookmarks (HTML)", is_html, bookmarks.read),
        Format(
            "commonplace", "Commonplace", json_value(detection.commonplace), exchange.commonplace
        ),
        Format("chrome", "Chrome bookmarks (JSON)", json_value(detection.chrome), trees.chrome),
        Format("firefox", "Firefox backup (JSON)", json_value(detection.firefox), trees.firefox),
        Format("json_feed", "JSON Feed", json_value(detection.json_feed), exchange.json_feed),
        Format("pinboard", "Pinboard (JSON)", json_value(detection.pinboard), json_bookmarks.read),
        Format(
            "zotero_json", "Zotero (JSON)", json_value(detection.zotero), json_bookmarks.read_zotero
        ),
        Format("csl", "CSL-JSON", json_value(detection.csl), exchange.csl),
        Format("json", "Bookmarks (JSON)", json_value(detection.bookmarks), json_bookmarks.read),
        Format("csv", "CSV", is_table, tables.read),
        Format("ris", "RIS", first_record_is("ris"), ris.read),
        Format("nbib", "PubMed (MEDLINE)", first_record_is("nbib"), medline.read),
        Format("wos", "Web of Science", first_record_is("wos"), wos.read),
        Format("enw", "EndNote (refer)", first_record_is("enw"), refer.read),
        Format("bibtex", "BibTeX", first_record_is("bibtex"), bibtex.read),
        Format("list", "Addresses or DOIs", lists.matches, lists.read),
    )
}
# Formats that can be subscribed to.
FEEDS = ("feed", "json_feed")


UNKNOWN_JSON = (
    "This is JSON of an unknown program. Export HTML, CSV, OPML, BibTeX or RIS there, and import "
    "that file."
)


def detect_format(document: Document) -> Format:
    """Return the format of a file by its content; raise Unreadable if no format matches."""
    for known in FORMATS.values():
        if known.matches(document):
            return known
    if document.json_error:
        raise document.json_error
    if document.is_json:
        raise Unreadable("unknown_format", UNKNOWN_JSON)
    labels = ", ".join(known.label for known in FORMATS.values())
    raise Unreadable("unknown_format", f"This is none of the known formats: {labels}.")


def rows(document: Document, name: str = "") -> tuple[Format, Iterator[Row]]:
    """Return the format of a file, and its rows. `name` sets the format instead of detection."""
    found = FORMATS[name] if name else detect_format(document)
    return found, found.read(document)
