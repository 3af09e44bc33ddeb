"""CSV, as Pocket, Raindrop, Pinboard, Instapaper and spreadsheets write it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cards.downloads import as_written
from cards.imports.documents import Document
from cards.imports.errors import Unreadable
from cards.imports.items import Item, Problem, Row, clean, one_line
from cards.imports.moments import moment

DELIMITERS = (",", ";", "\t", "|")
MOST_COLUMNS = 500
LONGEST_CELL = 200_000
# What the columns are called, the first of a list being the best.
NAMES = {
    "url": ("url", "link", "href", "address", "uri", "website", "given_url", "resolved_url"),
    "title": ("title", "name", "given_title", "resolved_title"),
    "text": ("note", "notes", "text", "extended", "comment", "selection", "excerpt", "description"),
    "tags": ("tags", "tag", "labels", "keywords", "categories"),
    "folder": ("folder", "list"),
    "collection": ("collection", "collections"),
    "added_at": (
        "created", "time_added", "timestamp", "date", "added", "time", "created_at", "added_at",
        "date added",
    ),
    "private": ("private", "visibility", "shared", "public"),
    "id": ("id",),
}  # fmt: skip
# Pinboard calls a title a description.
TITLES = ("title", "name", "given_title", "resolved_title", "description")
PATH = re.compile(r"\s{0,9}/\s{0,9}")
PRIVATE = {
    "private": ("1", "true", "yes", "y"),
    "visibility": ("private",),
    "shared": ("no", "0", "false"),
    "public": ("no", "0", "false"),
}


@dataclass(frozen=True)
class Table:
    """How a file is laid out: what stands between its cells, and which column has what."""

    delimiter: str
    columns: dict[str, int]
    names: dict[str, str]


def layout(document: Document) -> Table | None:
    """This finds the columns by the first line; None if it has no column of addresses."""
    first = document.text.lstrip("\n").split("\n", 1)[0][:LONGEST_CELL]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        header = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error:
        return None
    plain = [one_line(name).lower() for name in header[:MOST_COLUMNS]]
    columns: dict[str, int] = {}
    for what, names in NAMES.items():
        wanted = TITLES if what == "title" else names
        found = next((name for name in wanted if name in plain), None)
        if found is not None and plain.index(found) not in columns.values():
            columns[what] = plain.index(found)
    if "url" not in columns and not {"title", "text"} <= set(columns):
        return None
    return Table(delimiter, columns, {what: plain[place] for what, place in columns.items()})


def read(document: Document) -> Iterator[Row]:
    """This answers the rows of a table."""
    table = layout(document)
    if table is None:
        message = "No column has addresses: the first line must name one `url`."
        raise Unreadable("no_columns", message, line=1)
    csv.field_size_limit(LONGEST_CELL)
    text = document.text.replace("\0", "")
    reader = csv.reader(text.splitlines(keepends=True), delimiter=table.delimiter)
    skip, line = True, 1
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Problem(line=line, code="malformed", detail=f"This row cannot be read: {error}.")
            continue
        if cells is None:
            return
        if skip and any(cells):
            skip = False  # the names of the columns
        elif len(cells) > MOST_COLUMNS:
            detail = f"This row has more than {MOST_COLUMNS} columns."
            yield Problem(line=line, code="too_long", detail=detail)
        elif any(cell.strip() for cell in cells):
            yield item_of(table, cells, line)


def item_of(table: Table, cells: list[str], line: int) -> Item:
    """This answers the item of a row."""
    row = {
        what: clean(as_written(cells[place])) if place < len(cells) else ""
        for what, place in table.columns.items()
    }
    url, title, text = row.get("url", ""), one_line(row.get("title", "")), row.get("text", "")
    folder = tuple(name for name in PATH.split(row.get("folder", "")) if name)
    folder = folder or tuple(filter(None, [row.get("collection", "")]))  # no path: a name
    mark = table.names.get("private", "")
    private = row["private"].lower() in PRIVATE[mark] if row.get("private") else None
    return Item(
        line=line,
        guid=url or row.get("id") or f"{title}\n{text}",
        source="web" if url else "table",
        title="" if title == url else title,
        url=url,
        text=text,
        tags=tuple(re.split(r"[|,]", row.get("tags", ""))),
        collections=(folder,) if folder else (),
        added_at=moment(row.get("added_at", "")),
        private=private,
    )
