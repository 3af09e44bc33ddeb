"""Parsers of command-line options: times, ages, limits, counts and rates."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime


def moment(text: str) -> datetime:
    """Return an ISO 8601 date or time as a datetime: in UTC if the text has no offset."""
    try:
        found, day = parse_datetime(text), parse_date(text)
    except ValueError:  # in the right form, but no such day
        found = day = None
    if found is None:
        if day is None:
            raise ArgumentTypeError(f"{text!r} is not an ISO 8601 date or time.")
        found = datetime(day.year, day.month, day.day)  # noqa: DTZ001  made aware below
    return found if timezone.is_aware(found) else timezone.make_aware(found)


UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# PostgreSQL can't subtract much longer ages from the present time.
LONGEST_AGE_SECONDS = 1_000 * 366 * 86_400
LARGEST = 1_000_000_000  # PostgreSQL refuses numbers of more than 64 bits


def age(text: str) -> timedelta:
    """Return an age such as `90s`, `30m`, `12h` or `7d` as a duration."""
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not number.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not an age: give one as 90s, 30m, 12h or 7d.")
    seconds = int(number) * UNITS[unit]
    if seconds > LONGEST_AGE_SECONDS:
        raise ArgumentTypeError(f"{text!r} is too long: give an age as 90s, 30m or 7d.")
    return timedelta(seconds=seconds)


def limit(text: str) -> tuple[int, int]:
    """Return a limit such as `100/60` as (calls, seconds); `none` is (0, 60), no limit."""
    if text == "none":
        return 0, 60
    count, _, seconds = text.partition("/")
    if not (count.isdecimal() and seconds.isdecimal() and int(count) and int(seconds)):
        raise ArgumentTypeError(
            f"{text!r} is not a limit: give calls/seconds as 100/60, or none for no limit."
        )
    return int(count), int(seconds)


def positive(text: str) -> int:
    """Parse a whole number from 1 to LARGEST; raise ArgumentTypeError for any other text."""
    if not text.isdecimal() or not 1 <= int(text) <= LARGEST:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {LARGEST:,}.")
    return int(text)


def pace(text: str) -> float:
    """Parse a rate, in deliveries a second for each handler; raise ArgumentTypeError if it is none.

    Without the option, replays have no limit; so infinity is refused as a mistake.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 0 < rate < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a rate: give a finite number above 0.")
    return rate
