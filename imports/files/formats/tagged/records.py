"""Split a text of tagged lines into records, and parse the fields that all such formats share.

A *record* is the lines of one reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from imports.files.bibliography import NOT_A_PERSON
from imports.files.items import Item, Problem, Row, clean, one_line

MAX_LINES = 5_000  # of a record
# The lower-case words before a family name, as in "van der Waals".
PARTICLE = re.compile(r"((?:[a-z][\w'’]*+\s++)*)(.*)", re.DOTALL)


# Returns the tag of a line ("" for a continuation line), and its text.
LineReader = Callable[[str], tuple[str, str]]


@dataclass
class Record:
    """One reference: its tags with their texts, in file order."""

    line: int
    fields: list[tuple[str, str]] = field(default_factory=list)
    lines: int = 0

    def all(self, *tags: str) -> list[str]:
        """Return the texts of any of these tags, in file order."""
        if len(tags) == 1:
            return self._texts.get(tags[0], [])
        return [text for tag, found in self.fields if tag in tags and (text := clean(found))]

    def first(self, *tags: str) -> str:
        """Return the first text of the first of these tags that has one, or ""."""
        return next((self._texts[tag][0] for tag in tags if tag in self._texts), "")

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        """The texts by tag. Use only after all lines are added, because it is cached."""
        found: dict[str, list[str]] = {}
        for tag, text in self.fields:
            if text := clean(text):
                found.setdefault(tag, []).append(text)
        return found

    def add(self, tag: str, text: str) -> None:
        """Add a line; without a tag, it continues the field before it."""
        self.lines += 1
        if self.lines > MAX_LINES:
            return
        if tag:
            self.fields.append((tag, text))
        elif self.fields:
            last, before = self.fields[-1]
            self.fields[-1] = (last, f"{before}\n{text}")


def line_reader(pattern: re.Pattern[str]) -> LineReader:
    """Return a function that splits a line into tag and text, the groups of the pattern."""

    def split(line: str) -> tuple[str, str]:
        found = pattern.fullmatch(line.rstrip())
        return (found.group(1), found.group(2) or "") if found else ("", line.strip())

    return split


def records(
    text: str, read_line: LineReader, *, first: frozenset[str], last: frozenset[str]
) -> Iterator[Record]:
    """Yield the records of a text. `read_line` returns the tag and text of a line.

    A record begins with a tag of `first`, and ends before the next tag of `first` or `last`.
    """
    record: Record | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        tag, content = read_line(line.lstrip("\ufeff"))
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
    """Yield the item of each record, and a Problem for each record that is too long."""
    for record in found:
        if record.lines > MAX_LINES:
            detail = f"This record has more than {MAX_LINES} lines."
            label = one_line(record.fields[0][1])
            yield Problem(line=record.line, code="too_long", detail=detail, label=label)
        else:
            yield item_of(record)


def people(texts: Iterable[str]) -> list[dict[str, str]]:
    """Return CSL-JSON names, one per line; a single line may separate several by semicolons."""
    lines = [one_line(text) for text in texts]
    names = lines[0].split(";") if len(lines) == 1 else lines
    return [
        person(name) for name in names if name.strip() and not NOT_A_PERSON.fullmatch(name.strip())
    ]


def person(text: str) -> dict[str, str]:
    """Return the CSL-JSON name of `Family, Given, Suffix`; a name without comma is literal."""
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
    """Return a range of pages; `begin` may be a range already."""
    begin = re.sub(r"\s?[-–—]{1,3}\s?", "-", begin)
    return begin if "-" in begin or end in ("", begin) else f"{begin}-{end}".strip("-")


def keywords(texts: Iterable[str], *, between: str = "") -> tuple[str, ...]:
    """Split texts into keywords, at line ends and at `between`.

    Without `between`, a single keyword is split at semicolons, as it may be several.
    """
    lines = [line for text in texts for line in (text.split(between) if between else [text])]
    words = [word for line in lines for word in line.split("\n")]
    return tuple(words[0].split(";") if len(words) == 1 and not between else words)


def notes(texts: Iterable[str]) -> str:
    """Join notes to one text, by line breaks."""
    return "\n".join(clean(text) for text in texts)
