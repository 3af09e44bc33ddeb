"""Clean up texts, names, dates and addresses from pages, so that they are safe to show."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from itertools import islice

import ada_url

from pages import limits

NAME_LENGTH = 200  # characters
MAX_LENGTH = 20_000  # characters of a value that are read
MAX_NAMES = 2_000
SPACES = re.compile(r"\s+")
# Control characters, lone surrogates, and characters that reverse the direction of text.
HARMFUL = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
TAGS = re.compile(r"<[a-zA-Z/!][^<>]{0,1000}>")

# Separators between a title and the name of its site. Those of Chinese and Japanese pages need no
# spaces around them.
CJK_SEPARATORS = ("｜", "－", "：", "、", "︱", "│", "丨", "＿", "|")
SEPARATORS = (
    *CJK_SEPARATORS,
    *(f" {sign} " for sign in ("|", "-", "--", "–", "—", "·", "•", "»", "«", ":", "::")),
    "-",
    "_",
)

# The beginnings of month names in common languages, and the number of each month.
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan ene gen", "feb fév fev", "mar mär mrt", "apr avr abr", "may mai mag mei",
            "juin jun giu", "juil jul lug", "aug aoû ago", "sep set", "oct okt ott out",
            "nov", "dec dez dic déc",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
# `date` searches in lower case: with IGNORECASE, a Turkish `ı` would match `i`, but is no month's.
_MONTH = rf"({'|'.join(MONTHS)})[^\W\d_]{{0,8}}\.?"
NUMERIC = re.compile(
    r"([0-9]{4})(?:[-/.年](0?[1-9]|1[0-2])(?:[-/.月](0?[1-9]|[12][0-9]|3[01]))?)?(?![0-9])"
)
COMPACT = re.compile(r"([12][0-9]{3})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?![0-9])")
YEAR_FIRST = re.compile(rf"([0-9]{{4}}) {_MONTH}(?:[ -]([0-3]?[0-9])\b)?")
# `31/07/1945` and `07/1945`. The day may come first or second.
SLASHES = re.compile(r"(?:([0-3]?[0-9])/)?([0-3]?[0-9])/([12][0-9]{3})\b")
# `31.07.1945`: with dots, the day comes first.
DOTS = re.compile(r"([0-3]?[0-9])\. ?(0?[1-9]|1[0-2])\. ?([12][0-9]{3})\b")
DAY_FIRST = re.compile(
    rf"(?:\w{{1,20}},? )?([0-3]?[0-9])(?:st|nd|rd|th|er|\.|º)?[ -](?:de )?{_MONTH},?[ -]"
    r"(?:de )?([0-9]{4})\b"
)
MONTH_FIRST = re.compile(
    rf"(?:\w{{1,20}},? )?{_MONTH} (?:([0-3]?[0-9])(?:st|nd|rd|th)?,? )?([0-9]{{4}})\b"
)
PUBLISHED = re.compile(
    r"^(?:first )?(?:published|posted|date|veröffentlicht|publié|publicado)\b"
    r"(?: on| am| le| el|:)?[: ]*"
)

# Values that pages give as an author, and that are no person's name.
NOT_A_NAME = re.compile(
    r"https?:|^/?@|^/|^\S{1,100}\.[a-z]{2,6}$|www\.|\S@\S|^\d"
    r"|\b(?:unknown|n/a|none|null|undefined|admin(?:istrator)?|staff(?: writers?| reporters?)?)$"
    r"|^(?:staff|admin|site|web|guest|editorial|the|our)[ _-]"
    r"(?:staff|admin|administrator|editors?|master|team|author|writer|contributor|blogger|post"
    r"|board|desk|report|user|correspondent|newsroom)s?$"
    # Templates that were never filled in, numbered accounts, and job titles.
    r"|[{}<>%\\]|^\$|^\[object|\bno-?reply\b|^(?:admin|user|editor|author|guest|test)[ _-]?\d{1,9}$"
    r"|^(?:(?:senior|chief|staff|political|science|health|technology|tech|business|sports|foreign"
    r"|national|world|news|managing|executive|contributing|associate|deputy|economics|environment"
    r"|special|data|culture|arts|features|education|investigative|general|lead|legal) ){1,3}"
    r"(?:reporter|correspondent|columnist|journalist|editor|writer|producer)s?$",
    re.IGNORECASE,
)
NOT_NAMES = {
    "no author", "no authors", "author", "authors", "author name", "super user", "superuser",
    "editor", "editors", "editorial", "redaktion", "die redaktion", "redaction", "rédaction",
    "la rédaction", "la redaction", "redacción", "redaccion", "redazione", "redactie", "guest",
    "anonymous", "anonym", "anonyme", "anónimo", "anon", "webmaster", "root", "user", "test",
    "newsroom", "news desk", "contributor", "contributors", "various", "various authors",
    "multiple authors", "default", "default user", "moderator", "marketing", "press release",
    "press office", "system", "support", "info", "autor", "autore", "auteur", "verfasser",
    "unbekannt", "wordpress", "wp", "drupal", "joomla", "team", "writer", "posted", "by", "me",
    "administrador", "administrateur", "amministratore", "gast", "invitado", "invité", "匿名",
    "佚名", "编辑", "编辑部", "編集部", "小编", "管理员", "管理者", "未知", "squarespace", "wix",
    "false", "true", "nobody", "name", "your name", "username", "content team", "et al", "demo",
}  # fmt: skip
INITIALS = re.compile(r"[A-Z]{1,4}")
NOT_A_CAPITAL = re.compile(r"[^\W\d_A-Z]")
# What follows a comma, but is no other person.
SUFFIXES = {"jr", "sr", "ii", "iii", "md", "m.d", "phd", "ph.d", "esq", "cnn", "ap", "afp", "bbc"}
ORGANIZATION = re.compile(
    r"\b(?:news|times|post|journal|magazine|blog|daily|weekly|today|online|media|press|group|inc"
    r"|ltd|llc|gmbh|university|society|institute|association|foundation|review|library|labs?|tv"
    r"|radio|the|of|and|web|site|project|company|network|museum|office|agency|team|world)\b",
    re.IGNORECASE,
)
EMPLOYER = re.compile(r", [A-Z]{2,5}$")  # the employer after a name: "…, CNN"
BY = re.compile(
    r"^(?:(?:(?:posted|written|words|text|story|reported|published) )?by|von|par|por|de autor"
    r"|authors?)\b[:：\s]+|^(?:作者|撰文|文|记者|記者)\s?[:：/／]\s?",
    re.IGNORECASE,
)
AND_OTHERS = re.compile(r",?\s(?:et al|and others)\.?$", re.IGNORECASE)
# Separators that always stand between two people.
PEOPLE_SEPARATOR = re.compile(r"[;；、，｜／]|\s[|·•/]\s|,? and ")
# The value that programs write for a missing date.
MISSING_DATE = "1970-01-01t00:00:00"


def text(value: object, length: int) -> str:
    """Return a string or number as one line, cut to `length`; an empty string for other types."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    line = str(value)[:MAX_LENGTH]
    if "&" in line:
        # The parser has unescaped once, but values are often escaped twice.
        line = html.unescape(line)
    line = SPACES.sub(" ", HARMFUL.sub("", line)).strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def prose(value: object, length: int) -> str:
    """Return a value as one line of text without HTML tags, which descriptions sometimes have."""
    return text(TAGS.sub(" ", html.unescape(str(value)[:MAX_LENGTH])), length) if value else ""


