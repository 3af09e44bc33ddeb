"""Dates of references, with the precision of their text: year, month or day."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from rest_framework.exceptions import ValidationError

from cards.references import Issued
from imports.files.items import one_line

# `2019`, `2019-05`, `2019/05/07/`. Both separators must be equal, so that a range like
# `2019-05/2019-06` or `2019/2020` matches only its beginning.
NUMBERS = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})(?!\d)(?:\2(\d{1,2})(?!\d))?)?(?!\d)")
COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?!\d)")
# `07.05.2019`, `5/13/2019`: `_numbers` decides which number is the month.
DAY_FIRST = re.compile(r"(?<!\d)(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?!\d)")
MONTH_FIRST = re.compile(r"(?<!\d)(\d{1,2})[./-](\d{4})(?!\d)")
YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)")
WORD = re.compile(r"[^\W\d_]{3,}")
DAY_BEFORE = re.compile(r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|\.|º)?(?:\s+(?:de|of))?[\s~-]*$")
DAY_AFTER = re.compile(r"\.?[\s~]{1,9}(\d{1,2})(?:st|nd|rd|th)?(?![\d:])")
MAX_LENGTH = 200  # characters of a date that are read
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan janvier janv januar jänner enero ene gennaio janeiro januari",
            "february feb febr février fevrier févr februar febrero febbraio fevereiro februari",
            "march mar mars märz maerz mrz marzo março marco maart",
            "april apr avril avr abril abr aprile",
            "may mai mayo maggio maio mei",
            "june jun juin juni junio giugno junho",
            "july jul juillet juil juli julio luglio julho",
            "august aug août aout agosto ago augustus",
            "september sept sep septembre septiembre settembre setembro",
            "october oct octobre oktober okt octubre ottobre outubro",
            "november nov novembre noviembre novembro",
            "december dec décembre decembre déc dezember dez diciembre dic dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}


def date_of(text: str, month: str = "", day: str = "") -> dict[str, Any] | None:
    """Return the date in a text as a CSL-JSON date, or None.

    A range yields its beginning. `month` and `day` complete a text that lacks them; `month` may
    include the day, as in BibTeX's `7~May`.
    """
    parts = _parts(one_line(text)[:MAX_LENGTH], one_line(month)[:MAX_LENGTH], day.strip())
    return {"date-parts": [list(parts)]} if parts else None


@lru_cache(maxsize=4096)
def _parts(text: str, month: str, day: str) -> tuple[int, ...]:
    """Return year, month and day, as far as they are given and form a valid date."""
    parts = _numbers(text) or _words(text)
    if len(parts) == 1 and month:
        parts += _month_and_day(month)
    if len(parts) == 2 and day.isdecimal() and len(day) < 3:
        parts.append(int(day))
    while parts:
        try:
            Issued().to_internal_value({"date-parts": [parts]})
            break
        except ValidationError:
            parts.pop()
    return tuple(parts)


def _numbers(text: str) -> list[int]:
    """Return year, month and day of a date in digits, as far as they are certain."""
    text = text.strip("[]() /.")
    if found := COMPACT.match(text) or NUMBERS.match(text):
        # In `2019 May 7` the month is a word: leave that to _words.
        parts = [found.group(1), *found.groups()[-2:]]
        numbers = [int(part) for part in parts if part]
        return [] if len(numbers) == 1 and WORD.search(text) else numbers
    if found := DAY_FIRST.search(text):
        first, _, second, year = found.groups()
        one, two = int(first), int(second)
        # If both numbers may be months, only the year is certain, unless dots mark day first.
        if found.group(2) == "." or one > 12:
            return [int(year), two, one]
        return [int(year), one, two] if two > 12 else [int(year)]
    if found := MONTH_FIRST.fullmatch(text):
        return [int(found.group(2)), int(found.group(1))]
    return []


def _words(text: str) -> list[int]:
    """Return the year in a text, its month's name as a number, and the day next to that name."""
    found = YEAR.search(text)
    if not found or text.startswith("-"):  # a year BC
        return []
    rest = f"{text[: found.start()]} {text[found.end() :]}"
    named = _month_and_day(rest) if WORD.search(rest) else []
    return [int(found.group(1)), *named]


def _month_and_day(text: str) -> list[int]:
    """Return the month in a text as a number, and the day if one stands next to its name."""
    number = re.match(r"\d{1,2}(?!\d)", text.strip("{}. "))
    if number and not WORD.search(text):
        return [int(number.group())] if 1 <= int(number.group()) <= 12 else []
    for word in WORD.finditer(text):
        if month := MONTHS.get(word.group().lower()):
            day = DAY_BEFORE.search(text[: word.start()]) or DAY_AFTER.match(text[word.end() :])
            return [month, int(day.group(1))] if day else [month]
    return []
