"""Read bookmarks, highlights and references from the JSON of many programs.

Most programs write a list of objects with telling member names (field_names.py). This module knows
the rest: where the list is, and which members are nested or named differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.fields.field_names import normalized
from imports.files.fields.privacy import privacy_of
from imports.files.fields.rows import Fields, item_of
from imports.files.formats.json.values import NOT_AN_OBJECT, members_of
from imports.files.items import Item, Problem, Row, clean, one_line
from imports.files.markup import plain_text

Entry = dict[str, Any]
# The members that may hold the list, if the file is not itself a list.
LISTS = (
    "bookmarks", "items", "results", "rows", "annotations", "links", "list", "saves", "articles",
    "highlights", "entries", "posts", "cards", "books", "pages", "data", "references",
)  # fmt: skip
# Groups that hold links: Linkwarden's, Toby's.
GROUPS = (("collections", "links"), ("lists", "cards"))
MAX_PATH = 1_000  # characters; each entry below a folder gets its path
ADDRESSES = ("url", "uri", "href", "link")
# The members that make an entry and the collection of its folder private.
PRIVATE = {"private": True, "collectionvisibility": "private"}
# Delicious's short names.
DELICIOUS_NAMES = {"u": "href", "d": "description", "n": "extended", "t": "tags", "dt": "time"}
NO_LIST = "The list of bookmarks is missing. Export them as HTML or CSV, and import that file."
NO_ADDRESS = "This entry has no address, title or text."


def read(document: Document) -> Iterator[Row]:
    """Yield the entries of a file; raise Unreadable if it has no list of them."""
    found = list_in(document.json)
    if found is None:
        raise Unreadable("malformed", NO_LIST)
    for line, entry in enumerate(list(_flattened(found)), start=1):
        if isinstance(entry, str) and "://" in entry[:20]:
            yield Item(line=line, guid=one_line(entry), url=one_line(entry))
        elif not isinstance(entry, dict):
            yield Problem(line=line, code="malformed", detail=NOT_AN_OBJECT)
        else:
            yield row_of(entry, line)


def _flattened(found: list[Any], path: str = "", *, is_private: bool = False) -> Iterator[Any]:
    """Yield entries; replace each folder by its entries, with its path as their `folder`.

    All entries within a private folder are private.
    """
    for entry in found:
        inner = members_of(entry, "children") if isinstance(entry, dict) else []
        if inner and not any(isinstance(entry.get(name), str) for name in ADDRESSES):
            name = one_line(entry.get("name") or entry.get("title")).replace("/", "-")
            within = is_private or bool(privacy_of(entry).private)
            inner_path = f"{path} / {name}"[:MAX_PATH].strip(" /")
            yield from _flattened(inner, inner_path, is_private=within)
        elif isinstance(entry, dict) and (path or is_private):
            yield {"folder": path, **entry, **(PRIVATE if is_private else {})}
        else:
            yield entry


def list_in(value: Any, depth: int = 2) -> list[Any] | None:
    """Return the list of entries in a JSON value, up to `depth` objects deep, or None."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return None
    for groups, links in GROUPS:
        if nested := _links_of_groups(value, groups, links):
            return nested
    for name in LISTS:
        found = value.get(name)
        if isinstance(found, dict) and name == "list":  # Pocket numbers them
            found = list(found.values())
        if isinstance(found, list) and (found or len(value) == 1):
            return _with_list_names(found, value)
    empty = next((found for name in LISTS if isinstance(found := value.get(name), list)), None)
    inner = [each for each in value.values() if isinstance(each, dict)] if depth else []
    deeper = (list_in(each, depth - 1) for each in inner)
    return next(filter(None, deeper), empty)


def row_of(entry: Entry, line: int) -> Row:
    """Return the item of an entry, or a Problem if it has nothing to import."""
    row = Fields((normalized(name), value) for name, value in adapted(entry).items())
    item = item_of(row, line=line, source="json")
    if item.url or item.title or item.text:
        return item
    return Problem(line=line, code="required", detail=NO_ADDRESS)


