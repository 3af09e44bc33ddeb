"""Parse untrusted XML within limits, and extract the text of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.entities import html5
from typing import Any, NamedTuple
from xml.sax.handler import ContentHandler, feature_namespaces
from xml.sax.saxutils import escape
from xml.sax.xmlreader import AttributesNSImpl

from cards.limits import TEXT_LENGTH
from imports import limits
from imports.files.documents import Document
from imports.files.errors import ENTITIES, Unreadable, too_deep
from imports.files.items import clean

CHUNK = 64 * 1024  # characters that are parsed at once
TAG = re.compile(r"<[^<>]{0,10000}>")
# Elements whose content is code.
CODE = re.compile(r"<(script|style)\b", re.IGNORECASE)
END = {
    name: re.compile(rf"</{name}\b[^<>]{{0,1000}}>", re.IGNORECASE) for name in ("script", "style")
}
BREAK = re.compile(r"<(?:br|/p|/div|/li|/h\d)\b[^<>]{0,1000}>", re.IGNORECASE)
MANY_LINES = re.compile(r"\n{3,}")

# An ampersand that begins no XML reference, with the HTML reference that it may begin.
AMPERSAND = re.compile(
    r"&(?!#\d{1,40};|#x[0-9A-Fa-f]{1,40};|(?:amp|lt|gt|quot|apos);)(?:[A-Za-z0-9]{1,40};)?"
)


class Token(NamedTuple):
    """The start or the end of an XML element, by its local name.

    `value` is a dictionary of attributes at the start, and the text at the end.
    """

    is_start: bool
    name: str
    value: Any
    line: int


class _TokenCollector(ContentHandler):
    """Collects the starts and ends of elements until `drain` returns them."""

    def __init__(self, parser: Any) -> None:
        super().__init__()
        self.found: list[Token] = []
        self.texts: list[list[str]] = []
        self.parser = parser

    def startElementNS(  # noqa: N802 - SAX has these names
        self, name: Any, qname: str | None, attrs: AttributesNSImpl
    ) -> None:
        self.texts.append([])
        line = self.parser.getLineNumber()
        if len(self.texts) > limits.IMPORT_DEPTH:
            raise too_deep("Elements", line=line)
        attributes = {local: attrs.getValue((space, local)) for space, local in attrs.getNames()}
        self.found.append(Token(True, name[1], attributes, line))

    def endElementNS(self, name: Any, qname: str | None) -> None:  # noqa: N802
        text = "".join(self.texts.pop())
        self.found.append(Token(False, name[1], text, self.parser.getLineNumber()))

    def characters(self, content: str) -> None:
        if self.texts:
            self.texts[-1].append(content)

    def drain(self) -> list[Token]:
        """Return the tokens since the last call."""
        found, self.found = self.found, []
        return found


def tokens(document: Document) -> Iterator[Token]:
    """Yield the starts (True) and ends (False) of the elements of an XML document.

    Raise Unreadable if the document declares entities, refers to other files, is nested too deeply
    or is not well-formed, after yielding all tokens before the fault.
    """
    from defusedxml.expatreader import DefusedExpatParser

    parser = DefusedExpatParser(forbid_dtd=False, forbid_entities=True, forbid_external=True)
    handler = _TokenCollector(parser)
    parser.setFeature(feature_namespaces, True)
    parser.setContentHandler(handler)
    for part in _parts(document):
        fault = _fault_in(parser, part)
        yield from handler.drain()
        if fault:
            raise fault


def repaired(document: Document) -> Document:
    """Return XML whose stray ampersands are escaped, as in the address `?a=1&copy=2`.

    HTML references become their characters. CDATA sections are unchanged.
    """
    kept, place, text = list[str](), 0, document.markup
    if "&" not in text:
        return document
    while True:
        begin = text.find("<![CDATA[", place)
        end = text.find("]]>", begin) if begin >= 0 else -1
        kept.append(AMPERSAND.sub(_xml_reference, text[place : begin if end >= 0 else len(text)]))
        if end < 0:
            break
        kept.append(text[begin:end])
        place = end
    return replace(document, content="".join(kept).encode("utf-8", "replace"), charset="utf-8")


def _xml_reference(found: re.Match[str]) -> str:
    """Return an HTML reference as its character, and a stray ampersand escaped."""
    reference = found.group()
    if len(reference) == 1:
        return "&amp;"
    letter = html5.get(reference[1:], "")
    return escape(letter) if letter.strip() else f"&amp;{reference[1:]}"


def _parts(document: Document) -> Iterator[bytes | None]:
    """Yield an XML document in chunks, without its XML declaration, then None.

    Leading white space becomes newlines: some of it XML would refuse, and faults keep their line
    numbers.
    """
    text = document.markup
    begin = len(text) - len(text.lstrip())
    yield b"\n" * text.count("\n", 0, begin)
    for place in range(begin, len(text), CHUNK):
        yield text[place : place + CHUNK].encode("utf-8", "replace")
    yield None


def _fault_in(parser: Any, part: bytes | None) -> Unreadable | None:
    """Parse one chunk, or the end (None); return its fault or None.

    Expat 2.6 and later may keep back unfinished input, so that even the end can add Tokens.
    """
    from xml.sax import SAXException, SAXParseException

    from defusedxml import DefusedXmlException

    try:
        parser.close() if part is None else parser.feed(part)
    except Unreadable as fault:
        return fault
    except DefusedXmlException:
        return Unreadable("entities", ENTITIES)
    except SAXParseException as error:
        message = f"The XML is not well-formed: {error.getMessage()}."
        return Unreadable("malformed", message, line=error.getLineNumber() or 0)
    except (SAXException, ValueError) as error:
        return Unreadable("malformed", f"The XML cannot be read: {error}.")
    return None


def plain_text(html: str) -> str:
    """Return the text of HTML, with paragraphs and line breaks as newlines."""
    if "<" not in html:
        return clean(unescape(html))
    text = BREAK.sub("\n", _without_code(html[: 10 * TEXT_LENGTH]))
    lines = (line.strip() for line in clean(unescape(TAG.sub("", text))).split("\n"))
    return MANY_LINES.sub("\n\n", "\n".join(lines))


def _without_code(html: str) -> str:
    """Return HTML without scripts and styles; one without an end tag counts as text."""
    kept, place = [], 0
    endless: set[str] = set()
    while found := CODE.search(html, place):
        name = found.group(1).lower()
        end = None if name in endless else END[name].search(html, found.end())
        kept += [html[place : found.start() if end else found.end()], " " if end else ""]
        place = end.end() if end else found.end()
        if not end:
            endless.add(name)
    return "".join(kept) + html[place:]
