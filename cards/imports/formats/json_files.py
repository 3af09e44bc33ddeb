"""Files of JSON: browsers' own backups, Pinboard, JSON Feed, CSL-JSON, and Commonplace's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from cards import limits
from cards.imports.documents import Document
from cards.imports.errors import Unreadable
from cards.imports.items import Item, Problem, Row, clean, fingerprint, one_line
from cards.imports.markup import plain
from cards.imports.moments import moment, of_chrome
from cards.imports.references import fitted, reference_item

FIREFOX_ROOTS = {"root________", "menu________", "toolbar_____", "unfiled_____", "mobile______"}
NOT_AN_OBJECT = "This entry is not an object."


def value_of(document: Document) -> Any:
    """This answers the value of a JSON file; raises Unreadable with the line of the error."""
    text = document.text.strip()
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise Unreadable("too_deep", "The JSON is nested too deeply.") from None
    except ValueError as error:
        message = str(error)
        if "surrogate" in message:
            return _with_halves_of_letters(text)
        place = message.rpartition("byte ")[2].rstrip(")")
        line = 0
        if place.isdecimal():
            line = document.text.encode("utf-8", "replace")[: int(place)].count(b"\n") + 1
        raise Unreadable("malformed", f"This is not JSON: {message}.", line=line) from None


def _with_halves_of_letters(text: str) -> Any:
    """This answers JSON whose escapes name halves of letters; they are cleaned away later."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("malformed", "This is not JSON.") from None


def object_of(document: Document) -> dict[str, Any]:
    """This answers the members of a JSON file that is one object; raises Unreadable."""
    value = value_of(document)
    if not isinstance(value, dict):
        raise Unreadable("malformed", "This is not one JSON object.")
    return value


def entries(value: Any, *names: str) -> Iterator[tuple[int, Any]]:
    """This answers the members of a list, or of the list under one of these names, numbered."""
    members = value if isinstance(value, dict) else {}
    found = next((members[name] for name in names if name in members), None) if names else value
    if not isinstance(found, list):
        raise Unreadable("malformed", "The list of entries is missing.")
    yield from enumerate(found, start=1)


def each(numbered: Iterator[tuple[int, Any]], read: Callable[[int, Any], Row]) -> Iterator[Row]:
    """This reads entries one by one; one that cannot be read does not hold up the others."""
    for number, entry in numbered:
        if not isinstance(entry, dict):
            yield Problem(line=number, code="malformed", detail=NOT_AN_OBJECT)
        else:
            yield read(number, entry)


def strings(value: Any) -> tuple[str, ...]:
    """This answers the texts of a list, or of a text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    return tuple(clean(each) for each in value) if isinstance(value, list) else ()


def text_of(entry: Any, *names: str) -> str:
    """This answers the first of these members that is a text with something in it."""
    values = (entry.get(name) for name in names)
    return next((clean(value) for value in values if isinstance(value, str) and value.strip()), "")


def chrome(document: Document) -> Iterator[Row]:
    """This answers the bookmarks in Chrome's own file."""
    roots = object_of(document).get("roots")
    trees = roots.values() if isinstance(roots, dict) else ()
    for number, (path, node) in enumerate(_leaves(trees, "url", "name"), start=1):
        url = text_of(node, "url")
        yield Item(
            line=number,
            guid=url,
            title=one_line(node.get("name")),
            url=url,
            collections=(path,) if path else (),
            added_at=of_chrome(node.get("date_added")),
        )


def firefox(document: Document) -> Iterator[Row]:
    """This answers the bookmarks in a backup of Firefox."""
    leaves = _leaves([value_of(document)], "uri", "title", roots=FIREFOX_ROOTS)
    for number, (path, node) in enumerate(leaves, start=1):
        url = text_of(node, "uri")
        if url.startswith("place:"):  # a search of Firefox's own
            continue
        annotations = node.get("annos")
        notes = annotations if isinstance(annotations, list) else []
        text = next((text_of(note, "value") for note in notes if isinstance(note, dict)), "")
        yield Item(
            line=number,
            guid=url,
            title=one_line(node.get("title")),
            url=url,
            text=text,
            tags=strings(node.get("tags")),
            collections=(path,) if path else (),
            added_at=moment(node.get("dateAdded")),
        )


