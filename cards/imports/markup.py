"""XML within bounds, and the text of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from xml.sax.handler import ContentHandler, feature_namespaces
from xml.sax.xmlreader import AttributesNSImpl

from cards import limits
from cards.imports.documents import Document
from cards.imports.errors import Unreadable
from cards.imports.items import clean

CHUNK = 64 * 1024
TAG = re.compile(r"<[^<>]{0,10000}>")
NO_TEXT = re.compile(r"<(script|style)\b.{0,100000}?</\1>", re.IGNORECASE | re.DOTALL)
BREAK = re.compile(r"<(?:br|/p|/div|/li|/h\d)\b[^<>]{0,1000}>", re.IGNORECASE)
BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")

# (local name, attributes, line) when an element begins; (local name, text, line) when it ends.
Token = tuple[bool, str, Any, int]


class _Tokens(ContentHandler):
    """What was read since it was last asked: beginnings and ends of elements."""

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
            message = f"There are more than {limits.IMPORT_DEPTH} elements in each other."
            raise Unreadable("too_deep", message, line=line)
        named = {local: attrs.getValue((space, local)) for space, local in attrs.getNames()}
        self.found.append((True, name[1], named, line))

    def endElementNS(self, name: Any, qname: str | None) -> None:  # noqa: N802
        text = "".join(self.texts.pop())
        self.found.append((False, name[1], text, self.parser.getLineNumber()))

    def characters(self, content: str) -> None:
        if self.texts:
            self.texts[-1].append(content)


def tokens(document: Document) -> Iterator[Token]:
    """This answers the elements of an XML document as they begin (True) and end (False).

    Raises Unreadable for a document that declares entities or refers to other files, is nested too
    deeply, or is not well-formed; what came before has been answered by then.
    """
    from xml.sax import SAXException, SAXParseException

    from defusedxml import DefusedXmlException
    from defusedxml.expatreader import DefusedExpatParser

    parser = DefusedExpatParser(forbid_dtd=False, forbid_entities=True, forbid_external=True)
    handler = _Tokens(parser)
    parser.setFeature(feature_namespaces, True)
    parser.setContentHandler(handler)
    try:
        text = document.markup.lstrip()
        skipped = document.markup[: len(document.markup) - len(text)].count("\n")
        for begin in range(0, len(text), CHUNK):
            parser.feed(text[begin : begin + CHUNK].encode("utf-8", "replace"))
            for is_start, name, value, line in handler.found:
                yield is_start, name, value, line + skipped
            handler.found.clear()
        parser.close()
    except DefusedXmlException:
        message = "The XML declares entities, or refers to other files; take its DOCTYPE out."
        raise Unreadable("entities", message) from None
    except SAXParseException as error:
        yield from handler.found
        message = f"The XML is not well-formed: {error.getMessage()}."
        raise Unreadable("malformed", message, line=error.getLineNumber() or 0) from None
    except (SAXException, ValueError) as error:
        raise Unreadable("malformed", f"The XML cannot be read: {error}.") from None


def plain(html: str) -> str:
    """This answers the text of HTML, paragraphs as lines."""
    if "<" not in html:
        return clean(unescape(html))
    text = BREAK.sub("\n", NO_TEXT.sub(" ", html[: 10 * limits.TEXT_LENGTH]))
    return BLANK_LINES.sub("\n\n", clean(unescape(TAG.sub("", text))))
