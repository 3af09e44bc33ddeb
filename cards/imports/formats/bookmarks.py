"""Bookmarks as every browser exports them: the Netscape bookmark file format.

It is HTML that nobody ever closed properly. https://learn.microsoft.com/previous-versions/windows/
internet-explorer/ie-developer/platform-apis/aa753582(v=vs.85) says what little there is to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from cards import limits
from cards.imports.documents import Document
from cards.imports.errors import Unreadable
from cards.imports.items import Item, Row, clean, one_line
from cards.imports.moments import moment

TAG = re.compile(r"<(/?)(a|h3|dl|dd|dt|title|h1)(?=[\s>/])", re.IGNORECASE)
ANY_TAG = re.compile(r"<[^<>]{0,1000}>")
NAME = re.compile(r"[^\s=>/]{1,100}")
LONGEST_VALUE = 64 * 1024


def read(document: Document) -> Iterator[Row]:
    """This answers the bookmarks of a file, with their folders, tags, notes and dates."""
    return BookmarkParser(document.text).rows()


class BookmarkParser:
    """One pass over the text: it knows the few tags that matter, and never looks back."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.line, self._counted = 1, 0
        self.folders: list[str] = []
        self.named = ""  # the folder whose list comes next
        self.link: dict[str, str] | None = None
        self.link_line = 0
        self.title = self.note = ""

    def rows(self) -> Iterator[Row]:
        """This answers each bookmark when the next thing begins: its note comes after it."""
        while found := TAG.search(self.text, self.place):
            closes, name = bool(found.group(1)), found.group(2).lower()
            begin = found.start()
            attributes = self._attributes(found.end())
            if name in ("a", "h3", "dl", "dt") and not (name == "a" and closes):
                yield from self._finished()
            self._take(name, closes, attributes, begin)
        yield from self._finished()

    def _take(self, name: str, closes: bool, attributes: dict[str, str], begin: int) -> None:
        match name, closes:
            case "a", False:
                self.link, self.link_line = attributes, self._line_of(begin)
                self.title = self._content("</a")
            case "h3", False:
                title = self._content("</h3")
                toolbar = attributes.get("personal_toolbar_folder") == "true"
                self.named = "" if toolbar else one_line(title)
            case "dl", False:
                if len(self.folders) >= limits.IMPORT_DEPTH:
                    message = f"There are more than {limits.IMPORT_DEPTH} folders in each other."
                    raise Unreadable("too_deep", message, line=self._line_of(begin))
                self.folders.append(self.named)
                self.named = ""
            case "dl", True:
                if self.folders:
                    self.folders.pop()
            case "dd", False:
                self.note = self._note()
            case (("title" | "h1"), False):
                self._content("</")

    def _finished(self) -> Iterator[Row]:
        link, self.link = self.link, None
        note, self.note = self.note, ""
        if link is None:
            return
        path = tuple(folder for folder in self.folders if folder)
        url = clean(link.get("href", ""))
        yield Item(
            line=self.link_line,
            guid=url,
            title=one_line(self.title),
            url=url,
            text=note,
            tags=tuple(link.get("tags", "").split(",")),
            collections=(path,) if path else (),
            added_at=moment(link.get("add_date", "")),
            private=link.get("private") == "1" if "private" in link else None,
        )

    def _content(self, end: str) -> str:
        """This answers the text up to a tag, or to the end of the line if it never comes."""
        text, start = self.text, self.place
        stop = text.find("<", start)
        while stop >= 0 and text[stop : stop + len(end)].lower() != end:
            if stop - start > LONGEST_VALUE or TAG.match(text, stop):
                break
            stop = text.find("<", stop + 1)
        stop = len(text) if stop < 0 else stop
        self.place = stop
        return unescape(ANY_TAG.sub(" ", text[start : min(stop, start + LONGEST_VALUE)]))

    def _note(self) -> str:
        """This answers the text up to the next tag that matters."""
        found = TAG.search(self.text, self.place)
        stop = found.start() if found else len(self.text)
        note = self.text[self.place : min(stop, self.place + LONGEST_VALUE)]
        self.place = stop
        return clean(unescape(ANY_TAG.sub("", note)))

    def _attributes(self, place: int) -> dict[str, str]:
        """This reads `name="value"` up to the end of the tag, and goes behind it."""
        text = self.text
        found: dict[str, str] = {}
        while place < len(text) and text[place] != ">":
            name = NAME.match(text, place)
            if not name:
                place += 1
                continue
            place = name.end()
            value = ""
            if text.startswith("=", place):
                value, place = self._value(place + 1)
            found.setdefault(name.group().lower(), value)
        self.place = place + 1
        return found

    def _value(self, place: int) -> tuple[str, int]:
        quote = self.text[place : place + 1]
        if quote in ("'", '"'):
            end = self.text.find(quote, place + 1, place + LONGEST_VALUE)
            if end >= 0:
                return unescape(self.text[place + 1 : end]), end + 1
            place += 1
        end = place
        while end < len(self.text) and self.text[end] not in " \t\n>" and end - place < 8192:
            end += 1
        return unescape(self.text[place:end]), end

    def _line_of(self, place: int) -> int:
        self.line += self.text.count("\n", self._counted, place)
        self._counted = place
        return self.line
