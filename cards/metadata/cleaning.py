"""Texts, names, dates and addresses of pages, in a form that is safe to keep and to show."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

import ada_url

from cards import limits

NAME_LENGTH = 200
LONGEST = 20_000  # characters of a value that are looked at
SPACES = re.compile(r"\s+")
# Control characters, halves of surrogate pairs, and what turns the direction of the text around it.
HARMFUL = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
TAGS = re.compile(r"<[a-zA-Z/!][^<>]{0,1000}>")

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = rf"({'|'.join(MONTHS)})[a-z]{{0,6}}\.?"
NUMERIC = re.compile(
    r"([0-9]{4})(?:[-/.年](0?[1-9]|1[0-2])(?:[-/.月](0?[1-9]|[12][0-9]|3[01]))?)?(?![0-9])"
)
COMPACT = re.compile(r"([12][0-9]{3})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?![0-9])")
YEAR_FIRST = re.compile(rf"([0-9]{{4}}) {_MONTH}(?:[ -]([0-3]?[0-9])\b)?", re.IGNORECASE)
# As `31/07/1945` and `07/1945`; which of two is the day may be unknown.
SLASHES = re.compile(r"(?:([0-3]?[0-9])/)?([0-3]?[0-9])/([12][0-9]{3})\b")
DAY_FIRST = re.compile(
    rf"(?:\w{{1,20}},? )?([0-3]?[0-9])(?:st|nd|rd|th)?[ -]{_MONTH},?[ -]([0-9]{{4}})\b",
    re.IGNORECASE,
)
MONTH_FIRST = re.compile(
    rf"(?:\w{{1,20}},? )?{_MONTH} (?:([0-3]?[0-9])(?:st|nd|rd|th)?,? )?([0-9]{{4}})\b",
    re.IGNORECASE,
)

# What stands where authors' names should be, and is none.
NOBODY = re.compile(
    r"https?:|^@|^\S+\.[a-z]{2,6}$|www\."
    r"|\b(?:unknown|n/a|none|null|undefined|admin(?:istrator)?|staff writer)$",
    re.IGNORECASE,
)
INITIALS = re.compile(r"[A-Z]{1,4}")
NOT_A_CAPITAL = re.compile(r"[^\W\d_A-Z]")
HOUSE = re.compile(r", [A-Z]{2,5}$")  # as in "…, CNN"
BY = re.compile(r"^(?:by|von|par|por|de autor|author|authors)\b[:\s]+", re.IGNORECASE)


def text(value: object, length: int) -> str:
    """This answers a value as one line of text, or nothing if it is no text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    line = str(value)[:LONGEST]
    if "&" in line:
        # Encoded twice, which is common; once more would be wrong more often than right.
        line = html.unescape(line)
    line = SPACES.sub(" ", HARMFUL.sub("", line)).strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def prose(value: object, length: int) -> str:
    """This answers a value as text, without the tags that descriptions have at times."""
    return text(TAGS.sub(" ", html.unescape(str(value)[:LONGEST])), length) if value else ""


def name(value: object, *, family_first: bool = False) -> str:
    """This answers a person's name, the given one first, or nothing if it is none."""
    line = BY.sub("", prose(value, NAME_LENGTH)).strip(" ,;|·")
    if not line or NOBODY.search(line) or not any(map(str.isalpha, line)):
        return ""
    family, comma, given = line.partition(", ")
    if family_first and comma and "," not in given:
        return f"{given} {family}"
    return HOUSE.sub("", line)


def initials_first(line: str) -> str:
    """Return a name as PubMed writes it (`Crick FH`) in the order of others."""
    family, _, initials = line.strip().rpartition(" ")
    if "," in family or not (INITIALS.fullmatch(initials) and NOT_A_CAPITAL.search(family)):
        return line
    return f"{'. '.join(initials)}. {family}"


def names(values: Iterable[object], *, family_first: bool = False) -> list[str]:
    """This answers people's names, each once, as many as are kept."""
    found: dict[str, None] = {}
    for value in values:
        if kept := name(value, family_first=family_first):
            found.setdefault(kept)
        if len(found) == limits.REFERENCE_PEOPLE:
            break
    return list(found)


def date(value: object) -> str:
    """This answers a date as `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, as exact as it is; or nothing."""
    line = text(value, 100).lower()
    if found := COMPACT.match(line) or YEAR_FIRST.match(line) or NUMERIC.match(line):
        year, month, day = found.groups()
    elif found := DAY_FIRST.match(line):
        day, month, year = found.groups()
    elif found := MONTH_FIRST.match(line):
        month, day, year = found.groups()
    elif found := SLASHES.match(line):
        month, day, year = _sorted_out(*found.groups())
    else:
        return ""
    if month in MONTHS:
        month = MONTHS.index(month) + 1
    parts = [int(part) for part in (year, month, day) if part]
    if not 1000 <= parts[0] <= 2999 or (len(parts) == 3 and not 1 <= parts[2] <= 31):
        return ""
    return "-".join(f"{part:02d}" for part in parts)


def _sorted_out(first: str | None, second: str, year: str) -> tuple[str, str, str]:
    """This answers month, day and year of a date with slashes; nothing for what can't be told."""
    numbers = [number.zfill(2) for number in (first, second) if number]
    months = {number for number in numbers if "01" <= number <= "12"}
    if len(months) != 1:
        return "", "", year
    month = months.pop()
    numbers.remove(month)
    return month, "".join(numbers), year


def address(value: object, base: str) -> str:
    """This answers an address on the web, absolute and without credentials, or nothing."""
    if not isinstance(value, str) or not 0 < len(value) <= limits.LINK_LENGTH:
        return ""
    try:
        parsed = ada_url.URL(HARMFUL.sub("", value).strip(), base)
    except ValueError:
        return ""
    if parsed.protocol not in ("http:", "https:") or parsed.username or parsed.password:
        return ""
    whole = str(parsed.href)
    return whole if len(whole) <= limits.LINK_LENGTH else ""
