"""OPML: a reader's subscriptions, and outlines with links (http://opml.org/spec2.opml)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cards.imports.documents import Document
from cards.imports.items import Item, Row, clean, one_line
from cards.imports.markup import tokens
from cards.imports.moments import moment


def read(document: Document) -> Iterator[Row]:
    """This answers the outlines of a file that have an address; the others are folders."""
    path: list[str] = []
    for is_start, name, value, line in tokens(document):
        if name.lower() != "outline":
            continue
        if not is_start:
            path.pop()
            continue
        attributes = {key.lower(): text for key, text in value.items()}
        title = one_line(attributes.get("title") or attributes.get("text"))
        row = item_of(attributes, title, tuple(each for each in path if each), line)
        if row:
            yield row
        path.append("" if row else title)


def item_of(
    attributes: dict[str, Any], title: str, path: tuple[str, ...], line: int
) -> Item | None:
    """This answers a subscription, or a link, or None for a folder."""
    feed = clean(attributes.get("xmlurl"))
    url = clean(attributes.get("url") or attributes.get("htmlurl"))
    if not (feed or url):
        return None
    return Item(
        line=line,
        guid=feed or url,
        source="subscription" if feed else "web",
        title=title,
        url="" if feed else url,
        feed=feed,
        text=clean(attributes.get("description") or attributes.get("_note")),
        tags=tuple((attributes.get("category") or "").split(",")),
        collections=(path,) if path else (),
        added_at=moment(attributes.get("created")),
    )
