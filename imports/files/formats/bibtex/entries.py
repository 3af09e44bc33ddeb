"""Parse the entries of a BibTeX file, and replace macros by their values.

A *block* is the text from one `@type{` at the start of a line to the next. Each is parsed alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from imports.files.formats.bibtex.inheritance import Entry, Family, keys_referred_to
from imports.files.formats.bibtex.latex import split_outside_braces
from imports.files.formats.bibtex.mapping import KNOWN_FIELDS
from imports.files.items import Problem, one_line

# The beginning of a block. The parser has the same rule: an @ at the beginning of a line.
BLOCK_BEGIN = re.compile(r"^[ \t]*@[ \t]*([A-Za-z]\w*)[ \t]*[{(]", re.MULTILINE)
KEY = re.compile(r"\s{0,99}([^\s,{}()=]{1,100}+)\s{0,99},")
# An entry without a key: its first field follows the bracket.
KEYLESS = re.compile(
    r"^(@[ \t]*(?!string|preamble|comment)[A-Za-z]\w*[ \t]*[{(])(?=\s*[A-Za-z][\w:.-]{0,50}\s*=)",
    re.IGNORECASE,
)
DOUBLE_COMMA = re.compile(r",(?=[ \t\n]*,)")
# The end of a value and the next line's field, without the comma between them.
MISSING_COMMA = re.compile(
    r'([}"])[ \t]{0,20}\n(?=[ \t]{0,40}[A-Za-z][\w-]{1,30}[ \t]{0,20}=[ \t]{0,20}[{"\d])'
)
MAX_BLOCK = 100_000  # characters
MAX_VALUE = 20_000  # characters
CLOSING = {"{": "}", '"': '"'}
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

# An entry, or why it cannot be read.
Found = Entry | Problem


class Block(NamedTuple):
    """The place of a block in the text, and the match of its beginning (BLOCK_BEGIN)."""

    start: int
    end: int
    begin: re.Match[str]

    @property
    def kind(self) -> str:
        """Return the type of the entry, or `string` for the definition of a macro."""
        return self.begin.group(1).lower()


@dataclass
class BibFile:
    """A file being read, with the macros and parent entries found so far."""

    text: str
    macros: dict[str, str] = field(default_factory=lambda: dict(zip(MONTHS, MONTHS, strict=True)))
    family: Family = field(default_factory=Family)

    def entries(self) -> Iterator[Found]:
        """Yield the entries in file order, and a Problem for each that cannot be read."""
        self._read_parents()
        line, counted = 1, 0
        for block in self._blocks():
            line += self.text.count("\n", counted, block.start)
            counted = block.start
            yield from self._parse(self.text[block.start : block.end], line)

    def _blocks(self) -> Iterator[Block]:
        """Yield the blocks of the file, each up to the beginning of the next."""
        begins = BLOCK_BEGIN.finditer(self.text)
        begin = next(begins, None)
        while begin:
            following = next(begins, None)
            end = following.start() if following else len(self.text)
            yield Block(begin.start(), end, begin)
            begin = following

    def _read_parents(self) -> None:
        """Read the entries that others refer to first: they may come later in the file."""
        wanted = keys_referred_to(self.text)
        if not wanted:
            return
        for block in self._blocks():
            key = KEY.match(self.text, block.begin.end())
            is_parent = key is not None and key.group(1).lower() in wanted
            if not (is_parent or block.kind == "string"):
                continue
            for found in self._parse(self.text[block.start : block.end], 0):
                if key and isinstance(found, Entry):
                    self.family.parents.setdefault(key.group(1).lower(), found)

    def _parse(self, text: str, line: int) -> Iterator[Found]:
        """Parse one block: remember its macros, and yield its entries and problems."""
        from bibtexparser.splitter import Splitter

        if len(text) > MAX_BLOCK:
            detail = f"This entry is longer than {MAX_BLOCK} characters."
            yield Problem(line=line, code="too_long", detail=detail, label=one_line(text[:80]))
            return
        text = MISSING_COMMA.sub(r"\1,\n", KEYLESS.sub(r"\1,", text.lstrip(" \t")))
        try:
            found = Splitter(text).split()
            if found.failed_blocks and DOUBLE_COMMA.search(text):
                found = Splitter(DOUBLE_COMMA.sub("", text)).split()
        except Exception as error:  # the parser raises many types
            detail = f"This entry cannot be read: {error}."
            yield Problem(line=line, code="malformed", detail=detail)
            return
        for string in found.strings:
            self.macros[string.key.lower()] = value_of(str(string.value), self.macros)
        for entry in found.entries:
            yield self._entry(entry, line)
        for failed in found.failed_blocks:
            known: Any = failed.ignore_error_block
            if hasattr(known, "fields"):  # readable all the same, for example a repeated field
                yield self._entry(known, line)
                continue
            reason = one_line(getattr(failed.error, "abort_reason", failed.error))
            detail = f"This entry cannot be read: {reason}"
            at = line + max(0, failed.start_line or 0)
            yield Problem(line=at, code="malformed", detail=detail, label=one_line(text[:80]))

    def _entry(self, entry: Any, line: int) -> Entry:
        """Return the known fields of a parsed entry, with macros replaced."""
        fields: dict[str, str] = {}
        for each in entry.fields:
            name = each.key.lower().strip()
            if name in KNOWN_FIELDS and not fields.get(name):
                fields[name] = value_of(str(each.value), self.macros)
        return Entry(entry.entry_type.lower(), fields, line)


def value_of(text: str, macros: dict[str, str]) -> str:
    """Return the text of a value: braced, quoted, a macro, or several of these joined by #."""
    joined = ""
    for part in map(str.strip, split_outside_braces(text, "#")):
        is_text = len(part) > 1 and part[-1] == CLOSING.get(part[0])
        joined += part[1:-1] if is_text else macros.get(part.lower(), part)
        if len(joined) > MAX_VALUE:
            break  # macros made of macros could grow without limit
    return joined[:MAX_VALUE]
