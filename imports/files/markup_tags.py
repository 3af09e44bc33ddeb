"""Read the tags of HTML, or of possibly broken XML, one after the other.

Reading takes linear time, which parsers that build a tree don't guarantee (docs/adr/0059).
Attributes and references follow
https://html.spec.whatwg.org/multipage/parsing.html#tokenization. The exception is a tag or quote
that never ends: it ends at the next tag, so that the rest of the file is not lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.entities import html5
from typing import Any

from imports.files.errors import Unreadable

MARK = re.compile(r"<(?:(!--|!\[CDATA\[|[!?])|(/?)([A-Za-z][^\s/<>]{0,40}))")
ENDS = {"!--": "-->", "![CDATA[": "]]>", "!": ">", "?": ">"}
# HTML elements whose content is text, even if it looks like tags.
TEXTS = ("script", "style", "title", "textarea")
END_OF = {name: re.compile(rf"</{name}(?![A-Za-z])", re.IGNORECASE) for name in TEXTS}
NAME = re.compile(r"[^\s=<>/]+")
EQUALS = re.compile(r"\s{0,99}=\s{0,99}")
UNQUOTED = re.compile(r"[^\s<>]{0,8192}")
SPACE = re.compile(r"[\s/=]*+")
REFERENCE = re.compile(r"&(?:#[0-9]{1,8};?|#[xX][0-9A-Fa-f]{1,8};?|[A-Za-z][A-Za-z0-9]{0,40};?)")
REFERENCE_OF_XML = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9A-Fa-f]{1,8}|[A-Za-z][A-Za-z0-9]{0,40});")
# A tag within an attribute's value shows that its quote is never closed.
UNCLOSED_QUOTE = re.compile(r"<(?:a|dt|outline)\s|<dt>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MarkupTag:
    """A tag, with name and attribute names in lower case, and its start and end in the text."""

    name: str
    closes: bool
    is_alone: bool  # `<outline/>`
    attributes: dict[str, str]
    begin: int
    end: int


class TagScanner:
    """The tags of a text: iterate once, and ask `line_of` only for growing positions."""

    def __init__(self, text: str, *, is_xml: bool = False) -> None:
        self.text = text
        self.is_xml = is_xml
        self._line, self._counted = 1, 0
        self._missing: set[str] = set()  # not found in the rest of the text: don't search again

    def __iter__(self) -> Iterator[MarkupTag]:
        """Yield the tags; raise Unreadable for a comment or a tag that never ends."""
        place = 0
        while found := MARK.search(self.text, place):
            sign, slash, name = found.groups()
            if sign:
                end = self._find(ENDS[sign], found.start() + 2)
                if end < 0:
                    raise self._never_ends(found.start())
                place = end + len(ENDS[sign])
                continue
            tag = self._tag(name.lower(), bool(slash), found)
            yield tag
            place = tag.end
            if tag.name in TEXTS and not tag.closes and not self.is_xml:
                place = self._end_of_text(tag)

    def line_of(self, place: int) -> int:
        """Return the line number of a position. Positions must not decrease between calls."""
        self._line += self.text.count("\n", self._counted, place)
        self._counted = place
        return self._line

    def _tag(self, name: str, closes: bool, found: re.Match[str]) -> MarkupTag:
        """Parse the rest of a tag; raise Unreadable if it never ends."""
        text, place, attributes = self.text, found.end(), dict[str, str]()
        while True:
            before, place = place, SPACE.match(text, place).end()  # type: ignore[union-attr]
            if place >= len(text):
                raise self._never_ends(found.start())
            if text[place] in "<>":
                break
            named: Any = NAME.match(text, place)  # it matches what SPACE and `<>` don't
            place, value = self._attribute(named.end())
            attributes.setdefault(named.group().lower(), value)
        is_alone = "/" in text[before:place] or (self.is_xml and text[place - 1] == "/")
        return MarkupTag(
            name, closes, is_alone, attributes, found.start(), place + (text[place] == ">")
        )

    def _attribute(self, place: int) -> tuple[int, str]:
        """Return the end of an attribute whose name ends at `place`, and its value or ""."""
        equals = EQUALS.match(self.text, place)
        if not equals:
            return place, ""
        place = equals.end()
        quote = self.text[place : place + 1]
        if quote in ("'", '"'):
            end = self._find(quote, place + 1)
            if end >= 0 and not UNCLOSED_QUOTE.search(self.text, place, end):
                return end + 1, self._value(place + 1, end)
            place += 1
        end = UNQUOTED.match(self.text, place).end()  # type: ignore[union-attr]
        return end, self._value(place, end)

    def _value(self, place: int, end: int) -> str:
        text = self.text[place:end]
        return REFERENCE_OF_XML.sub(_referred, text) if self.is_xml else attribute_value(text)

    def _find(self, sign: str, place: int) -> int:
        """Return the next position of a sign, or -1; search only once for a missing sign."""
        end = -1 if sign in self._missing else self.text.find(sign, place)
        if end < 0:
            self._missing.add(sign)
        return end

    def _end_of_text(self, tag: MarkupTag) -> int:
        """Return where the text of an element such as `title` ends."""
        found = None if tag.name in self._missing else END_OF[tag.name].search(self.text, tag.end)
        if not found:
            self._missing.add(tag.name)
        return found.start() if found else tag.end

    def _never_ends(self, place: int) -> Unreadable:
        line = self.line_of(max(place, self._counted))
        return Unreadable("malformed", "This tag or comment never ends.", line=line)


def attribute_value(text: str) -> str:
    """Return an attribute's value with its character references resolved.

    A reference without semicolon doesn't count if `=`, a letter or a digit follows: so `&section=2`
    in an address is unchanged
    (https://html.spec.whatwg.org/multipage/parsing.html#named-character-reference-state).
    """
    return REFERENCE.sub(_referred, text) if "&" in text else text


def _referred(found: re.Match[str]) -> str:
    """Return the character of a reference; the text itself if it is no reference."""
    from html import unescape

    reference = found.group()
    if reference[1] == "#":
        return unescape(reference)
    following = found.string[found.end() : found.end() + 1]
    if reference[-1] != ";" and following == "=":
        return reference
    return html5.get(reference[1:], reference)
