"""For how long what a server answered is taken to be so (RFC 9111), within bounds of our own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# What a page says of itself changes rarely; nobody is asked more often than this, or never again.
LEAST, MOST = timedelta(days=30), timedelta(days=180)
MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,12})", re.IGNORECASE)
SHARED_MAX_AGE = re.compile(r"(?:^|[\s,])s-maxage=\"?([0-9]{1,12})", re.IGNORECASE)


def expiry(headers: Mapping[str, str], *, now: datetime) -> datetime:
    """Return when a page is to be asked for again."""
    control = headers.get("Cache-Control", "")[:1000]
    if found := SHARED_MAX_AGE.search(control) or MAX_AGE.search(control):
        wanted = timedelta(seconds=min(int(found.group(1)), MOST.total_seconds()))
    else:
        wanted = _until(headers.get("Expires", ""), now)
    return now + min(max(wanted, LEAST), MOST)


def _until(text: str, now: datetime) -> timedelta:
    try:
        moment = parsedate_to_datetime(text[:100])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return timedelta()


def validators(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the tag and the date by which the server knows what it sent."""
    tag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    return (
        tag if re.fullmatch(r"(?:W/)?\"[\x21\x23-\x7e]{0,490}\"", tag) else "",
        modified if re.fullmatch(r"[A-Za-z0-9 ,:+-]{1,100}", modified) else "",
    )


def conditions(etag: str, last_modified: str) -> dict[str, str]:
    """Return the headers that ask for a page only if it has changed."""
    wanted = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    return {name: value for name, value in wanted.items() if value}
