"""How long a fetched page counts as fresh (RFC 9111), at least 30 and at most 180 days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MIN_LIFETIME = timedelta(days=30)  # whatever the headers say, because metadata changes rarely
MAX_LIFETIME = timedelta(days=180)
MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,12})", re.IGNORECASE)
SHARED_MAX_AGE = re.compile(r"(?:^|[\s,])s-maxage=\"?([0-9]{1,12})", re.IGNORECASE)


def expiry(headers: Mapping[str, str], *, now: datetime) -> datetime:
    """Return when to fetch a page again, from the headers of its response."""
    control = headers.get("Cache-Control", "")[:1000]
    if found := SHARED_MAX_AGE.search(control) or MAX_AGE.search(control):
        wanted = timedelta(seconds=min(int(found.group(1)), MAX_LIFETIME.total_seconds()))
    else:
        wanted = _until(headers.get("Expires", ""), now)
    return now + min(max(wanted, MIN_LIFETIME), MAX_LIFETIME)


def _until(text: str, now: datetime) -> timedelta:
    """Return the time left until an `Expires` date; zero if it is missing or malformed."""
    try:
        moment = parsedate_to_datetime(text[:100])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return timedelta()


def validators(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the ETag and Last-Modified of a response; empty strings if missing or malformed."""
    tag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    return (
        tag if re.fullmatch(r"(?:W/)?\"[\x21\x23-\x7e]{0,490}\"", tag) else "",
        modified if re.fullmatch(r"[A-Za-z0-9 ,:+-]{1,100}", modified) else "",
    )


def conditions(etag: str, last_modified: str) -> dict[str, str]:
    """Return the headers of a conditional request: respond with the page only if it changed."""
    wanted = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    return {name: value for name, value in wanted.items() if value}
