"""Which formats there are, and what writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cards.exports.entries import Selection
from cards.exports.formats import bibtex, html, json_files, opml, ris, tables


@dataclass(frozen=True)
class Format:
    """A format: the end of its files' names, their type, and what writes them."""

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
