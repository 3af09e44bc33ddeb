"""Extract a page's metadata from its HTML, preferring the most exact vocabulary.

The most exact comes first: `citation_…` of scholarly publishers (called Highwire), Dublin Core,
OpenGraph, JSON-LD, plain HTML.
https://scholar.google.com/intl/en/scholar/inclusion.html#indexing, https://www.dublincore.org/,
https://ogp.me/, https://json-ld.org/
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from selectolax.lexbor import LexborHTMLParser

from pages import limits
from pages.metadata import cleaning, identifiers, linked_data
from pages.metadata.bylines import Byline, byline_of
from pages.metadata.charsets import decoded
from pages.metadata.fields import DESCRIPTION_LENGTH, SHORT_LENGTH, PageMetadata
from pages.metadata.picking import metadata_html
from pages.metadata.vocabularies import (
    AUTHOR_LIST,
    DUBLIN_CORE,
    HIGHWIRE,
    IDENTIFIERS,
    JSON_LD,
    JSON_LD_WHOLES,
    OPEN_GRAPH,
    PLAIN,
)

TEXTS = ("description", "site", "modified", "journal", "publisher", "volume", "issue")
ADDRESSES = ("image", "pdf", "canonical")
LENGTHS = {
    "title": limits.TITLE_LENGTH,
    "description": DESCRIPTION_LENGTH,
    "volume": 50,
    "issue": 50,
}
# The date that many sites put into their addresses.
DATED = re.compile(r"/((?:19|20)[0-9]{2})[/-]((?:0?[1-9]|1[0-2])(?:[/-][0-3]?[0-9])?)(?=[/_-])")


def extract(content: bytes, *, charset: str | None, url: str) -> PageMetadata:
    """Return the metadata of the HTML page at an address. No content makes it raise."""
    return _Page(decoded(content, charset), url).metadata()


class _Page:
    """The metadata elements of one page, grouped by kind, and the rules for each field."""

    def __init__(self, html: str, url: str) -> None:
        """Parse the metadata elements: meta, link, h1, title and JSON-LD scripts."""
        self.url, self.html = url, html
        tree = LexborHTMLParser(metadata_html(html), scripting=True)
        self.meta: dict[str, list[str]] = defaultdict(list)
        for node in tree.css("meta"):
            meta = node.attributes
            if name := meta.get("name") or meta.get("property") or meta.get("itemprop"):
                content = meta.get("content") or meta.get("value") or ""
                self.meta[_normalized_name(name)].append(content)
        self.links = [node.attributes for node in tree.css("link")]
        self.headings = [cleaning.text(node.text(), limits.TITLE_LENGTH) for node in tree.css("h1")]
        title = tree.css_first("title")
        self.window_title = cleaning.text(title.text(), limits.TITLE_LENGTH) if title else ""
        scripts = [node.text() for node in tree.css("script")]
        self.work = linked_data.main_work(scripts)

    def metadata(self) -> PageMetadata:
        """Return all metadata that the page contains."""
        named = identifiers.in_url(self.url)
        found = {kind: self.identifier(kind) or named.get(kind, "") for kind in IDENTIFIERS}
        if in_arxiv := identifiers.arxiv(found["doi"]):
            found["arxiv"] = found["arxiv"] or in_arxiv
        return PageMetadata(
            title=self.title(),
            authors=self.authors(),
            pages=self.pages(),
            pdf=self.first("pdf") or self.linked("alternate", "application/pdf"),
            canonical=self.linked("canonical") or self.first("canonical"),
            image=self.first("image") or self.linked("image_src"),
            published=self.published(),
            is_reference=self.is_reference(),
            **{name: self.first(name) for name in TEXTS},
            **found,
        )

    def first(self, name: str) -> str:
        """Return the first valid value of a field, cleaned."""
        found = (self.cleaned(name, value) for value in self.values(name))
        return next(filter(None, found), "")

    def values(self, name: str) -> Iterator[str]:
        """Yield all raw values of a field, from the most exact vocabulary to the least."""
        yield from self.meta_values(name, HIGHWIRE, DUBLIN_CORE, OPEN_GRAPH)
        yield from self.work_values(name)
        yield from self.meta_values(name, PLAIN)

    def meta_values(self, name: str, *vocabularies: dict[str, tuple[str, ...]]) -> Iterator[str]:
        """Yield the raw values of a field in `meta` elements of some vocabularies."""
        for vocabulary in vocabularies:
            for key in vocabulary.get(name, ()):
                yield from self.meta.get(key, ())

    def work_values(self, name: str) -> Iterator[str]:
        """Yield the raw values of a field in JSON-LD."""
        for key, parts in JSON_LD.get(name, ()):
            yield from linked_data.texts(self.work.get(key), *parts)
        if kind := JSON_LD_WHOLES.get(name):
            yield linked_data.container_name(self.work, kind)

    def cleaned(self, name: str, value: str) -> str:
        """Return a value cleaned by its field's rules; an empty string if it is invalid."""
        if name in ADDRESSES:
            return cleaning.address(value, self.url)
        if name in {"published", "modified"}:
            return cleaning.date(value)
        return cleaning.prose(value, LENGTHS.get(name, SHORT_LENGTH))

    def published(self) -> str:
        """Return the publication date: the first one found, or a more exact one of the same year.

        Many sites write the first of January if they know only the year.
        """
        stated = [self.cleaned("published", value) for value in self.values("published")]
        found = [date for date in (*stated, self.date_in_url()) if date]
        first = next(iter(found), "")
        if len(first) < 10 and not self.is_reference():
            found.append(self.byline.published)
            first = first or self.byline.published
        if len(first) != 4 and not first.endswith("-01-01"):
            return first
        exact = (date for date in found if date[:4] == first[:4] and len(date) > 4)
        return next((date for date in exact if not date.endswith("-01-01")), first)

    @cached_property
    def byline(self) -> Byline:
        """Return authors and date from visible elements, for fields that the metadata lacks."""
        return byline_of(self.html)

    def linked(self, relation: str, type: str | None = None) -> str:
        """Return the address of the first valid `link` with a relation and, if given, a type."""
        places = (
            link.get("href")
            for link in self.links
            if relation in (link.get("rel") or "").lower().split()
            and (type is None or (link.get("type") or "").lower() == type)
        )
        kept = (cleaning.address(place, self.url) for place in places)
        return next(filter(None, kept), "")

    def identifier(self, kind: str) -> str:
        """Return the page's identifier of a kind, from its metadata.

        The text is not searched, because identifiers there mostly belong to other works.
        """
        read = identifiers.READERS[kind]
        values = (value for name in IDENTIFIERS[kind] for value in self.meta.get(name, ()))
        return next((found for value in values if (found := read(value))), "") or (
            linked_data.identifier(self.work, kind)
        )

    def title(self) -> str:
        """Return the title, without the site's name that many pages add to it."""
        if exact := next(filter(None, map(self._title, self._exact_titles())), ""):
            return exact
        titles = (*self.meta_values("title", OPEN_GRAPH), *self.work_values("title"))
        plain = (*self.meta_values("title", PLAIN), self.window_title, *self.headings)
        for value in titles + plain:
            if title := self._title(value):
                return self.without_site(title)
        return ""

    def _exact_titles(self) -> Iterable[str]:
        return self.meta_values("title", HIGHWIRE, DUBLIN_CORE)

    def _title(self, value: str) -> str:
        return cleaning.prose(value, limits.TITLE_LENGTH)

    def without_site(self, title: str) -> str:
        """Return a title without the name of its site, which many pages put at either end.

        One end is the site's name if it matches the site, or if the other end is a heading.
        """
        sites = {site.lower() for site in (self.site, *self._hosts()) if site}
        for separator in cleaning.SEPARATORS:
            head, found, tail = map(str.strip, title.rpartition(separator))
            is_place = "/" in tail and self.url.endswith(f"/{tail}")
            if found and head and (_is_site_name(tail, sites) or is_place or head in self.headings):
                return head
            head, found, tail = map(str.strip, title.partition(separator))
            if found and tail and (_is_site_name(head, sites) or tail in self.headings):
                return tail
        return title

    @cached_property
    def site(self) -> str:
        """Return the site's name, or an empty string; cached, because it is compared often."""
        return self.first("site")

    def _hosts(self) -> list[str]:
        host = self.url.partition("://")[2].partition("/")[0].removeprefix("www.")
        return [host, host.partition(".")[0]]

    def authors(self) -> list[str]:
        """Return the authors from the first vocabulary that names any."""
        return (
            self._authors_in(HIGHWIRE)
            or self._listed_authors()
            or self._authors_in(DUBLIN_CORE)
            or self._people(self.meta_values("authors", OPEN_GRAPH))
            or self._people(linked_data.authors(self.work))
            or self._people(self.meta_values("authors", PLAIN))
            or self._people(self.byline.authors)
        )

    def _authors_in(self, vocabulary: dict[str, tuple[str, ...]]) -> list[str]:
        names = self._split(self.meta_values("authors", vocabulary))
        return cleaning.names(names, family_first=True)

    def _people(self, values: Iterable[str]) -> list[str]:
        """Return people's names, without the site's name, which many pages give as author."""
        found = cleaning.names(cleaning.split_people(values))
        return [name for name in found if not self._is_site(name)]

    def _is_site(self, name: str) -> bool:
        """Return whether a name is the site's; false for a personal site's owner."""
        plain, site = name.casefold(), self.site.casefold()
        if plain in (site, *self._hosts()):
            return not cleaning.looks_like_a_person(name)
        # In scripts without spaces, a publisher's name begins like its site's name.
        begins = site.split()[:1] if site and not site.isascii() else []
        return any(len(part) > 3 and part in plain for part in (site, *begins))

    def _listed_authors(self) -> list[str]:
        listed = map(cleaning.initials_first, self._split(self.meta_values("authors", AUTHOR_LIST)))
        return cleaning.names(listed, family_first=True)

    def _split(self, values: Iterable[str]) -> Iterator[str]:
        for value in values:
            yield from value[: cleaning.MAX_LENGTH].split(";")

    def date_in_url(self) -> str:
        """Return the date in the page's address, or in its canonical address."""
        found = DATED.search(self.url) or DATED.search(self.first("canonical"))
        return cleaning.date("-".join(found.groups()).replace("/", "-")) if found else ""

    def pages(self) -> str:
        """Return the page range in the journal, for example `12-34`."""
        first, last = (
            next(
                (cleaning.text(value, 20) for value in self.meta.get(f"citation_{end}page", ())), ""
            )
            for end in ("first", "last")
        )
        return f"{first}-{last}" if first and last and first != last else first

    def is_reference(self) -> bool:
        """Return whether citation_… or Dublin Core give a title, authors and a date."""
        people = self.meta_values("authors", HIGHWIRE, DUBLIN_CORE)
        dates = self.meta_values("published", HIGHWIRE, DUBLIN_CORE)
        return (
            any(map(self._title, self._exact_titles()))
            and bool(cleaning.names(people))
            and any(map(cleaning.date, dates))
        )


def _normalized_name(name: str) -> str:
    """Return the name of a `meta` element in the spelling of the vocabulary tables."""
    name = name.strip().lower()
    # Some sites write Dublin Core and PRISM names with other separators.
    return re.sub("[:_]", ".", name) if name.startswith(("dc", "prism")) else name


def _is_site_name(text: str, sites: set[str]) -> bool:
    """Return whether a part of a title is the site's name, or begins with it and is short."""
    words = text.lower().split()
    return bool(words) and (" ".join(words) in sites or (len(words) <= 3 and words[0] in sites))
