"""The tags of HTML, or of XML that may be broken, one after the other.

One look at each character, so that no file takes longer than it is long; a parser that builds a
tree does not promise that (docs/adr/0059). Attributes and references follow
https://html.spec.whatwg.org/multipage/parsing.html#tokenization, except where a tag or a quote
never ends: then the next tag begins anew, and what comes after it is not lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.entities import html5

from cards.imports.errors import Unreadable

MARK = re.compile(r"<(?:(!--|!\[CDATA\[|[!?])|(/?)([A-Za-z][^\s/<>]{0,40}))")
ENDS = {"!--": "-->", "![CDATA[": "]]>", "!": ">", "?": ">"}
# What is in these is text, whatever it looks like.
TEXTS = ("script", "style", "title", "textarea")
END_OF = {name: re.compile(rf"</{name}(?![A-Za-z])", re.IGNORECASE) for name in TEXTS}
NAME = re.compile(r"[^\s=<>/]+")
EQUALS = re.compile(r"\s{0,99}=\s{0,99}")
UNQUOTED = re.compile(r"[^\s<>]{0,8192}")
SPACE = re.compile(r"[\s/=]*+")
REFERENCE = re.compile(r"&(?:#[0-9]{1,8};?|#[xX][0-9A-Fa-f]{1,8};?|[A-Za-z][A-Za-z0-9]{0,40};?)")
REFERENCE_OF_XML = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9A-Fa-f]{1,8}|[A-Za-z][A-Za-z0-9]{0,40});")
# In a value that swallowed the next tag, because its quote never closes.
SWALLOWED = re.compile(r"<(?:a|dt|outline)\s|<dt>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag: its name and attributes in small letters, where it begins, and where it has ended."""

    name: str
    closes: bool
    is_alone: bool  # `<outline/>`
    attributes: dict[str, str]
    begin: int
    end: int


class Tags:
    """The tags of a text, in one pass."""

    def __init__(self, text: str, *, is_xml: bool = False) -> None:
        self.text = text
        self.is_xml = is_xml
        self._line, self._counted = 1, 0
        self._missing: set[str] = set()  # what does not come any more: it is not looked for again

    def __iter__(self) -> Iterator[Tag]:
        """Yield the tags; raises Unreadable for a comment or a tag that never ends."""
        place = 0
        while found := MARK.search(self.text, place):
            sign, slash, name = found.groups()
            if sign:
                end = self._find(ENDS[sign], found.start() + 2)
                if end < 0:
                    raise self._endless(found.start())
                place = end + len(ENDS[sign])
                continue
            tag = self._tag(name.lower(), bool(slash), found)
            yield tag
            place = tag.end
            if tag.name in TEXTS and not tag.closes and not self.is_xml:
                place = self._end_of_text(tag)

    def line_of(self, place: int) -> int:
        """Return the line of a place, which is behind those that were asked for before."""
        self._line += self.text.count("\n", self._counted, place)
        self._counted = place
        return self._line

    def _tag(self, name: str, closes: bool, found: re.Match[str]) -> Tag:
        text, place, attributes = self.text, found.end(), dict[str, str]()
        while True:
            before, place = place, SPACE.match(text, place).end()  # type: ignore[union-attr]
            if place >= len(text):
                raise self._endless(found.start())
            if text[place] in "<>":
                break
            named = NAME.match(text, place)
            place, value = self._attribute(named.end()) if named else (place + 1, "")
            if named:
                attributes.setdefault(named.group().lower(), value)
        is_alone = "/" in text[before:place] or (self.is_xml and text[place - 1] == "/")
        return Tag(name, closes, is_alone, attributes, found.start(), place + (text[place] == ">"))

    def _attribute(self, place: int) -> tuple[int, str]:
        """Return where the value that may follow a name ends, and what it is."""
        equals = EQUALS.match(self.text, place)
        if not equals:
            return place, ""
        place = equals.end()
        quote = self.text[place : place + 1]
        if quote in ("'", '"'):
            end = self._find(quote, place + 1)
            if end >= 0 and not SWALLOWED.search(self.text, place, end):
                return end + 1, self._value(place + 1, end)
            place += 1
        end = UNQUOTED.match(self.text, place).end()  # type: ignore[union-attr]
        return end, self._value(place, end)

    def _value(self, place: int, end: int) -> str:
        text = self.text[place:end]
        return REFERENCE_OF_XML.sub(_referred, text) if self.is_xml else attribute_value(text)

    def _find(self, sign: str, place: int) -> int:
        end = -1 if sign in self._missing else self.text.find(sign, place)
        if end < 0:
            self._missing.add(sign)
        return end

    def _end_of_text(self, tag: Tag) -> int:
        found = None if tag.name in self._missing else END_OF[tag.name].search(self.text, tag.end)
        if not found:
            self._missing.add(tag.name)
        return found.start() if found else tag.end

    def _endless(self, place: int) -> Unreadable:
        line = self.line_of(max(place, self._counted))
        return Unreadable("malformed", "This tag, or comment, never ends.", line=line)


def attribute_value(text: str) -> str:
    """Return the value that an attribute's text stands for.

    A reference without its semicolon is one only if neither `=` nor a letter or digit follows: so
    `&section=2` in an address stays what it is
    (https://html.spec.whatwg.org/multipage/parsing.html#named-character-reference-state).
    """
    return REFERENCE.sub(_referred, text) if "&" in text else text


def _referred(found: re.Match[str]) -> str:
    from html import unescape

    reference = found.group()
    if reference[1] == "#":
        return unescape(reference)
    following = found.string[found.end() : found.end() + 1]
    if reference[-1] != ";" and following == "=":
        return reference
    return html5.get(reference[1:], reference)
