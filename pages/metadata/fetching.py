"""Fetch a page's metadata: obey robots.txt, follow redirects, and skip an unchanged page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outside.errors import Moved, TimedOut, TooManyRedirects, Unreachable, WrongType
from outside.fetcher import HTML, MAX_REDIRECTS, Fetched, Limits, fetch
from pages.metadata import identifiers, robots
from pages.metadata.extraction import extract
from pages.metadata.fields import PageMetadata

SECONDS = 20.0  # the longest time for a page, with all redirects
ACCEPTED = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
    "Accept-Language": "en,*;q=0.5",
}


@dataclass(frozen=True, kw_only=True)
class PageResponse:
    """A server's response for a page; `metadata` is None if the page is unchanged (304)."""

    metadata: PageMetadata | None
    type: str = ""
    size: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def request(canonical: str, *, conditions: Mapping[str, str]) -> PageResponse:
    """Request a page, with conditional headers; raise FetchFailed.

    A canonical URL always has https. If nothing responds there, http is tried.
    """
    try:
        return _request(canonical, conditions)
    except Unreachable:
        return _request(f"http:{canonical.removeprefix('https:')}", conditions)


def _request(url: str, conditions: Mapping[str, str]) -> PageResponse:
    """Request the page at one address, with its redirects; raise FetchFailed."""
    try:
        found = _follow(url, {**ACCEPTED, **conditions})
    except WrongType as other:
        # Not HTML: only its type and size are kept.
        return PageResponse(metadata=metadata_of_address(url), type=other.type, size=other.size)
    if found.is_unchanged:
        return PageResponse(metadata=None, headers=found.headers)
    return PageResponse(
        metadata=extract(found.content, charset=found.charset, url=found.url),
        type=found.type,
        size=len(found.content),
        headers=found.headers,
    )


def metadata_of_address(url: str) -> PageMetadata:
    """Return the metadata that the address alone gives: identifiers in it."""
    found: dict[str, Any] = identifiers.in_url(url)
    return PageMetadata(**found)


def _follow(url: str, headers: Mapping[str, str]) -> Fetched:
    """Fetch an address along its redirects, within SECONDS in all."""
    deadline = time.monotonic() + SECONDS
    visited: set[str] = set()
    for _ in range(MAX_REDIRECTS + 1):
        # Checked at each redirect, because the next site has its own robots.txt.
        robots.require_allowed(url, visited=visited)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOut(f"The redirects took more than {SECONDS:g} s.")
        try:
            return fetch(
                url,
                types=HTML,
                headers=headers,
                limits=Limits(seconds=left),
                follow_redirects=False,
            )
        except Moved as moved:
            url = moved.url
    raise TooManyRedirects(f"There were more than {MAX_REDIRECTS} redirects.")
