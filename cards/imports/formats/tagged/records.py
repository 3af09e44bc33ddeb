"""Records of tagged lines, and what all such formats have alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from cards.imports.items import Item, Problem, Row, clean, one_line
from cards.imports.references import OTHERS

LONGEST_RECORD = 5_000  # lines
# "van der Waals": what is written small before a name.
PARTICLE = re.compile(r"((?:[a-z][\w'’]*+\s++)*)(.*)", re.DOTALL)


@dataclass
class Record:
    """The lines of one reference: its tags with their texts, in the order of the file."""

    line: int
    fields: list[tuple[str, str]] = field(default_factory=list)
    lines: int = 0

    def all(self, *tags: str) -> list[str]:
        """Return the texts under any of these tags, in the order of the file."""
        if len(tags) == 1:
            return self._texts.get(tags[0], [])
        return [text for tag, found in self.fields if tag in tags and (text := clean(found))]

    def first(self, *tags: str) -> str:
        """Return a text under the first of these tags that has one."""
        return next((self._texts[tag][0] for tag in tags if tag in self._texts), "")

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        """The texts by their tags; once all lines are added."""
        found: dict[str, list[str]] = {}
        for tag, text in self.fields:
            if text := clean(text):
                found.setdefault(tag, []).append(text)
        return found

    def add(self, tag: str, text: str) -> None:
        """Add a line; without a tag, it goes on with the field before it."""
        self.lines += 1
        if self.lines > LONGEST_RECORD:
            return
        if tag:
            self.fields.append((tag, text))
        elif self.fields:
            last, before = self.fields[-1]
            self.fields[-1] = (last, f"{before}\n{text}")


# What a line is: its tag, its text, and whether it begins or ends a record.
Line = tuple[str, str]


def records(
    text: str, divide: Callable[[str], Line], *, first: frozenset[str], last: frozenset[str]
) -> Iterator[Record]:
    """Return the records of a text: from a tag of `first`, up to one of `last` or the next.

    A record may lack its beginning or its end; tags of `last` are not part of it.
    """
    record: Record | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        tag, content = divide(line.lstrip("\ufeff"))
        if record and (tag in last or tag in first):
            yield record
            record = None
        if tag in last or not (record or tag in first):
            continue
        record = record or Record(number)
        record.add(tag, content)
    if record:
        yield record


def read(found: Iterable[Record], item_of: Callable[[Record], Item]) -> Iterator[Row]:
    """Return the item of each record, and a Problem for one that is too long."""
    for record in found:
        if record.lines > LONGEST_RECORD:
            detail = f"This record has more than {LONGEST_RECORD} lines."
            label = one_line(record.fields[0][1])
            yield Problem(line=record.line, code="too_long", detail=detail, label=label)
        else:
            yield item_of(record)


def people(texts: Iterable[str]) -> list[dict[str, str]]:
    """Return names in their parts; a line that is alone may have several between semicolons."""
    lines = [one_line(text) for text in texts]
    names = lines[0].split(";") if len(lines) == 1 else lines
    return [person(name) for name in names if name.strip() and not OTHERS.fullmatch(name.strip())]


def person(text: str) -> dict[str, str]:
    """Return a name, `Family, Given, Suffix`, in its parts."""
    family, _, rest = text.partition(",")
    given, _, suffix = rest.partition(",")
    if not rest.strip():
        return {"literal": family.strip()}
    particle, family = PARTICLE.fullmatch(family.strip()).groups("")  # type: ignore[union-attr]
    parts = {
        "family": family, "given": given.strip(), "suffix": suffix.strip(),
        "non-dropping-particle": particle.strip(),
    }  # fmt: skip
    return {name: part for name, part in parts.items() if part}


def pages(begin: str, end: str = "") -> str:
    """Return the pages from one to another; the first of them may be a range already."""
    begin = re.sub(r"\s?[-–—]{1,3}\s?", "-", begin)
    return begin if "-" in begin or end in ("", begin) else f"{begin}-{end}".strip("-")


def keywords(texts: Iterable[str], *, between: str = "") -> tuple[str, ...]:
    """Return keywords, one a line; a line that is alone may have several between semicolons."""
    lines = [line for text in texts for line in (text.split(between) if between else [text])]
    words = [word for line in lines for word in line.split("\n")]
    return tuple(words[0].split(";") if len(words) == 1 and not between else words)


def notes(texts: Iterable[str]) -> str:
    """Return notes as one text."""
    return "\n".join(clean(text) for text in texts)
