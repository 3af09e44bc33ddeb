from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime


def moment(text: str) -> datetime:
    """Read a date or a time; without an offset it is UTC."""
    found = parse_datetime(text)
    if found is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(f"{text!r} is no ISO 8601 date or time.")
        found = datetime(day.year, day.month, day.day)  # noqa: DTZ001  made aware below
    return found if timezone.is_aware(found) else timezone.make_aware(found)


UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def age(text: str) -> timedelta:
    """Read how long ago something was, as `90s`, `30m`, `12h` or `7d`."""
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not number.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no age: say it as 90s, 30m, 12h or 7d.")
    try:
        return timedelta(**{UNITS[unit]: int(number)})
    except OverflowError:
        raise ArgumentTypeError(f"{text!r} is too long ago: say it as 90s, 30m or 7d.") from None


def limit(text: str) -> tuple[int, int]:
    """Read so many in so many seconds, as `100/60`; `none` is no limit: 0."""
    if text == "none":
        return 0, 60
    count, _, seconds = text.partition("/")
    if not (count.isdecimal() and seconds.isdecimal() and int(count) and int(seconds)):
        raise ArgumentTypeError(
            f"{text!r} is no limit: say calls/seconds as 100/60, or none for no limit."
        )
    return int(count), int(seconds)


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no number of at least 1.")
    return int(text)
