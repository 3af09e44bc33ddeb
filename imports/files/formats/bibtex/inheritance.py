"""Let BibTeX entries inherit fields from the entries that `crossref` and `xdata` name.

The rules are biber's (biblatex manual, appendix B), which agree with BibTeX's for a parent with a
`booktitle`. In addition, the parent's identifiers (DOI, address) are not inherited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_KEYS = 20  # in one field
MAX_GENERATIONS = 10
REFERRING = re.compile(
    r"""\b(?:crossref|xdata)\s*=\s*(?:\{([^{}]{1,1000})\}|"([^"{}]{1,1000})")""", re.IGNORECASE
)
# The names of the parent's title fields in the child.
TITLES = {
    "title": "booktitle", "subtitle": "booksubtitle", "titleaddon": "booktitleaddon",
}  # fmt: skip
OF_PERIODICAL = {"title": "journaltitle", "subtitle": "journalsubtitle"}
VOLUMES = {
    "book", "collection", "proceedings", "reference", "inbook", "incollection", "inproceedings",
    "inreference",
}  # fmt: skip
# Fields that are not inherited.
OWN = {
    "crossref", "xref", "xdata", "ids", "entryset", "entrysubtype", "label", "options", "related",
    "sortkey", "sorttitle", "shorttitle", "shorthand", "doi", "url", "urldate", "eprint",
    "eprinttype", "archiveprefix", "pmid", "pages", "pagetotal", "abstract", "note", "annote",
    "annotation", "keywords", "file", "comment", "review", "key", "title", "subtitle",
    "titleaddon", "type",
}  # fmt: skip
DATES = {"date", "year", "month", "day"}


@dataclass
class Entry:
    """An entry of the file, with its line, and with macros replaced by their values."""

    kind: str
    fields: dict[str, str]
    line: int = 0


@dataclass
class Family:
    """The entries that others refer to, by lower-case key; `completed_fields` is a cache."""

    parents: dict[str, Entry] = field(default_factory=dict)
    completed_fields: dict[str, dict[str, str]] = field(default_factory=dict)

    def completed(self, entry: Entry, depth: int = 0) -> dict[str, str]:
        """Return the fields of an entry, including inherited ones."""
        found = dict(entry.fields)
        for key in keys_in(entry.fields.get("xdata", "")):
            found = self._parent(key, depth).fields | found
        for key in keys_in(entry.fields.get("crossref", ""))[:1]:
            inherited = _handed_down(self._parent(key, depth), entry.kind)
            if DATES & set(found):
                inherited = {n: v for n, v in inherited.items() if n not in DATES}
            found = inherited | {name: value for name, value in found.items() if value}
        return found

    def _parent(self, key: str, depth: int) -> Entry:
        """Return a parent with its completed fields; an empty entry if it is missing."""
        parent = self.parents.get(key)
        if parent is None:
            return Entry("", {})
        if key not in self.completed_fields and depth < MAX_GENERATIONS:
            # Ends the recursion if parents form a cycle.
            self.completed_fields[key] = parent.fields
            self.completed_fields[key] = self.completed(parent, depth + 1)
        return Entry(parent.kind, self.completed_fields.get(key, parent.fields))


def _handed_down(parent: Entry, child: str) -> dict[str, str]:
    """Return the fields that a child of type `child` inherits from a parent."""
    kind, fields = parent.kind, parent.fields
    found = {name: value for name, value in fields.items() if name not in OWN}
    titles: Mapping[str, str] = {}
    if kind == "periodical":
        titles = OF_PERIODICAL
    elif kind.startswith("mv") and child in VOLUMES:
        titles = {"title": "maintitle", "subtitle": "mainsubtitle"}
    elif child.startswith(("in", "supp", "bookin")) or child == "conference":
        titles = TITLES
    for name, target in titles.items():
        if fields.get(name):
            found.setdefault(target, fields[name])
    return found


def keys_in(text: str) -> list[str]:
    """Return the entry keys in a field, in lower case."""
    return [key.strip().lower() for key in text.split(",")[:MAX_KEYS] if key.strip()]


def keys_referred_to(text: str) -> set[str]:
    """Return the keys to which any entry of a file refers, in lower case."""
    found = (first or second for first, second in REFERRING.findall(text))
    return {key for named in found for key in keys_in(named)}
