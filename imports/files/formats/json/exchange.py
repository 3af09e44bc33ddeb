"""Read JSON Feed, CSL-JSON, and Commonplace's own JSON export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cards.references import VISIBILITY
from imports.files.bibliography import fit_to_card, reference_item
from imports.files.documents import Document
from imports.files.fields.moments import moment
from imports.files.fields.privacy import privacy_of, stated_by
from imports.files.formats.json.values import entries, object_of, rows_of, strings, text_of
from imports.files.items import Item, Row, clean, collection_name, fingerprint, one_line
from imports.files.markup import plain_text


def json_feed(document: Document) -> Iterator[Row]:
    """Yield the items of a JSON Feed (https://www.jsonfeed.org/version/1.1/)."""
    feed = object_of(document)
    source = document.url or text_of(feed, "feed_url", "home_page_url") or "feed"

    def read(number: int, entry: Any) -> Row:
        url = text_of(entry, "url", "external_url")
        text = text_of(entry, "content_text", "summary") or plain_text(
            text_of(entry, "content_html")
        )
        title = one_line(entry.get("title"))
        guid = str(entry.get("id") or "") or url or fingerprint(title, text)
        added_at = moment(entry.get("date_published")) or moment(entry.get("date_modified"))
        tags = strings(entry.get("tags"))
        return Item(
            line=number, guid=clean(guid), source=source, title=title, url=url, text=text,
            tags=tags, added_at=added_at,
        )  # fmt: skip

    return rows_of(entries(feed, "items"), read)


def csl(document: Document) -> Iterator[Row]:
    """Yield the references of a CSL-JSON file."""
    value = document.json
    numbered = entries(value) if isinstance(value, list) else entries(value, "items", "references")
    return rows_of(numbered, _csl)


def _csl(number: int, entry: Any) -> Row:
    """Return the item of a CSL-JSON reference."""
    tags = strings(entry.get("categories") or entry.get("keyword"))
    url, text = text_of(entry, "URL"), text_of(entry, "annote")
    item = reference_item(line=number, fields=entry, url=url, text=text, tags=tags)
    custom = entry.get("custom")
    own = custom.get(VISIBILITY) if isinstance(custom, dict) else None
    privacy = privacy_of({**entry, VISIBILITY: own})
    return replace(item, private=privacy.private, warning=privacy.warning)


def commonplace(document: Document) -> Iterator[Row]:
    """Yield the collections, subscriptions and cards of Commonplace's own export."""
    value = object_of(document)
    yield from rows_of(entries(value, "collections"), _collection)
    yield from rows_of(entries(value, "subscriptions"), _subscription)
    yield from rows_of(entries(value, "cards"), _commonplace)


def _collection(number: int, entry: Any) -> Row:
    """Return the item that creates an exported collection."""
    name = collection_name([one_line(entry.get("name"))])
    folder = {"name": name, "description": text_of(entry, "description")}
    privacy = stated_by("visibility", entry.get("visibility"))
    if privacy.private is not None:
        folder["visibility"] = "PRIVATE" if privacy.private else "PUBLIC"
    return Item(
        line=number, guid=f"collection {name}", collections=((name,),), folder=folder,
        warning=privacy.warning,
    )  # fmt: skip


def _subscription(number: int, entry: Any) -> Row:
    """Return the item of an exported subscription."""
    feed, name = text_of(entry, "url"), one_line(entry.get("collection"))
    privacy = stated_by("visibility", entry.get("visibility"))
    return Item(
        line=number, guid=feed, source="subscription", title=text_of(entry, "title"), feed=feed,
        collections=((name,),) if name else (),
        private=privacy.private, warning=privacy.warning,
    )  # fmt: skip


def _commonplace(number: int, entry: Any) -> Row:
    """Return the item of an exported card."""
    places = entry.get("collections")
    privacy = stated_by("visibility", entry.get("visibility"))
    return Item(
        line=number,
        guid=text_of(entry, "id"),
        source="commonplace",
        title=text_of(entry, "title"),
        url=text_of(entry, "url"),
        text=text_of(entry, "text"),
        tags=strings(entry.get("tags") if isinstance(entry.get("tags"), list) else []),
        collections=tuple((name,) for name in strings(places if isinstance(places, list) else [])),
        added_at=moment(entry.get("created_at")),
        private=privacy.private,
        warning=privacy.warning,
        reference=fit_to_card(entry["reference"])
        if isinstance(entry.get("reference"), dict)
        else {},
        parent=text_of(entry, "parent"),
    )
