"""Parse lists of names: BibTeX's three forms, and biblatex's form with named parts."""

from __future__ import annotations

import re

from cards.limits import REFERENCE_PEOPLE
from imports.files.bibliography import NOT_A_PERSON
from imports.files.formats.bibtex.latex import decoded, split_outside_braces
from imports.files.items import one_line

NAMED_PART = re.compile(r"\s?(family|given|prefix|suffix|useprefix)(?:-i)?\s?=", re.IGNORECASE)
PARTS = {
    "family": "family", "given": "given", "prefix": "non-dropping-particle", "suffix": "suffix",
}  # fmt: skip
SUFFIX = re.compile(r"(?:Jr|Sr|Jnr|Snr|I{1,3}|IV|VI{0,3})\.?", re.IGNORECASE)


def people_of(text: str) -> list[dict[str, str]]:
    """Return the people of a name list as CSL-JSON names; a name in braces stays whole."""
    from bibtexparser.middlewares.names import split_multiple_persons_names

    text = _undoubled(one_line(text))
    try:
        names = split_multiple_persons_names(text)
    except Exception:
        return [{"literal": decoded(text)}]
    if len(names) == 1 and ";" in text and "{" not in text and "&" not in text:
        names = text.split(";")
    people = (_person(name.strip()) for name in names[: REFERENCE_PEOPLE + 1])
    return [person for person in people if person]


def _undoubled(text: str) -> str:
    """Remove doubled braces around a whole list, as in `{Doe, Jane and Roe, Bob}`."""
    inner = text.strip()[1:-1]
    is_list = " and " in inner and all("," in name for name in inner.split(" and "))
    return inner if is_list and text.strip() == f"{{{inner}}}" and "{" not in inner else text


def _person(name: str) -> dict[str, str]:
    """Return the CSL-JSON name of one name; {} for "others"."""
    from bibtexparser.middlewares.names import parse_single_name_into_parts

    if not name or NOT_A_PERSON.fullmatch(name.strip("{} .,")):
        return {}
    if NAMED_PART.match(name):
        return _of_named_parts(name)
    if is_whole(name):
        return {"literal": decoded(name)}
    try:
        parts = parse_single_name_into_parts(name, strict=False)
    except Exception:
        return {"literal": decoded(name)}
    first, suffix = " ".join(parts.first), " ".join(parts.jr)
    if suffix and SUFFIX.fullmatch(first):  # `King, Martin Luther, Jr.`
        first, suffix = suffix, first
    named = {
        "family": " ".join(parts.last), "given": first, "suffix": suffix,
        "non-dropping-particle": " ".join(parts.von),
    }  # fmt: skip
    return {part: text for part, value in named.items() if (text := decoded(value))}


def is_whole(name: str) -> bool:
    """Return whether one pair of braces encloses the whole name."""
    depth = 0
    for place, letter in enumerate(name):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return letter == "}" and place == len(name) - 1
    return False


def _of_named_parts(name: str) -> dict[str, str]:
    """Return the CSL-JSON name of `family=…, given=…`, a form that biblatex has since 3.5."""
    found: dict[str, str] = {}
    for part in split_outside_braces(name, ","):
        key, _, value = part.partition("=")
        if target := PARTS.get(key.strip().lower()):
            found[target] = decoded(value.strip().strip('"'))
    return {part: text for part, text in found.items() if text}
