"""Read CSV from programs and spreadsheets; field_names.py knows the names of columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from api.downloads import unescape_formula
from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.fields.field_names import FIELD_OF, OF_REFERENCES, normalized
from imports.files.fields.privacy import privacy_of
from imports.files.fields.rows import Fields, item_of
from imports.files.items import Problem, Row, clean, one_line

DELIMITERS = (",", ";", "\t", "|")
MAX_COLUMNS = 500
MAX_CELL = 200_000  # characters
ADDRESS = re.compile(r"\s{0,9}https?://\S+\s{0,9}", re.IGNORECASE)
# Web of Science names columns by two letters.
WOS = {
    "au": "author", "af": "authorfullnames", "ti": "title", "so": "sourcetitle",
    "dt": "documenttype", "de": "authorkeywords", "id": "keywordsplus", "ab": "abstract",
    "di": "doi", "py": "publicationyear", "vl": "volume", "is": "issue", "bp": "startpage",
    "ep": "endpage", "ar": "articlenumber", "sn": "issn", "ei": "eissn", "bn": "isbn",
    "pu": "publisher", "pi": "place", "la": "language", "ct": "conferencetitle", "be": "editors",
    "pm": "pubmedid", "se": "series",
}  # fmt: skip
NO_COLUMNS = "No column has addresses or titles. Name one `url` or `title` in the first line."


@dataclass(frozen=True)
class Table:
    """The layout of a CSV file: its delimiter, its columns, and its first line of data."""

    delimiter: str
    columns: tuple[str, ...]  # names in the form of `normalized`
    header: tuple[str, ...]  # names in the file
    begin: int  # line number of the first row of data

    @property
    def names(self) -> dict[str, str]:
        """Return the file's column name for each recognized field, for a dry run."""
        found: dict[str, str] = {}
        for name, column in zip(self.columns, self.header, strict=True):
            if name in FIELD_OF or _is_mark(name):
                what = FIELD_OF.get(name, "private")
                found.setdefault(API_NAMES.get(what, what), column.lower())
        return found


# The names that the API uses for fields of NAMES.
API_NAMES = {"note": "text", "added": "added_at", "kind": "type", "container": "container-title"}


def _is_mark(name: str) -> bool:
    return privacy_of({name: "private"}).private is not None


def layout(document: Document) -> Table | None:
    """Return the layout of a table, from its header or its first rows; None for no table.

    A table has a column of addresses, or one of titles with another known column.
    """
    text = document.text
    line = 1 + text[: len(text) - len(text.lstrip("\n"))].count("\n")
    rest = text.lstrip("\n")
    first, _, behind = rest.partition("\n")
    delimiters: tuple[str, ...] = DELIMITERS
    if first[:4].lower() == "sep=" and len(first.rstrip()) <= 5:
        delimiters, rest, line = (first[4:5] or "\t",), behind, line + 1
    tables = [_layout_by_header(rest, delimiter, line) for delimiter in delimiters]
    found = [table for table in tables if table and _is_enough(set(table.columns))]
    best = max(found, key=lambda table: (len(table.names), len(table.columns)), default=None)
    return best or _layout_without_header(rest, line)


def _layout_without_header(text: str, line: int) -> Table | None:
    """Return the layout of a table without header: a column of addresses, and one of titles.

    Some cell must contain a space, or a list of addresses with commas would look like a table.
    """
    for delimiter in DELIMITERS:
        try:
            reader = csv.reader(islice(_lines(text[:MAX_CELL]), 20), delimiter=delimiter)
            sample = [cells for cells in reader if any(cells)]
        except csv.Error:
            continue
        widths = {len(cells) for cells in sample}
        if len(widths) != 1 or not 2 <= max(widths) <= 20:
            continue
        columns = list(zip(*sample, strict=True))
        places = [n for n, cells in enumerate(columns) if all(map(ADDRESS.fullmatch, cells))]
        if len(places) != 1 or not any(" " in cell.strip() for cells in sample for cell in cells):
            continue
        names = ["" for _ in columns]
        names[places[0]] = "url"
        names[1 if places[0] == 0 else 0] = "title"
        return Table(delimiter, tuple(names), tuple(names), line)
    return None


