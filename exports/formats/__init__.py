"""The export formats by name, and the function that writes each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from exports.entries import Selection
from exports.formats import bibtex, html, json_files, opml, ris, tables


@dataclass(frozen=True)
class Format:
    """An export format: file suffix, media type, and the function that yields the file's parts."""

    suffix: str
    type: str
    write: Callable[[Selection], Iterator[str]]


FORMATS = {
    "json": Format("json", "application/json", json_files.commonplace),
    "bibtex": Format("bib", "application/x-bibtex", bibtex.write),
    "ris": Format("ris", "application/x-research-info-systems", ris.write),
    "csl": Format("csl.json", "application/vnd.citationstyles.csl+json", json_files.csl),
    "html": Format("html", "text/html", html.write),
    "csv": Format("csv", "text/csv", tables.write),
    "opml": Format("opml", "text/x-opml", opml.write),
}
