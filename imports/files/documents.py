"""Decode a file into text, and detect files that are not text."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from imports.files.errors import Unreadable

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ENCODING_DECLARATION = re.compile(
    rb"""(?:encoding|charset)\s*[=:]\s*["']?([A-Za-z0-9._-]{1,40})""", re.IGNORECASE
)
# Encodings of text. Python's other codecs decompress, or interpret backslash escapes.
TEXT_ENCODING = re.compile(
    r"utf[-_]?(8|16|32)|ascii|latin|iso|windows|cp\d|koi8|big5|gb|euc|shift|mac"
)
XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
# Files that people upload by mistake, recognized by their first bytes.
NOT_TEXT = (
    (b"PK\x03\x04", "a zip archive: unpack it, and upload the file inside"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it, and upload the file inside"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"SQLite format 3", "a database: export a file from the program that wrote it"),
    (b"mozLz40", "a compressed Firefox backup: export the bookmarks as HTML or JSON"),
    (b"bplist", "a binary property list"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)
ENCODING_BYTES = 4096  # bytes searched for an encoding, and checked for being text
HEAD_LENGTH = 64 * 1024  # characters in which formats are recognized
JSON_DECODER = msgspec.json.Decoder()
# Characters that may follow the opening bracket of a JSON object or list.
SECOND_OF_JSON = {"{": '"}', "[": '"[]{-0123456789'}
# UTF-16 without a byte order mark: in most languages every second byte at its start is zero.
UTF_16_ZEROS = (("utf-16-le", 1), ("utf-16-be", 0))


@dataclass(frozen=True)
class Document:
    """A file to import: its bytes, its address if it was fetched, and its declared charset."""

    content: bytes
    url: str = ""
    charset: str = ""

    @cached_property
    def text(self) -> str:
        """Return the text, with "\\n" as its only line end; raise Unreadable for other files."""
        require_text(self.content)
        text = decode(self.content, self.charset)
        return text.replace("\r\n", "\n").replace("\r", "\n")

    @cached_property
    def head(self) -> str:
        """Return the beginning of the text in lower case, without leading white space."""
        return self.text[:HEAD_LENGTH].lstrip().lower()

    @property
    def json(self) -> Any:
        """Return the parsed JSON; raise Unreadable with the line of a syntax error."""
        value, error = self._json
        if error:
            raise error
        return value

    @property
    def is_json(self) -> bool:
        """Return whether the whole text is a JSON object or list."""
        return self._begins_like_json and not self.json_error

    @property
    def json_error(self) -> Unreadable | None:
        """Return the JSON syntax error of a text that begins like JSON, or None."""
        return self._json[1] if self._begins_like_json else None

    @property
    def _begins_like_json(self) -> bool:
        first, second = self.head[:1], self.head[1:].lstrip()[:1]
        return bool(second) and second in SECOND_OF_JSON.get(first, "")

    @cached_property
    def _json(self) -> tuple[Any, Unreadable | None]:
        try:
            return parse_json(self.text), None
        except Unreadable as error:
            return None, error

    @property
    def markup(self) -> str:
        """Return the text without its XML declaration: the text is decoded already."""
        return XML_DECLARATION.sub(lambda found: "\n" * found.group().count("\n"), self.text, 1)


def require_text(content: bytes) -> None:
    """Raise Unreadable if a file is not text; the message says what it is."""
    for magic, name in NOT_TEXT:
        if content.startswith(magic):
            raise Unreadable("not_text", f"This is {name}.")
    if not content.strip(b"\0 \t\r\n"):
        raise Unreadable("empty", "This file is empty.")
    head = content[:ENCODING_BYTES]
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if is_utf_16 or utf_16_byte_order(head):
        return
    control_characters = sum(byte < 9 or 13 < byte < 32 for byte in head)
    if control_characters > len(head) // 10:
        raise Unreadable("not_text", "This is not a text file.")


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; raise Unreadable with the line of a syntax error."""
    try:
        return msgspec.json.decode(text.strip())
    except RecursionError:
        raise Unreadable("too_deep", "The JSON is nested too deeply.") from None
    except ValueError as error:
        message = str(error)
        if (found := _parse_json_lines(text)) is not None:
            return found
        if "surrogate" in message:
            return _parse_with_lone_surrogates(text)
        place = message.rpartition("byte ")[2].rstrip(")")
        line = 0
        if place.isdecimal():
            before = text[: len(text) - len(text.lstrip())]
            line = text.strip().encode("utf-8", "replace")[: int(place)].count(b"\n") + 1
            line += before.count("\n")
        raise Unreadable("malformed", f"This is not JSON: {message}.", line=line) from None


def _parse_json_lines(text: str) -> list[Any] | None:
    """Return the objects of a text with one JSON object per line, or None for other texts."""
    if "\n" not in text.strip():
        return None
    try:
        found: list[Any] = JSON_DECODER.decode_lines(text.strip())
    except (ValueError, RecursionError):
        return None
    return found if all(isinstance(value, dict) for value in found) else None


def _parse_with_lone_surrogates(text: str) -> Any:
    """Return JSON with unpaired surrogate escapes, which `items.clean` removes later."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("malformed", "This is not JSON.") from None


def utf_16_byte_order(head: bytes) -> str:
    """Return the byte order of UTF-16 without a mark as an encoding, or "" for other text."""
    for encoding, place in UTF_16_ZEROS:
        zeros, others = head[place::2], head[1 - place :: 2]
        if len(head) > 8 and zeros.count(0) > len(zeros) * 0.7 and others.count(0) == 0:
            return encoding
    return ""


def decode(content: bytes, charset: str = "") -> str:
    """Decode bytes; undecodable bytes become replacement characters.

    Tried in order: byte order mark, UTF-16 without one, UTF-8, the declared charset, UTF-8 with a
    few errors, and Windows-1252.
    """
    for mark, encoding in BOMS:
        if content.startswith(mark):
            return content.decode(encoding, "replace").lstrip("\ufeff")
    if encoding := utf_16_byte_order(content[:ENCODING_BYTES]):
        return content.decode(encoding, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    declared = ENCODING_DECLARATION.search(content[:ENCODING_BYTES])
    named = (charset or (declared.group(1).decode() if declared else "")).lower()
    if named and TEXT_ENCODING.match(named):
        try:
            return content.decode(named, "replace")
        except LookupError:
            pass
    if len(content) - len(content.decode("utf-8", "ignore").encode()) < len(content) // 1000:
        return content.decode("utf-8", "replace")  # under 0.1 % broken bytes
    return content.decode("cp1252", "replace")
