"""Consoles in the documents: their commands are run for real, and their outputs compared.

A block of `console` has commands after `$ `, each followed by what it printed. What differs from
run to run counts as equal: numbers, ids, times, the width of columns. A line `…` stands for any
number of lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY = "…"
# In this order: an id has numbers in it, and so has a time.
CHANGING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d| UTC)?"), "TIME"),
    (re.compile(r"\d[\d,]*(\.\d+)?"), "N"),
    (re.compile(r"[-─]{3,}"), "---"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Step:
    """A command of a document, and what the document says that it prints."""

    command: str
    expected: tuple[str, ...]


def steps(document: Path, heading: str) -> list[Step]:
    """Return the commands below a heading, up to the next heading of its level or above."""
    return list(_steps(_section(document.read_text(), heading)))


def _section(text: str, heading: str) -> str:
    level = heading.split(" ", maxsplit=1)[0]
    _, found, after = text.partition(f"\n{heading}\n")
    if not found:
        raise ValueError(f"There is no heading {heading!r}.")
    return re.split(rf"^#{{1,{len(level)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def _steps(section: str) -> Iterator[Step]:
    for block in BLOCK.findall(section):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.replace("\\\n", "").rstrip().split("\n")
            yield Step(command, tuple(lines))


def fits(expected: tuple[str, ...], printed: str) -> bool:
    """Return whether an output equals the document's, apart from numbers, ids, times and widths."""
    wanted = [_settled(line) for line in expected]
    pattern = r"\n".join(".*" if line == ANY else re.escape(line) for line in wanted)
    # A line that stands for any number of lines stands for none, too.
    pattern = pattern.replace(r"\n.*", r"(\n.*)?")
    found = "\n".join(_settled(line) for line in printed.rstrip().split("\n"))
    return re.fullmatch(pattern, found, flags=re.DOTALL) is not None


def _settled(line: str) -> str:
    for changing, settled in CHANGING:
        line = changing.sub(settled, line)
    return line.strip()
