"""The text of a file, whatever its encoding."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import cached_property

from cards.imports.errors import Unreadable

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DECLARED = re.compile(
    rb"""(?:encoding|charset)\s*[=:]\s*["']?([A-Za-z0-9._-]{1,40})""", re.IGNORECASE
)
# Encodings of text; others that Python knows unpack, or read backslashes.
ENCODING = re.compile(r"utf[-_]?(8|16|32)|ascii|latin|iso|windows|cp\d|koi8|big5|gb|euc|shift|mac")
XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
# What people hand in by mistake, by its first bytes.
OTHERS = (
    (b"PK\x03\x04", "a zip archive: unpack it, and hand in the file inside"),
    (b"\x1f\x8b", "packed by gzip: unpack it first"),
    (b"BZh", "packed by bzip2: unpack it first"),
    (b"\xfd7zXZ", "packed by xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it, and hand in the file inside"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"SQLite format 3", "a database: let the program that made it export a file"),
    (b"bplist", "a binary property list"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)
HEAD, LONG_HEAD = 4096, 64 * 1024


@dataclass(frozen=True)
class Document:
    """What is to be read: its bytes, and the address that they came from, if any."""

    content: bytes
    url: str = ""
    charset: str = ""

    @cached_property
    def text(self) -> str:
        """This is the text, with single newlines; raises Unreadable when there is none."""
        refuse_what_is_no_text(self.content)
        text = decoded(self.content, self.charset)
        return text.replace("\r\n", "\n").replace("\r", "\n")

    @cached_property
    def head(self) -> str:
        """This is the beginning of the text, in small letters and without white space before."""
        return self.text[:LONG_HEAD].lstrip().lower()

    @property
    def markup(self) -> str:
        """This is the text without its XML declaration, whose encoding is no longer true."""
        return XML_DECLARATION.sub(lambda found: "\n" * found.group().count("\n"), self.text, 1)


def refuse_what_is_no_text(content: bytes) -> None:
    """This raises Unreadable, with what the file is instead."""
    for magic, name in OTHERS:
        if content.startswith(magic):
            raise Unreadable("not_text", f"This is {name}.")
    if not content.strip(b"\0 \t\r\n"):
        raise Unreadable("empty", "There is nothing in this file.")
    head = content[:HEAD]
    if not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        odd = sum(byte < 9 or 13 < byte < 32 for byte in head)
        if odd > len(head) // 10:
            raise Unreadable("not_text", "This is not a text file.")


def decoded(content: bytes, charset: str = "") -> str:
    """This answers the text of bytes; what cannot be decoded becomes a replacement character."""
    for bom, encoding in BOMS:
        if content.startswith(bom):
            return content.decode(encoding, "replace").lstrip("\ufeff")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    declared = DECLARED.search(content[:HEAD])
    named = (charset or (declared.group(1).decode() if declared else "")).lower()
    if named and ENCODING.match(named):
        try:
            return content.decode(named, "replace")
        except LookupError:
            pass
    if len(content) - len(content.decode("utf-8", "ignore").encode()) < len(content) // 1000:
        return content.decode("utf-8", "replace")  # here and there a broken letter
    return content.decode("cp1252", "replace")