def _layout_by_header(text: str, delimiter: str, line: int) -> Table | None:
    """Return the layout of a table whose first row names its columns, or None."""
    try:
        reader = csv.reader(_lines(text[:MAX_CELL]), delimiter=delimiter)
        header = next(reader, [])[:MAX_COLUMNS]
    except csv.Error:
        return None
    columns = tuple(normalized(name) for name in header)
    if {"au", "ti", "so"} <= set(columns):
        columns = tuple(WOS.get(name, "") for name in columns)
    return Table(delimiter, columns, tuple(map(one_line, header)), line + reader.line_num)


def _is_enough(columns: set[str]) -> bool:
    """Return whether columns suffice for a table: addresses, or titles and more."""
    kinds = {FIELD_OF[name] for name in columns if name in FIELD_OF}
    others = {"note", "highlight", "author", *OF_REFERENCES}
    return "url" in kinds or ("title" in kinds and bool(kinds & others))


def _lines(text: str) -> Iterator[str]:
    """Yield lines that end in "\\n" only; `str.splitlines` splits at more characters."""
    begin = 0
    while (end := text.find("\n", begin) + 1) > 0:
        yield text[begin:end]
        begin = end
    yield text[begin:]


def read(document: Document) -> Iterator[Row]:
    """Yield the rows of a table."""
    table = layout(document)
    if table is None:
        raise Unreadable("no_columns", NO_COLUMNS, line=1)
    for line, cells in _rows(document.text.replace("\0", ""), table):
        if isinstance(cells, str):
            yield Problem(line=line, code="malformed", detail=cells)
        elif any(cell.strip() for cell in cells):
            yield _row(table, cells, line)


def _rows(text: str, table: Table) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the line number and cells of each row, or the reason why it cannot be read.

    After a quote that is never closed, reading continues with the next line.
    """
    csv.field_size_limit(MAX_CELL)
    lines = list(_lines(text))
    place = table.begin - 1
    while place < len(lines):
        source = iter(lines[number] for number in range(place, len(lines)))
        reader, begin = csv.reader(source, delimiter=table.delimiter, strict=True), place
        try:
            for cells in reader:
                yield begin + 1, cells
                begin = place + reader.line_num
            return
        except csv.Error as error:
            reason = f"This row cannot be read: {error}. Look for a quote that is not closed."
            yield begin + 1, _parse_leniently(lines[begin], table) or reason
            place = begin + 1


def _parse_leniently(line: str, table: Table) -> list[str] | None:
    """Return the cells of a line with a stray quote, if their number matches the columns."""
    try:
        cells = next(csv.reader([line], delimiter=table.delimiter), [])
    except csv.Error:
        return None
    is_whole = len(cells) == len(table.columns) and not cells[-1].endswith("\n")
    return cells if is_whole else None


def _row(table: Table, cells: list[str], line: int) -> Row:
    """Return the item of a row, or the problem with its number of cells."""
    expected, label = len(table.columns), one_line(table.delimiter.join(cells[:3]))[:200]
    if len(cells) > MAX_COLUMNS:
        detail = f"This row has more than {MAX_COLUMNS} columns."
        return Problem(line=line, code="too_long", detail=detail)
    if any(cell.strip() for cell in cells[expected:]):
        detail = (
            f"This row has {len(cells)} cells, but there are {expected} columns. Put quotes around "
            f"cells that contain `{table.delimiter}`."
        )
        return Problem(line=line, code="malformed", detail=detail, label=label)
    named: list[tuple[str, Any]] = [
        (name, clean(unescape_formula(cell)))
        for name, cell in zip(table.columns, cells, strict=False)
    ]
    missing = table.columns[len(cells) :]
    row = Fields(_by_name(named))
    if missing and ("url" not in row.found or any(map(_is_mark, missing))):
        detail = f"This row has {len(cells)} cells, but there are {expected} columns."
        return Problem(line=line, code="malformed", detail=detail, label=label)
    return item_of(row, line=line)


def _by_name(named: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return values by name; of columns with the same name, the first non-empty value."""
    found: dict[str, Any] = {}
    for name, value in named:
        if name and not found.get(name):
            found[name] = value
    return list(found.items())
