"""Write a bookmark file (NETSCAPE-Bookmark-file-1), which every browser imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from accounts.models import Visibility
from exports.entries import Entry, Selection

HEAD = """<!DOCTYPE NETSCAPE-Bookmark-file-1>
<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=UTF-8">
<TITLE>Bookmarks</TITLE>
<H1>Bookmarks</H1>
<DL><p>
"""


def write(selection: Selection) -> Iterator[str]:
    """Yield the cards with an address: collections as folders, then cards in no collection."""
    yield HEAD
    for collection in selection.collections().iterator():
        private = private_mark(collection.visibility)
        yield f'    <DT><H3 PRIVATE="{private}">{escape(collection.name)}</H3>\n'
        if collection.description:
            yield f"    <DD>{escape(collection.description, quote=False)}\n"
        yield "    <DL><p>\n"
        yield from _bookmarks(selection.entries_in(collection), " " * 8)
        yield "    </DL><p>\n"
    yield from _bookmarks(selection.entries_outside(), " " * 4)
    yield "</DL><p>\n"


def private_mark(visibility: str) -> str:
    """Return the value of the attribute PRIVATE: 1 or 0."""
    return "1" if visibility == Visibility.PRIVATE else "0"


def tags_of(tags: list[str]) -> str:
    """Return tags separated by commas.

    A single tag of several words ends in a comma, or readers would take each word for a tag.
    """
    return ",".join(tags) + ("," if len(tags) == 1 and " " in tags[0] else "")


def _bookmarks(entries: Iterable[Entry], indent: str) -> Iterator[str]:
    """Yield the cards that have an address as bookmarks with notes."""
    for card in (entry.card for entry in entries if entry.card.link):
        attributes = {
            "HREF": card.link,
            "ADD_DATE": str(int(card.created_at.timestamp())),
            "PRIVATE": private_mark(card.visibility),
            "TAGS": tags_of(card.tags),
        }
        written = " ".join(f'{name}="{escape(text)}"' for name, text in attributes.items() if text)
        note = f"{indent}<DD>{escape(card.text, quote=False)}\n" if card.text else ""
        yield f"{indent}<DT><A {written}>{escape(card.title or card.link)}</A>\n{note}"