def name(value: object, *, family_first: bool = False) -> str:
    """Return a person's name, the given name first; an empty string if it is not a name.

    With `family_first`, `Doe, Jane` becomes `Jane Doe`.
    """
    line = AND_OTHERS.sub("", BY.sub("", prose(value, NAME_LENGTH))).strip(" ,;|·")
    if is_not_a_name(line):
        return ""
    family, comma, given = line.partition(", ")
    if family_first and comma and "," not in given:
        return f"{given} {family}"
    return EMPLOYER.sub("", line)


def is_not_a_name(line: str) -> bool:
    """Return whether a text that a page gives as a name is not one, for example `Admin`."""
    plain = line.casefold().strip(" .-_!")
    return plain in NOT_NAMES or bool(NOT_A_NAME.search(line)) or not any(map(str.isalpha, line))


def looks_like_a_person(line: str) -> bool:
    """Return whether a name has 2 or 3 capitalized words, and none in ORGANIZATION."""
    words = line.split()
    shaped = all(word[:1].isupper() and not word[1:2].isupper() for word in words)
    return 2 <= len(words) <= 3 and shaped and not ORGANIZATION.search(line)


def split_people(values: Iterable[str]) -> Iterator[str]:
    """Split texts that name several people, and yield one name at a time.

    A comma separates people only if each side has at least two words: `Doe, Jane` is one person.
    The same holds for words such as `und`: `Ortega y Gasset` is one person.
    """
    for value in values:
        for part in PEOPLE_SEPARATOR.split(BY.sub("", value[:MAX_LENGTH])):
            yield from _split_recursively(part)


