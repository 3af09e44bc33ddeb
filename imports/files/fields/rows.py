"""Turn one row of a table, or one JSON object, into an item, by the names of its fields.

Fields with names that field_names.py doesn't list are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from imports.files.bibliography import doi_in, issued_of, reference_item
from imports.files.fields.field_names import (
    FIELD_OF,
    KINDS,
    OF_REFERENCES,
    RANK_OF,
    TEXTS,
    normalized,
)
from imports.files.fields.moments import moment
from imports.files.fields.privacy import privacy_of
from imports.files.fields.value_lists import people_of, person_of, tags_of, texts_of
from imports.files.items import Item, clean, collection_name, one_line
from imports.files.markup import plain_text

PATH = re.compile(r"\s{0,9}/\s{0,9}")
NOTE = re.compile(r"(?:\?|\./\?|/?shaare/)[\w-]{1,50}")  # the address of a note within Shaarli
# Names of unknown fields whose address is that of a picture.
PICTURE = re.compile(r"image|cover|icon|thumb|avatar|photo|picture|banner|screenshot")
DASHES = re.compile(r"\s{0,9}(?:-{2,3}|–|—)\s{0,9}")
EXCEL = re.compile(r'="([^"]{0,100})"')


class Fields:
    """The values of a row: by normalized name (`named`), and by field of NAMES (`found`)."""

    def __init__(self, named: Iterable[tuple[str, Any]]) -> None:
        everything = dict(named)
        blank: tuple[Any, ...] = (None, "", [], {})
        self.named = {name: value for name, value in everything.items() if value not in blank}
        found: dict[str, list[tuple[int, Any]]] = {}
        for name, value in self.named.items():
            if field := FIELD_OF.get(name):
                found.setdefault(field, []).append((RANK_OF[name], value))
        self.found = {
            field: [value for _, value in sorted(values, key=lambda each: each[0])]
            for field, values in found.items()
        }
        if not {"url", "DOI"} & self.found.keys() and (address := self._stray_address()):
            self.found["url"] = [address]
        # A program without a title column, like Pinboard, has the title in `description`.
        if "description" in self.named and "title" not in map(FIELD_OF.get, everything):
            self.found["title"] = [self.named["description"]]
            own = [value for name, value in self.named.items() if _is_other_note(name)]
            self.found["note"] = own

    def _stray_address(self) -> str:
        """Return the only address under an unknown name, so that no link is lost, or ""."""
        found = {
            value.strip()
            for name, value in self.named.items()
            if isinstance(value, str) and name not in FIELD_OF and not PICTURE.search(name)
            and value.strip()[:8].lower().startswith(("http://", "https://"))
        }  # fmt: skip
        return found.pop() if len(found) == 1 else ""

    def first(self, field: str) -> str:
        """Return the best text of a field, or ""."""
        return next((text for value in self.found.get(field, []) for text in texts_of(value)), "")

    def texts(self, *names: str) -> list[str]:
        """Return all different texts of some fields."""
        found = [t for name in names for value in self.found.get(name, []) for t in texts_of(value)]
        return list(dict.fromkeys(found))


def _is_other_note(name: str) -> bool:
    return FIELD_OF.get(name) == "note" and name != "description"


def item_of(fields: Fields, *, line: int, source: str = "table") -> Item:
    """Return the item of a row: a reference, a link or a note."""
    privacy = privacy_of(fields.named)
    secret = fields.texts("secret")
    item = _reference(fields, line) or _bookmark(fields, line, source)
    return replace(
        item,
        text="\n\n".join(filter(None, [item.text, *secret])),
        collection_details=_collection_details(fields, item),
        private=True if secret else privacy.private,
        warning=privacy.warning,
    )


def _bookmark(fields: Fields, line: int, source: str) -> Item:
    """Return the item of a row that is a link or a note."""
    url, title, text = fields.first("url"), one_line(fields.first("title")), _text(fields)
    row = fields.first("id") if source == "table" else ""
    if NOTE.fullmatch(url):
        row, url, source = f"{url}\n{title}", "", "note"
    return Item(
        line=line,
        guid=url or row or f"{title}\n{text}",
        source="web" if url else source,
        title="" if title == url else title,
        url=one_line(url),
        text=text,
        tags=_tags(fields),
        collections=_collections(fields),
        added_at=_added(fields, "added", "date"),
    )


def _text(fields: Fields) -> str:
    """Return the owner's notes (or the excerpt) and highlights; highlights of a book come first."""
    own = fields.texts("note") or [fields.first("excerpt")]
    marked = fields.texts("highlight")
    if marked and "url" not in fields.found and (author := fields.first("author")):
        marked.append(f"— {author}")  # a book's author, for whom a note has no other field
    return "\n\n".join(
        filter(None, [*marked, *own] if "url" not in fields.found else [*own, *marked])
    )


