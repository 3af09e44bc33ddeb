from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime


def moment(text: str) -> datetime:
    """This reads a date or a time; without an offset it is UTC."""
    found = parse_datetime(text)
    if found is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(f"{text!r} is no ISO 8601 date or time.")
        found = datetime(day.year, day.month, day.day)  # noqa: DTZ001  made aware below
    return found if timezone.is_aware(found) else timezone.make_aware(found)
