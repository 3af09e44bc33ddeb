"""Parse dates and times in the many forms that programs write."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
CHROME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,9})?")
# Forms that people and spreadsheets write, without those that leave open which number is the month.
FORMS = (
    "%Y.%m.%d", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M:%S %z",
    "%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%B %d, %Y %I:%M %p", "%B %d, %Y %I:%M:%S %p",
    "%A, %B %d, %Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S UTC", "%d.%m.%Y",
    "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
)  # fmt: skip
# (limit, units per second): a number below the limit counts seconds, milliseconds, microseconds.
SCALES = ((10**11, 1), (10**14, 1_000), (10**17, 1_000_000))


def moment(value: Any) -> datetime | None:
    """Return the UTC time that a text or number gives; None if invalid, before 1970, or future."""
    try:
        if isinstance(value, datetime):
            found = value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = _since_1970(float(value))
        elif isinstance(value, str) and 0 < len(value) < 64:
            found = _of_text(value.strip())
        else:
            return None
        return _possible(found)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def chrome_moment(value: Any) -> datetime | None:
    """Return the UTC time of Chrome's microseconds since 1601; None if invalid or implausible."""
    try:
        return _possible(CHROME_EPOCH + timedelta(microseconds=int(value)))
    except (ValueError, OverflowError, TypeError):
        return None


def _of_text(text: str) -> datetime:
    """Parse a number, an ISO date, one of FORMS, or an email date; raise ValueError."""
    if NUMBER.fullmatch(text):
        return _since_1970(float(text))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in FORMS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - `_possible` sets the time zone
        except ValueError:
            continue
    return parsedate_to_datetime(text)


def _since_1970(number: float) -> datetime:
    """Return the time of a number of seconds, milliseconds or microseconds."""
    for limit, scale in SCALES:
        if abs(number) < limit:
            found = datetime.fromtimestamp(number / scale, UTC)
            # After 2300, the number must count microseconds from 1601, as Chrome does.
            return found if found.year < 2300 else CHROME_EPOCH + timedelta(microseconds=number)
    raise ValueError(number)


def _possible(found: datetime) -> datetime | None:
    """Return a time in UTC, or None if it is before EARLIEST or over a day ahead."""
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found if EARLIEST <= found <= datetime.now(UTC) + timedelta(days=1) else None
