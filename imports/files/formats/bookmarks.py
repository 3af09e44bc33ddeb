"""Read bookmarks in HTML: the Netscape bookmark file that browsers export, and similar pages.

The format is HTML with most end tags missing. Its only documentation is
https://learn.microsoft.com/previous-versions/windows/internet-explorer/ie-developer/
platform-apis/aa753582(v=vs.85).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from imports import limits
from imports.files.documents import Document
from imports.files.errors import Unreadable, too_deep
from imports.files.fields.folders import Folder, collection_details_of, path_of, privacy_within
from imports.files.fields.moments import moment
from imports.files.fields.privacy import privacy_of
from imports.files.fields.rows import NOTE
from imports.files.items import Item, Problem, Row, clean, fingerprint, one_line
from imports.files.markup import plain_text
from imports.files.markup_tags import MarkupTag, TagScanner

MAX_TEXT = 64 * 1024  # characters of a title or note
# The tags that structure a bookmark file. Within a note, all other tags belong to the note.
STRUCTURE = ("dt", "dl", "dd")
# Titles of files from programs that always separate tags by commas.
COMMAS = re.compile(
    r"<title>\s{0,9}(?:bookmarks\s{0,9}</title>\s{0,99}<h1>bookmarks menu|raindrop|pocket)"
)
TAGS = re.compile(r"\btags=\"[^\"\n]{0,2000},", re.IGNORECASE)
# Files whose h1 headings are folders, and headings that are reading states instead.
WITH_HEADINGS = re.compile(r"<title>\s{0,9}instapaper")
READING_STATES = ("unread", "archive", "read archive", "home", "starred")
NO_ADDRESS = "This bookmark has no address."
DATE_NAMES = ("add_date", "time_added", "date_added", "last_modified", "last_modify")
NOTE_NAMES = ("description", "desc", "note", "notes", "comment", "extended")
TAG_NAMES = ("tags", "tag", "labels", "keywords")
# What follows a `dt` that belongs to the list. Any other `dt` is HTML quoted by a note.
ENTRY = re.compile(r"\s{0,99}(?:<p>\s{0,99})?<(?:a|h3)[\s>]", re.IGNORECASE)
# The markers with which linkding appends notes to descriptions.
LINKDING_NOTES = re.compile(r"\s{0,99}\[/?linkding-notes\]\s{0,99}")


def read(document: Document) -> Iterator[Row]:
    """Yield the bookmarks of a file, with their folders, tags, notes and dates."""
    return _Reading(document).rows()


@dataclass
class _Link:
    attributes: dict[str, str]
    line: int
    title: str = ""
    note: str = ""


class _Reading:
    """One pass over the tags of a file; a bookmark is complete when the next element begins."""

    def __init__(self, document: Document) -> None:
        self.text = document.text
        self.tags = TagScanner(self.text)
        self.has_commas = bool(COMMAS.search(document.head)) or bool(TAGS.search(self.text))
        self.has_headings = bool(WITH_HEADINGS.search(document.head))
        self.folders: list[Folder] = []
        self.next_folder = Folder("")  # the folder whose list begins next
        self.link: _Link | None = None
        self.open_element = (
            ""  # the element that the text from `text_start` belongs to: a, h1, h3 or dd
        )
        self.quote_depth = 0  # the depth of lists within the current note
        self.text_start = 0

    def rows(self) -> Iterator[Row]:
        """Yield the bookmarks; raise Unreadable at the end if the rest cannot be read."""
        fault = None
        try:
            for tag in self.tags:
                yield from self._process(tag)
        except Unreadable as error:
            fault = error
        self._close(len(self.text))
        yield from self._complete_bookmark()
        if fault:
            raise fault

    def _process(self, tag: MarkupTag) -> Iterator[Row]:
        """Process one tag, and yield the bookmark that it completes."""
        if tag.name in STRUCTURE:
            if self._is_quoted(tag):
                return
            self._close(tag.begin)
            if tag.name != "dd":
                yield from self._complete_bookmark()
            self._process_structure(tag)
        elif tag.closes and tag.name == self.open_element:
            self._close(tag.begin)
        elif tag.name == "a" and not tag.closes and self.open_element != "dd":
            self._close(tag.begin)
            yield from self._complete_bookmark()
            self.link = _Link(tag.attributes, self.tags.line_of(tag.begin))
            self._open("a", tag)
        elif self._is_heading(tag):
            yield from self._complete_bookmark()
            toolbar = tag.attributes.get("personal_toolbar_folder") == "true"
            self.next_folder = Folder("", privacy_of(tag.attributes))
            self._open("toolbar" if toolbar else tag.name, tag)

    def _is_quoted(self, tag: MarkupTag) -> bool:
        """Return whether a tag is part of a bookmark's note. Bookmarks have no lists below them."""
        if self.open_element != "dd" or not self.link:
            return False
        if tag.name == "dt":
            return tag.closes or not ENTRY.match(self.text, tag.end)
        if tag.name == "dl" and (self.quote_depth or not tag.closes):
            self.quote_depth += -1 if tag.closes else 1
            return True
        return tag.name == "dd" and self.quote_depth > 0

    def _is_heading(self, tag: MarkupTag) -> bool:
        wanted = tag.name == "h3" or (tag.name == "h1" and self.has_headings)
        return wanted and not tag.closes and self.open_element != "dd"

    def _process_structure(self, tag: MarkupTag) -> None:
        """Enter or leave a folder's list, or begin a note."""
        match tag.name, tag.closes:
            case "dl", False:
                if len(self.folders) >= limits.IMPORT_DEPTH:
                    raise too_deep("Folders", line=self.tags.line_of(tag.begin))
                self.folders.append(self.next_folder)
                self.next_folder = Folder("")
            case "dl", True:
                if self.folders:
                    self.folders.pop()
            case "dd", False:
                self._open("dd", tag)

    def _open(self, what: str, tag: MarkupTag) -> None:
        self.open_element, self.text_start, self.quote_depth = what, tag.end, 0

    def _close(self, place: int) -> None:
        """Store the text of the open element, which ends at `place`."""
        what, self.open_element = self.open_element, ""
        if not what:
            return
        raw = self.text[self.text_start : min(place, self.text_start + MAX_TEXT)]
        if what == "dd":
            note = LINKDING_NOTES.sub("\n\n", text_of(raw)).strip()
            if self.link:
                self.link.note = f"{self.link.note}\n\n{note}".strip()
            else:
                self.next_folder.description = note
        elif what == "a" and self.link:
            self.link.title = one_line(text_of(raw))
        elif what == "h3":
            self.next_folder.name = one_line(text_of(raw))
        elif what == "h1":
            name = one_line(plain_text(raw))
            self.folders = [] if name.lower() in READING_STATES else [Folder(name)]

    def _complete_bookmark(self) -> Iterator[Row]:
        """Yield the current bookmark, if there is one."""
        link, self.link = self.link, None
        if link is not None:
            yield self._row(link)

    def _row(self, link: _Link) -> Row:
        """Return the row of a complete bookmark: a link, a note or a subscription."""
        attributes = link.attributes
        url, feed = clean(attributes.get("href", "")), clean(attributes.get("feedurl", ""))
        if not (url or feed):
            return Problem(line=link.line, code="required", detail=NO_ADDRESS, label=link.title)
        privacy = privacy_within(self.folders, privacy_of(attributes))
        is_note = bool(NOTE.fullmatch(url))
        added = clean(attributes.get("add_date", ""))
        return Item(
            line=link.line,
            guid=fingerprint(url, added, link.title) if is_note else feed or url,
            source="note" if is_note else "subscription" if feed else "web",
            title=link.title,
            url="" if is_note or feed else url,
            feed=feed,
            text=link.note or plain_text(_first(attributes, NOTE_NAMES)),
            tags=self._tags(_first(attributes, TAG_NAMES)),
            collections=path_of(self.folders),
            collection_details=collection_details_of(self.folders),
            added_at=next(
                filter(None, (moment(attributes.get(name)) for name in DATE_NAMES)), None
            ),
            private=privacy.private,
            warning=privacy.warning,
        )

    def _tags(self, text: str) -> tuple[str, ...]:
        """Return tags, separated by commas, or by spaces if the whole file has no comma in tags."""
        return tuple(text.split(",") if self.has_commas or "," in text else text.split())