Leaf = tuple[tuple[str, ...], dict[str, Any]]


def _leaves(trees: Any, mark: str, title: str, roots: Any = None) -> Iterator[Leaf]:
    """This answers the nodes that have an address, with the path of folders that each is in."""
    waiting: list[tuple[tuple[str, ...], Any, bool]]
    waiting = [((), tree, True) for tree in reversed(list(trees))]
    while waiting:
        path, node, is_root = waiting.pop()
        if not isinstance(node, dict):
            continue
        if isinstance(node.get(mark), str):
            yield path, node
        children = node.get("children")
        if not isinstance(children, list):
            continue
        is_root = is_root if roots is None else node.get("guid") in roots or is_root
        name = one_line(node.get(title))
        inner = path if is_root or not name else (*path, name)
        if len(inner) > limits.IMPORT_DEPTH:
            message = f"There are more than {limits.IMPORT_DEPTH} folders in each other."
            raise Unreadable("too_deep", message)
        waiting += [(inner, child, False) for child in reversed(children)]


def pinboard(document: Document) -> Iterator[Row]:
    """This answers the bookmarks in an export of Pinboard."""
    return each(entries(value_of(document)), _pinboard)


def _pinboard(number: int, entry: Any) -> Row:
    url = text_of(entry, "href")
    return Item(
        line=number,
        guid=url,
        title=one_line(entry.get("description")),
        url=url,
        text=text_of(entry, "extended"),
        tags=tuple(text_of(entry, "tags").split()),
        added_at=moment(entry.get("time")),
        private=entry.get("shared") == "no",
    )


def json_feed(document: Document) -> Iterator[Row]:
    """This answers the items of a JSON Feed (https://www.jsonfeed.org/version/1.1/)."""
    feed = object_of(document)
    source = document.url or text_of(feed, "feed_url", "home_page_url") or "feed"

    def read(number: int, entry: Any) -> Row:
        url = text_of(entry, "url", "external_url")
        text = text_of(entry, "content_text", "summary") or plain(text_of(entry, "content_html"))
        title = one_line(entry.get("title"))
        guid = str(entry.get("id") or "") or url or fingerprint(title, text)
        added_at = moment(entry.get("date_published")) or moment(entry.get("date_modified"))
        tags = strings(entry.get("tags"))
        return Item(
            line=number, guid=clean(guid), source=source, title=title, url=url, text=text,
            tags=tags, added_at=added_at,
        )  # fmt: skip

    return each(entries(feed, "items"), read)


def csl(document: Document) -> Iterator[Row]:
    """This answers the references of CSL-JSON."""
    value = value_of(document)
    numbered = entries(value) if isinstance(value, list) else entries(value, "items", "references")
    return each(numbered, _csl)


def _csl(number: int, entry: Any) -> Row:
    tags = strings(entry.get("keyword") or entry.get("categories"))
    url, text = text_of(entry, "URL"), text_of(entry, "annote")
    return reference_item(line=number, fields=entry, url=url, text=text, tags=tags)


def commonplace(document: Document) -> Iterator[Row]:
    """This answers the cards of Commonplace's own export."""
    value = object_of(document)
    yield from each(entries(value, "collections"), _collection)
    yield from each(entries(value, "subscriptions"), _subscription)
    yield from each(entries(value, "cards"), _commonplace)


def _collection(number: int, entry: Any) -> Row:
    name = one_line(entry.get("name"))
    folder = {part: text_of(entry, part) for part in ("name", "description", "visibility")}
    return Item(line=number, guid=f"collection {name}", collections=((name,),), folder=folder)


def _subscription(number: int, entry: Any) -> Row:
    feed = text_of(entry, "url")
    return Item(line=number, guid=feed, title=text_of(entry, "title"), feed=feed)


def _commonplace(number: int, entry: Any) -> Row:
    places = entry.get("collections")
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
        private=entry.get("visibility") == "PRIVATE",
        reference=fitted(entry["reference"]) if isinstance(entry.get("reference"), dict) else {},
        parent=text_of(entry, "parent"),
    )
