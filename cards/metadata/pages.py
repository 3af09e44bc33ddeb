"""How a page is asked for: where its site allows it, along redirects, and only if it changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cards.metadata import identifiers, robots
from cards.metadata.extraction import PageMetadata, extract
from outside.errors import Moved, TooManyRedirects, TooSlow, Unreachable, WrongType
from outside.fetcher import HTML, MOST_REDIRECTS, Fetched, Limits, fetch

SECONDS = 20.0  # for a page, with all redirects
LANGUAGE = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
    "Accept-Language": "en,*;q=0.5",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server says of a page; no `metadata` if it is what it was before."""

    metadata: PageMetadata | None
    type: str = ""
    size: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def ask(canonical: str, *, conditions: Mapping[str, str]) -> Answer:
    """Ask for a page; raise FetchFailed.

    A canonical URL has https, whatever people gave; a site that doesn't have it is asked without.
    """
    try:
        return _answer(canonical, conditions)
    except Unreachable:
        return _answer(f"http:{canonical.removeprefix('https:')}", conditions)


def _answer(url: str, conditions: Mapping[str, str]) -> Answer:
    try:
        found = _follow(url, {**LANGUAGE, **conditions})
    except WrongType as other:
        # No HTML: what it is and how large it is is all that is wanted of it.
        return Answer(metadata=of_address(url), type=other.type, size=other.size)
    if found.is_unchanged:
        return Answer(metadata=None, headers=found.headers)
    return Answer(
        metadata=extract(found.content, charset=found.charset, url=found.url),
        type=found.type,
        size=len(found.content),
        headers=found.headers,
    )


def of_address(url: str) -> PageMetadata:
    """Return what a page's address alone says of the work on it."""
    named: dict[str, Any] = identifiers.of_address(url)
    return PageMetadata(**named)


def _follow(url: str, headers: Mapping[str, str]) -> Fetched:
    deadline = time.monotonic() + SECONDS
    visited: set[str] = set()
    for _ in range(MOST_REDIRECTS + 1):
        # At each step: the site that it leads to has rules of its own.
        robots.require_allowed(url, visited=visited)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TooSlow(f"The redirects took more than {SECONDS:g} s.")
        try:
            return fetch(
                url, types=HTML, headers=headers, limits=Limits(seconds=left), follow=False
            )
        except Moved as moved:
            url = moved.url
    raise TooManyRedirects(f"There were more than {MOST_REDIRECTS} redirects.")
