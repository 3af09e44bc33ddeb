"""Parse lists within one value: tags, texts and people, in the forms that programs write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from cards.limits import REFERENCE_PEOPLE
from imports.files.bibliography import NOT_A_PERSON
from imports.files.items import clean, one_line

SEPARATORS = ("|", ";", ",")
QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
NAMES_OF_TAGS = ("name", "tag", "label", "title")
NAMES_OF_TEXTS = (
    "quote", "exact", "highlight", "content", "text", "comment", "note", "name", "title",
)  # fmt: skip
# The parts of names in CSL-JSON, and in Zotero's JSON.
NAMES_OF_PEOPLE = (("family", "lastName"), ("given", "firstName"), ("literal", "name"))
# "Doe, Jane (57190000000)": the author number of Scopus.
NUMBERED = re.compile(r"\s{0,9}\(\d{1,20}\)")
INITIALS = re.compile(r"(?:[A-Z]\.?[\s-]?){1,4}")
AND = re.compile(r"\s(?:and|&|und|et)\s")


def tags_of(value: Any, *, by_space: bool = False) -> list[str]:
    """Return the tags of a list, an object, a list written as text, or separated text.

    Without a separator, text is one tag, unless `by_space` is set or all words begin with "#".
    """
    if isinstance(value, dict):
        named = [each.get("name") or each.get("tag") or key for key, each in _objects(value)]
        return [one_line(tag) for tag in named or value]
    if isinstance(value, list):
        return [tag for each in value if (tag := _tag(each))]
    text = one_line(value)
    if text[:1] + text[-1:] in ("[]", "{}"):
        return _of_list(text)
    separator = next((sign for sign in SEPARATORS if sign in text), "")
    if separator:
        return [tag.strip() for tag in text.split(separator)]
    words = text.split()
    if by_space or all(word.startswith("#") for word in words):
        return [word.lstrip("#") for word in words]
    return [text]


def _objects(value: dict[Any, Any]) -> list[tuple[Any, dict[str, Any]]]:
    return [(key, each) for key, each in value.items() if isinstance(each, dict)]


def _tag(value: Any) -> str:
    if isinstance(value, dict):
        value = next((value[name] for name in NAMES_OF_TAGS if value.get(name)), "")
    return one_line(value)


def _of_list(text: str) -> list[str]:
    """Return the members of a list written as text by JSON, Python or PostgreSQL."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list):
        return tags_of(found)
    if quoted := QUOTED.findall(text):
        return [one_line(first or second) for first, second in quoted]
    return [one_line(tag) for tag in text[1:-1].split(",")]


def texts_of(value: Any) -> Iterator[str]:
    """Yield the texts in a value: each text of a list, or an object's quote and comment as one."""
    if isinstance(value, str):
        if text := clean(value):
            yield text
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, list):
        for each in value:
            if not isinstance(each, list):
                yield from texts_of(each)
    elif isinstance(value, dict):
        texts = [clean(value.get(name)) for name in NAMES_OF_TEXTS]
        if text := "\n\n".join(dict.fromkeys(filter(None, texts))):
            yield text


def people_of(value: Any) -> dict[str, list[dict[str, str]]]:
    """Return people as CSL-JSON names, by role; people in a text are authors."""
    if isinstance(value, list):
        return _creators(value)
    text = NUMBERED.sub("", one_line(value))
    names = [name for name in _names(text) if not NOT_A_PERSON.fullmatch(name.strip())]
    people = [person for name in names if (person := person_of(name))]
    return {"author": people[:REFERENCE_PEOPLE]} if people else {}


def _creators(value: list[Any]) -> dict[str, list[dict[str, str]]]:
    """Return the people of a list in Zotero's JSON or CSL-JSON, by role."""
    found: dict[str, list[dict[str, str]]] = {}
    for each in value[:REFERENCE_PEOPLE]:
        if not isinstance(each, dict):
            person, role = person_of(one_line(each)), "author"
        else:
            person = {
                part: text
                for part, name in NAMES_OF_PEOPLE
                if (text := one_line(each.get(name) or each.get(part)))
            }
            role = one_line(each.get("creatorType")) or "author"
        if person:
            role = role if role in ("editor", "translator") else "author"
            found.setdefault(role, []).append(person)
    return found


def _names(text: str) -> list[str]:
    """Split a text into names by the separators that fit: `;`, `|`, "and" or commas."""
    if ";" in text or "|" in text:
        return re.split(r"[;|]", text)
    if AND.search(text):
        # "Jane Doe, Max Roe and Ann Poe", or "Doe, Jane and Roe, Max".
        parts = [part.strip(" ,") for part in AND.split(text)]
        several = not all("," in part for part in parts)
        return [name for part in parts for name in (part.split(",") if several else [part])]
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > 1 and all(_ends_in_initials(part) for part in parts):
        return parts  # "Doe J, Roe A"
    if len(parts) > 3 and len(parts) % 2 == 0 and all(map(INITIALS.fullmatch, parts[1::2])):
        return [", ".join(pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
    return parts if len(parts) > 2 and all(" " in part for part in parts) else [text]


def _ends_in_initials(name: str) -> bool:
    family, _, last = name.rpartition(" ")
    return bool(family) and bool(INITIALS.fullmatch(last))


def person_of(name: str) -> dict[str, str]:
    """Return the CSL-JSON name of "Doe, Jane", "Doe J." or "Jane Doe"."""
    name = name.strip(" ,")
    family, comma, given = (part.strip() for part in name.partition(","))
    if comma:
        return {"family": family, "given": given}
    if _ends_in_initials(name):
        family, _, given = name.rpartition(" ")
        return {"family": family, "given": given}
    words = name.split()
    if len(words) < 2:
        return {"literal": name} if name else {}
    place = next((n for n, word in enumerate(words) if n and word[:1].islower()), len(words) - 1)
    return {"family": " ".join(words[place:]), "given": " ".join(words[:place])}