def _tags(fields: Fields) -> tuple[str, ...]:
    by_space = "href" in fields.named and "extended" in fields.named  # Delicious and Pinboard
    found = fields.found.get("tags", [])
    return tuple(tag for value in found for tag in tags_of(value, by_space=by_space))


def _collections(fields: Fields) -> tuple[tuple[str, ...], ...]:
    """Return the paths of the row's folders, else the names of its collections."""
    paths = [
        tuple(name for name in PATH.split(folder) if name) for folder in fields.texts("folder")
    ]
    if not any(paths):
        paths = [(name,) for name in fields.texts("collection")]
    return tuple(path for path in paths if path)


def _collection_details(fields: Fields, item: Item) -> Mapping[str, Mapping[str, str]]:
    """Return the visibility of the item's collection in the form of `Item.collection_details`."""
    mark = fields.first("collectionvisibility")
    if not mark or not item.collections:
        return {}
    private = privacy_of({"visibility": mark}).private
    return {
        collection_name(item.collections[0]): {"visibility": "PRIVATE" if private else "PUBLIC"}
    }


def _added(fields: Fields, *names: str) -> Any:
    values = (value for name in names for value in fields.found.get(name, []))
    return next(filter(None, map(moment, values)), None)


def _reference(fields: Fields, line: int) -> Item | None:
    """Return the item of a row that is a reference, or None."""
    if not any(name in fields.found for name in OF_REFERENCES):
        return None
    csl: dict[str, Any] = {name: fields.first(name) for name in TEXTS}
    csl["DOI"] = doi_in(fields.first("DOI")) or fields.first("DOI")
    csl["ISBN"] = next(filter(None, map(_without_excel_quotes, fields.texts("ISBN"))), "")
    csl["note"] = fields.first("extra")  # Zotero's field for everything else
    csl["container-title"] = fields.first("container")
    csl["page"] = DASHES.sub("-", csl["page"])
    csl["type"] = _kind(fields, csl)
    csl["genre"] = "" if normalized(csl["genre"]) in KINDS else csl["genre"]
    if not csl["page"] and (first := fields.first("firstpage")):
        last = fields.first("lastpage")
        csl["page"] = f"{first}-{last}" if last and last != first else first
    authors = fields.found.get("author", [])
    # Of "Ann Roe" and "Roe, Ann" in two columns, the second shows the family name.
    best = fields.named.get("authorfullnames") or fields.named.get("authorlf")
    csl |= people_of(best or next(iter(authors), ""))
    more = (person_of(name) for name in re.split("[,;]", fields.first("moreauthors")))
    csl["author"] = [*csl.get("author", []), *filter(None, more)]
    for role in ("editor", "translator"):
        if people := people_of(fields.first(role)).get("author"):
            csl[role] = people
    dates = [*fields.found.get("date", []), *fields.texts("date", "year")]
    csl["issued"] = next(filter(None, map(issued_of, dates)), None)
    return reference_item(
        line=line,
        fields={name: value for name, value in csl.items() if value},
        url=fields.first("url"),
        # Zotero's notes and Goodreads' reviews are HTML.
        text="\n\n".join(map(plain_text, fields.texts("note", "highlight"))),
        tags=_tags(fields),
        added_at=_added(fields, "added"),
        collections=_collections(fields),
    )


def _without_excel_quotes(text: str) -> str:
    """Return a number without the `="…"` that makes spreadsheets keep it as text."""
    found = EXCEL.fullmatch(text)
    return found.group(1) if found else clean(text)


def _kind(fields: Fields, csl: Mapping[str, Any]) -> str:
    """Return the CSL type of a reference, from its stated type or from the fields it has."""
    kinds = fields.texts("kind", "genre")
    for name in [part for kind in kinds for part in kind.split(";")]:
        if known := KINDS.get(normalized(name)):
            return known
    if csl["container-title"] or csl["ISSN"]:
        return "article-journal"
    return "book" if csl["ISBN"] or "bookshelves" in fields.named else "document"
