"""Read RSS, Atom and RDF feeds."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.items import Item, Row, clean, fingerprint, one_line
from imports.files.markup import plain_text, repaired, tokens

ENTRY = re.compile(r"<(?:\w+:)?(?:item|entry)[\s>]", re.IGNORECASE)
MAX_LENGTH = 10 * 1024 * 1024  # characters
# Malformed feeds are read by a tolerant parser, which is slow.
MAX_MALFORMED_LENGTH = 2 * 1024 * 1024  # characters


def read(document: Document) -> Iterator[Row]:
    """Yield the entries of a feed, oldest first; of a malformed one, the readable entries.

    Raise Unreadable for a feed that is too large, or declares entities.
    """
    document = repaired(document)
    text = document.markup
    if len(text) > MAX_LENGTH:
        raise Unreadable("too_large", f"The feed is longer than {MAX_LENGTH} characters.")
    problem = fault_in(document)
    if problem and len(text) > MAX_MALFORMED_LENGTH:
        raise problem
    feed = parse(text, document.url)
    lines = lines_of(text)
    source = document.url or _own_address(feed.feed) or clean(feed.feed.get("id")) or "feed"
    # Feeds list the newest entry first, but the newest card must be created last.
    for number, entry in reversed(list(enumerate(feed.entries))):
        line = lines[number] if len(lines) == len(feed.entries) else number + 1
        yield item_of(entry, source, line)
    if problem:
        yield problem.as_problem()


def fault_in(document: Document) -> Unreadable | None:
    """Return why a feed is not well-formed, or None; raise Unreadable if it may be an attack."""
    if "<!entity" in document.text.lower():
        raise Unreadable("entities", "The feed declares XML entities, which are not allowed.")
    try:
        for _ in tokens(document):
            pass
    except Unreadable as error:
        if error.code != "malformed":
            raise
        return error
    return None


def parse(text: str, url: str) -> Any:
    """Return the result of feedparser, which gets no address to fetch."""
    import feedparser

    # As a stream, because feedparser may treat a string as an address or a file name.
    stream = io.BytesIO(text.encode("utf-8", "replace"))
    headers = {"content-type": "application/xml; charset=utf-8", "content-location": url}
    try:
        return feedparser.parse(stream, response_headers=headers, sanitize_html=False)
    except Exception as error:  # the parser raises many types
        raise Unreadable("malformed", f"The feed cannot be read: {one_line(error)}.") from error


def lines_of(text: str) -> list[int]:
    """Return the line number of each entry's beginning."""
    lines, line, counted = [], 1, 0
    for found in ENTRY.finditer(text):
        line += text.count("\n", counted, found.start())
        counted = found.start()
        lines.append(line)
    return lines


def item_of(entry: Any, source: str, line: int) -> Item:
    """Convert a feed's entry to an item."""
    title, url = one_line(plain_text(entry.get("title") or "")), clean(entry.get("link"))
    contents = [part.get("value") or "" for part in entry.get("content") or []]
    text = plain_text(entry.get("summary") or next(iter(contents), ""))
    tags = [tag.get("term") or "" for tag in entry.get("tags") or []]
    return Item(
        line=line,
        guid=clean(entry.get("id")) or url or fingerprint(title, text),
        source=source,
        title=title,
        url=url,
        text=text,
        tags=tuple(tags),
        added_at=_moment(entry.get("published_parsed") or entry.get("updated_parsed")),
    )


def _moment(parts: Any) -> datetime | None:
    """Return the time of feedparser's time tuple, or None."""
    from imports.files.fields.moments import moment

    try:
        return moment(datetime(*parts[:6]).replace(tzinfo=UTC)) if parts else None  # noqa: DTZ001
    except (ValueError, TypeError, OverflowError):
        return None


def _own_address(feed: Any) -> str:
    """Return the address that a feed gives for itself, or for its site."""
    links = feed.get("links") or []
    own = next((link.get("href") for link in links if link.get("rel") == "self"), None)
    return clean(own or feed.get("link"))