def adapted(entry: Entry) -> Mapping[str, Any]:
    """Return the members of an entry under names that field_names.py knows."""
    return next((change(entry) for fits, change in PROGRAMS if fits(entry)), entry)


def _links_of_groups(value: Entry, groups_in: str, links_in: str) -> list[Any] | None:
    """Return the links of all groups, each with its group's path, or None without groups."""
    groups = [each for each in members_of(value, groups_in) if isinstance(each, dict)]
    if not any(isinstance(each.get(links_in), list) for each in groups):
        return None
    above = {each["id"]: each for each in groups if isinstance(each.get("id"), int | str)}
    found: list[Any] = []
    for group in groups:
        path = _path(group, above, "parentId")
        mark = {"public": group["isPublic"]} if "isPublic" in group else {}
        details = {"collectionvisibility": "public" if group.get("isPublic") else "private"}
        for link in members_of(group, links_in):
            if isinstance(link, dict):
                found.append(
                    link | {"collection": None, "folder": path} | (mark and mark | details)
                )
            else:
                found.append(link)
    return found


def _path(group: Entry, above: Mapping[Any, Entry], parent: str) -> str:
    """Return the path of a group, `outer / inner`; cycles of parents end."""
    names, seen = list[str](), set[Any]()
    node: Any = group
    while isinstance(node, dict) and id(node) not in seen and len(seen) < 100:
        seen.add(id(node))
        names.insert(0, one_line(node.get("name") or node.get("title")).replace("/", "-"))
        up = node.get(parent)
        node = above.get(up) if isinstance(up, int | str) else None
    return " / ".join(filter(None, names))


def _with_list_names(found: list[Any], value: Entry) -> list[Any]:
    """Return Karakeep's bookmarks with the names of their lists."""
    lists = [each for each in members_of(value, "lists") if isinstance(each, dict)]
    named = {each["id"]: each for each in lists if isinstance(each.get("id"), str)}
    if not named:
        return found
    return [
        entry | {"lists": None, "folder": [_path(named[id], named, "parentId") for id in ids]}
        if isinstance(entry, dict)
        and (ids := [i for i in members_of(entry, "lists") if isinstance(i, str) and i in named])
        else entry
        for entry in found
    ]


def _from_karakeep(entry: Entry) -> Mapping[str, Any]:
    """Adapt a bookmark of Karakeep (Hoarder), whose content is a link, a text or a file."""
    content: Entry = entry["content"] if isinstance(entry["content"], dict) else {}
    found = {"url": content.get("url") or content.get("sourceUrl"), **entry}
    found["title"] = entry.get("title") or content.get("title") or content.get("fileName")
    found["note"] = [entry.get("note"), content.get("text")]
    found["summary"] = entry.get("summary") or content.get("description")
    return found


def _from_hypothesis(entry: Entry) -> Mapping[str, Any]:
    """Adapt an annotation of Hypothesis: the quoted text of a page, then the comment."""
    document = entry.get("document")
    title = document.get("title") if isinstance(document, dict) else ""
    quotes = [
        selector.get("exact")
        for target in members_of(entry, "target") if isinstance(target, dict)
        for selector in members_of(target, "selector") if isinstance(selector, dict)
    ]  # fmt: skip
    quote = "\n\n".join(f"> {clean(each)}" for each in quotes if clean(each))
    permissions = entry.get("permissions")
    readers = permissions.get("read") if isinstance(permissions, dict) else None
    found = {"url": entry["uri"], "title": title, "tags": entry.get("tags")}
    found["created"] = entry.get("created")
    found["note"] = "\n\n".join(filter(None, [quote, clean(entry.get("text"))]))
    if readers is not None or "group" in entry:
        named = readers if isinstance(readers, list) else []
        is_open = readers is None or "group:__world__" in named
        found["private"] = not (is_open and entry.get("group") in (None, "__world__"))
    return found


