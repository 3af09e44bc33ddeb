"""Read lists of addresses or DOIs, one per line; a title may follow an address."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imports.files.bibliography import doi_in
from imports.files.documents import Document
from imports.files.items import Item, Problem, Row, one_line

ADDRESS = re.compile(r"(https?://\S+)(?:\s{1,20}(\S.{0,2000}))?|[A-Za-z][A-Za-z0-9+.-]{0,20}:\S+")
ARXIV = re.compile(r"arxiv:\s{0,3}(\S{4,40})", re.IGNORECASE)
IS_DOI = re.compile(r"(?:doi:\s*|(?:https?://)?(?:dx\.)?doi\.org/)?10\.\d{4,9}/\S+", re.IGNORECASE)
ENTRY = re.compile(
    rf"(?:{IS_DOI.pattern}|{ARXIV.pattern}|https?://\S+(?:\s.{{0,2000}})?)", re.IGNORECASE
)


def read(document: Document) -> Iterator[Row]:
    """Yield the addresses of a list; a DOI or an arXiv id becomes its web address."""
    for number, line in enumerate(document.text.split("\n"), start=1):
        text = line.strip().strip("<>,;")
        if not text or text.startswith("#"):
            continue
        title = ""
        if found := ARXIV.fullmatch(text):
            url = guid = f"https://arxiv.org/abs/{found.group(1)}"
        elif IS_DOI.fullmatch(text):
            doi = doi_in(text)
            url, guid = f"https://doi.org/{doi}", f"doi:{doi.lower()}"
        elif found := ADDRESS.fullmatch(text):
            url = guid = found.group(1) or text
            title = (found.group(2) or "").strip(" |-–—\t")
        else:
            detail = "This is neither an address nor a DOI."
            yield Problem(line=number, code="not_an_address", detail=detail, label=text[:200])
            continue
        yield Item(line=number, guid=guid, title=one_line(title), url=one_line(url))


def matches(document: Document) -> bool:
    """Return whether at least half of the first 20 lines are list entries."""
    lines = [line.strip() for line in document.head.split("\n")[:20]]
    entries = [line for line in lines if line and not line.startswith("#")]
    fitting = sum(bool(ENTRY.fullmatch(line)) for line in entries)
    return bool(entries) and fitting * 2 >= len(entries)
