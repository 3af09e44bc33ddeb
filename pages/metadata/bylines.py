"""Find a page's authors and date in its visible elements, for pages whose metadata lacks them.

The tags are scanned once with regular expressions, in linear time: a parser can take minutes on
a hostile page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import NamedTuple

from pages.metadata import cleaning

MAX_HTML = 1_000_000  # characters of the page that are scanned
MAX_RESULTS = 40  # elements with authors, and with dates, that are used
MAX_CANDIDATES = 1_000  # elements whose attributes are read
MAX_TEXT = 600  # characters of an element's text
TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9]{0,20})\b([^<>]{0,1000})>")
CLOSING = re.compile(r"<[^<>]{0,1000}>")
CANDIDATE = re.compile(
    r"author|autor|byline|writer|username|submitted|date|publi|time|posted", re.IGNORECASE
)
ATTRIBUTE = re.compile(
    r"""\b(rel|itemprop|class|id|datetime|content|title|pubdate|data-component|data-testid)"""
    r"""(?:\s?=\s?(?:"([^"]{0,500})"|'([^']{0,500})'|([^\s"'>]{1,500})))?""",
    re.IGNORECASE,
)
# Elements with the authors and dates of other pages, comments or pictures.
OTHER_CONTENT = re.compile(
    r"comment|related|sidebar|quote|recommend|teaser|promo|caption|footer", re.IGNORECASE
)
OTHER_ELEMENTS = ("figure", "aside", "nav", "footer", "blockquote")
AUTHORS = {
    "author", "authors", "byline", "writer", "username", "submitted-by", "autor", "p-author",
    "author-name", "author_name", "authorname", "byline-name", "byline__name", "author__name",
    "post-author", "entry-author", "article-author", "story-author", "news-author", "authorurl",
    "article__author", "post__author", "byline-author", "author-link", "post-author-name",
}  # fmt: skip
AUTHOR_ENDING = re.compile(r"(?:author|autho?r-?name|byline|writer)$", re.IGNORECASE)
DATES = {
    "published", "entry-date", "post-date", "date-published", "pubdate", "article-date", "date",
    "publish-date", "published-date", "post__date", "article__date", "publication-date", "posted",
    "dt-published", "timestamp", "entry-time", "post-time", "datepublished", "byline-date",
    "posted-on", "entry__date", "story-date", "news-date", "updated-date", "created",
}  # fmt: skip
MODIFIED = re.compile(r"modif|update|revis", re.IGNORECASE)
# The end of a name within the text of its element.
AFTER_NAME = re.compile(
    r"\s[—–|·•/]\s|\s(?:from|at|on|in|published|updated|posted)\s|\s(?=[@\d])|[\n(]|\sFor\s"
)


class Element(NamedTuple):
    """An element that may show authors or the date."""

    name: str
    attributes: dict[str, str]
    text: str

    def author_rank(self) -> int:
        """Return how reliably the element marks authors: 1 is best, and 0 means not at all."""
        if "author" in self._words("rel", "itemprop"):
            return 1
        words = self._words("class", "id", "data-component", "data-testid")
        if self.name == "author" or AUTHORS.intersection(words):
            return 2
        return 3 if any(map(AUTHOR_ENDING.search, words)) or self.name == "address" else 0

    def date_rank(self) -> int:
        """Return how reliably the element marks the date: 1 is best, and 0 means not at all."""
        words = self._words("itemprop", "class", "id")
        if any(map(MODIFIED.search, words)):
            return 0
        is_marked = {"datepublished", "pubdate", "datecreated"}.intersection(words)
        if is_marked or "pubdate" in self.attributes:
            return 1
        if "published" in words or "dt-published" in words:
            return 2
        return 3 if self.name == "time" else 4 if DATES.intersection(words) else 0

    def _words(self, *names: str) -> list[str]:
        return [word for name in names for word in self.attributes.get(name, "").lower().split()]

    def date(self) -> str:
        """Return the date that the element gives, or ""."""
        attributes = self.attributes
        values = (attributes.get("datetime"), attributes.get("content"), self.text)
        for value in (*values, attributes.get("title")):
            if value and (date := cleaning.date(value)):
                return date
        return ""


@dataclass(frozen=True)
class Byline:
    """The authors, and the date of publication, that a page's elements show."""

    authors: list[str]
    published: str


def byline_of(html: str) -> Byline:
    """Return the authors and the date from the elements that mark them most reliably."""
    people: list[tuple[int, list[str]]] = []  # names by rank
    dates: list[tuple[int, str]] = []
    for element in _elements(html[:MAX_HTML]):
        if len(people) < MAX_RESULTS and (rank := element.author_rank()):
            people += [(rank, names)] if (names := _names(element.text)) else []
        if len(dates) < MAX_RESULTS and (rank := element.date_rank()):
            dates += [(rank, date)] if (date := element.date()) else []
    return Byline(_best_names(people), min(dates, default=(0, ""), key=lambda pair: pair[0])[1])


def _best_names(people: list[tuple[int, list[str]]]) -> list[str]:
    """Return the names of all elements at rank 1, else of the first element of the best rank."""
    best = min((rank for rank, _ in people), default=0)
    if best == 1:  # pages mark each of several authors
        return cleaning.names(name for rank, found in people if rank == 1 for name in found)
    return next((found for rank, found in people if rank == best), [])


def _elements(html: str) -> Iterator[Element]:
    """Yield the elements that may show authors or the date."""
    skip_until = candidates = 0
    for found in TAG.finditer(html):
        name, raw = found.group(1).lower(), found.group(2)
        if found.start() < skip_until:
            continue
        if name in OTHER_ELEMENTS or OTHER_CONTENT.search(raw):
            # Skip the element's content, if its end tag is near.
            end = html.find(f"</{name}", found.end(), found.end() + 10 * MAX_TEXT)
            skip_until = max(found.end(), end)
        elif name in ("time", "author", "address") or CANDIDATE.search(raw):
            attributes = {
                match.group(1).lower(): match.group(2) or match.group(3) or match.group(4) or ""
                for match in ATTRIBUTE.finditer(raw)
            }
            yield Element(name, attributes, _text(html, name, found.end()))
            candidates += 1
            if candidates == MAX_CANDIDATES:
                return


def _text(html: str, name: str, begin: int) -> str:
    """Return an element's text up to its end tag, at most MAX_TEXT characters of HTML."""
    limit = begin + MAX_TEXT
    end = html.find(f"</{name}", begin, limit)
    part = html[begin : end if end >= 0 else limit]
    # Block elements begin new lines, as readers see them.
    lines = re.sub(r"</?(?:div|p|br|li|time|h\d)\b[^<>]{0,1000}>", "\n", part)
    # Without an end tag, the last tag may be cut off.
    return unescape(CLOSING.sub(" ", lines.rpartition("<")[0] if end < 0 else lines)).strip()


def _names(text: str) -> list[str]:
    """Return the names in an element's text, without labels and other text around them."""
    line = " ".join(text.split("\n", 1)[0].split())
    line = AFTER_NAME.split(cleaning.BY.sub("", line))[0]
    if len(line) > 300:
        return []
    found = cleaning.names(cleaning.split_people([line]))
    return found if all(map(_is_name, found)) else []


def _is_name(name: str) -> bool:
    """Return whether a text looks like a name: 2 to 5 words, no digits, a capital first."""
    words = name.split()
    return 1 < len(words) < 6 and not words[0][0].islower() and not any(map(str.isdigit, name))