def _from_readwise(entry: Entry) -> Mapping[str, Any]:
    """Adapt a document of Readwise, with its highlights and their notes."""
    reader = {"url": entry.get("source_url") or entry.get("unique_url") or entry.get("url")}
    dates = {"created": entry.get("saved_at") or entry.get("created_at")}
    title = {"title": entry.get("title") or entry.get("readable_title")}
    tags = {"tags": entry.get("book_tags") or entry.get("tags")}
    note = {"note": entry.get("document_note") or entry.get("notes")}
    others = {name: entry.get(name) for name in ("author", "summary", "highlights", "id")}
    return {**others, **reader, **dates, **title, **tags, **note}


def _from_mendeley(entry: Entry) -> Mapping[str, Any]:
    """Adapt a document from Mendeley's web API."""
    names = (("lastName", "last_name"), ("firstName", "first_name"))
    people = [
        {part: each.get(name) for part, name in names}
        for each in members_of(entry, "authors") if isinstance(each, dict)
    ]  # fmt: skip
    link = next((each for each in members_of(entry, "websites") if isinstance(each, str)), None)
    journal = {"journal": entry.get("source"), "documenttype": entry.get("type"), "url": link}
    return {**entry, **entry["identifiers"], **journal, "authors": people}


# Tests for the entries of a program, with the function that adapts them.
PROGRAMS: tuple[tuple[Callable[[Entry], bool], Callable[[Entry], Mapping[str, Any]]], ...] = (
    (lambda entry: "createdAt" in entry and "content" in entry and "tags" in entry, _from_karakeep),
    (lambda entry: "uri" in entry and ("target" in entry or "group" in entry), _from_hypothesis),
    (lambda entry: "readwise_url" in entry or "user_book_id" in entry, _from_readwise),
    (lambda entry: "source_url" in entry and "reading_progress" in entry, _from_readwise),
    # Zotero's web API nests an item under `data`.
    (
        lambda entry: isinstance(entry.get("data"), dict) and "itemType" in entry["data"],
        lambda entry: {**entry["data"], "id": entry.get("key")},
    ),
    (
        lambda entry: isinstance(entry.get("identifiers"), dict) and "source" in entry,
        _from_mendeley,
    ),
    (
        lambda entry: "u" in entry and "d" in entry,
        lambda entry: {DELICIOUS_NAMES.get(name, name): value for name, value in entry.items()},
    ),
)


def read_zotero(document: Document) -> Iterator[Row]:
    """Yield Zotero's items with their collections; attachments and annotations are skipped."""
    value = document.json
    paths = _paths_of_zotero(value) if isinstance(value, dict) else {}
    for line, entry in enumerate(list_in(value) or [], start=1):
        if not isinstance(entry, dict):
            yield Problem(line=line, code="malformed", detail=NOT_AN_OBJECT)
            continue
        found = adapted(entry)
        kind = found.get("itemType")
        if kind in ("attachment", "annotation"):
            continue
        folder = paths.get(found.get("itemID"), [])
        if kind == "note":
            found = {
                "text": plain_text(clean(found.get("note"))),
                "tags": found.get("tags"),
                "itemType": "",
            }
        yield row_of({**found, "collections": None, "folder": folder}, line)


def _paths_of_zotero(value: Entry) -> dict[Any, list[str]]:
    """Return the paths of Zotero's collections by the id of each item in them."""
    groups = value.get("collections")
    named = (
        {k: v for k, v in groups.items() if isinstance(v, dict)} if isinstance(groups, dict) else {}
    )
    paths: dict[Any, list[str]] = {}
    for group in named.values():
        for item in members_of(group, "items"):
            if isinstance(item, int | str):
                paths.setdefault(item, []).append(_path(group, named, "parent"))
    return paths