def _split_recursively(text: str) -> list[str]:
    """Split a text into people wherever a separator has at least two words on each side."""
    for separator in (",", " & ", " und ", " et ", " y ", " e ", " en ", " och ", " og ", " with "):
        parts = [part.strip() for part in text.split(separator) if part.strip()]
        people = [part for part in parts if part.rstrip(".").lower() not in SUFFIXES]
        if len(people) > 1 and all(len(part.split()) > 1 for part in people):
            return [each for part in people for each in _split_recursively(part)]
    return [text]


def initials_first(line: str) -> str:
    """Return PubMed's form of a name (`Crick FH`) as `F. H. Crick`; others unchanged."""
    family, _, initials = line.strip().rpartition(" ")
    if "," in family or not (INITIALS.fullmatch(initials) and NOT_A_CAPITAL.search(family)):
        return line
    return f"{'. '.join(initials)}. {family}"


def names(values: Iterable[object], *, family_first: bool = False) -> list[str]:
    """Return people's names without duplicates, at most REFERENCE_PEOPLE of them.

    Only the first MAX_NAMES values are read: a hostile page may have millions that are no names.
    """
    found: dict[str, None] = {}
    for value in islice(values, MAX_NAMES):
        if kept := name(value, family_first=family_first):
            found.setdefault(kept)
        if len(found) == limits.REFERENCE_PEOPLE:
            break
    return list(found)


def date(value: object) -> str:
    """Return a date as `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; an empty string if there is none."""
    line = PUBLISHED.sub("", text(value, 100).lower())
    if line.startswith(MISSING_DATE):
        return ""
    if found := COMPACT.match(line) or YEAR_FIRST.match(line) or NUMERIC.match(line):
        year, month, day = found.groups()
    elif found := DAY_FIRST.match(line):
        day, month, year = found.groups()
    elif found := MONTH_FIRST.match(line):
        month, day, year = found.groups()
    elif found := DOTS.match(line):
        day, month, year = found.groups()
    elif found := SLASHES.match(line):
        month, day, year = _month_day_year(*found.groups())
    else:
        return ""
    if month in MONTHS:
        month = MONTHS[month]
    parts = [int(part) for part in (year, month, day) if part]
    if not 1000 <= parts[0] <= 2999 or (len(parts) == 3 and not 1 <= parts[2] <= 31):
        return ""
    return "-".join(f"{part:02d}" for part in parts)


def _month_day_year(first: str | None, second: str, year: str) -> tuple[str, str, str]:
    """Return month, day and year of a date with slashes; month and day empty if ambiguous."""
    numbers = [number.zfill(2) for number in (first, second) if number]
    months = {number for number in numbers if "01" <= number <= "12"}
    if len(months) != 1:
        return "", "", year
    month = months.pop()
    numbers.remove(month)
    return month, "".join(numbers), year


def address(value: object, base: str) -> str:
    """Return an absolute http(s) address, or an empty string if invalid or with credentials."""
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