def _first(attributes: dict[str, str], names: tuple[str, ...]) -> str:
    return next((attributes[name] for name in names if attributes.get(name)), "")


# A `<` that begins none of the elements used in notes, so it is just a sign.
ELEMENTS = re.compile(
    r"<(?!/?(?:a|abbr|address|b|big|blockquote|br|center|cite|code|dd|del|div|dl|dt|em|font|h[1-6]|hr|i|"
    r"img|ins|kbd|li|mark|ol|p|pre|q|s|samp|script|small|span|strike|strong|style|sub|sup|table|tbody|"
    r"td|th|thead|tr|tt|u|ul|var)[\s/>]|!--)",
    re.IGNORECASE,
)
BLOCKS = re.compile(
    r"<(?=(?:blockquote|d[dlt]|div|h[1-6]|li|ol|p|pre|table|tr|ul)[\s/>])", re.IGNORECASE
)


def text_of(html: str) -> str:
    """Return the plain text of a note or title, including the addresses of its links."""
    if "<" not in html:
        return plain_text(html)
    return plain_text(BLOCKS.sub("\n<", with_addresses(ELEMENTS.sub("&lt;", html))))


def with_addresses(html: str) -> str:
    """Return HTML with each link's address after its text, unless they are equal."""
    if "<a" not in html.lower():
        return html
    kept, place, link = [], 0, None
    try:
        for tag in TagScanner(html):
            if tag.name != "a":
                continue
            kept.append(html[place : tag.begin])
            place = tag.end
            if not tag.closes:
                link = tag
            elif link and (url := link.attributes.get("href", "")):
                text = html[link.end : tag.begin].strip()
                kept.append("" if text == url else f" ({url.replace('<', '%3C')})")
                link = None
    except Unreadable:
        pass
    return "".join(kept) + html[place:]
