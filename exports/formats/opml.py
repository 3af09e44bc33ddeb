"""Write OPML: feed subscriptions, and cards with an address as links."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import quoteattr

from exports.entries import Entry, Selection

NAMESPACE = "urn:commonplace"
# Characters that XML cannot hold, even escaped (https://www.w3.org/TR/xml/#charsets).
NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write(selection: Selection) -> Iterator[str]:
    """Yield an outline for each collection, around its subscriptions and links.

    Other subscriptions are before the collections, and other links after them.
    """
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<opml version="2.0" xmlns:commonplace="{NAMESPACE}">\n'
    yield "<head><title>Commonplace</title></head>\n<body>\n"
    feeds = _feeds(selection)
    yield from feeds.pop("", [])
    for collection in selection.collections().iterator():
        own = {"text": collection.name, "description": collection.description}
        yield outline(collection.visibility, closes=False, **own)
        yield from feeds.get(str(collection.pk), [])
        yield from _links(selection.entries_in(collection))
        yield "</outline>\n"
    yield from _links(selection.entries_outside())
    yield "</body>\n</opml>\n"


def _feeds(selection: Selection) -> dict[str, list[str]]:
    """Return the outlines of subscriptions, by id of the collection that their cards go into.

    The key is an empty string for subscriptions without an exported collection.
    """
    outlines: dict[str, list[str]] = defaultdict(list)
    own = selection.names()
    for found in selection.subscriptions():
        collection = found.options.get("collection") or ""
        visibility = found.options.get("visibility") or ""
        url, title = found.feed.url, found.title or found.feed.url
        written = outline(visibility, type="rss", text=title, xmlUrl=url)
        outlines[collection if collection in own else ""].append(written)
    return outlines


def _links(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the cards that have an address as outlines."""
    for card in (entry.card for entry in entries if entry.card.link):
        yield outline(
            card.visibility,
            type="link",
            text=card.title or card.link,
            url=card.link,
            created=card.created_at.isoformat(),
            category=",".join(card.tags),
            description=card.text,
        )


def outline(visibility: str, *, closes: bool = True, **attributes: str) -> str:
    """Return an outline element, with the visibility in an attribute of Commonplace's namespace.

    OPML allows attributes of other namespaces.
    """
    attributes["commonplace:visibility"] = visibility
    written = " ".join(
        f"{name}={quoteattr(NOT_IN_XML.sub('', text))}" for name, text in attributes.items() if text
    )
    return f"<outline {written}{'/' if closes else ''}>\n"
