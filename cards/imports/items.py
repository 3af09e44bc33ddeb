"""What every format is read into."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

# What PostgreSQL cannot store, or nobody can see.
INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
LABEL_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something to be added: `guid` is what it is known by in its `source`.

    `collections` are paths of folders' names, from the outermost. `reference` has fields of
    CSL-JSON. An item with a `feed` is a subscription, and one with a `parent` hangs below the
    item of that guid.
    """

    line: int
    guid: str
    source: str = "web"
    title: str = ""
    url: str = ""
    text: str = ""
    tags: tuple[str, ...] = ()
    collections: tuple[tuple[str, ...], ...] = ()
    added_at: datetime | None = None
    private: bool | None = None
    reference: Mapping[str, Any] = field(default_factory=dict)
    feed: str = ""
    # What an export says of a collection, for an item that is one.
    folder: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    # What the file says of the item's collections, by their names: visibility, description.
    told: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # What its owner should know of this row, though it is added.
    warning: str = ""

    @property
    def label(self) -> str:
        """Name the row to its owner."""
        return one_line(self.title or self.url or self.feed or self.text)[:LABEL_LENGTH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A row that cannot be read, and why; or what its owner should know of a row."""

    line: int
    code: str
    detail: str
    label: str = ""
    is_warning: bool = False


def warnings_of(items: Iterable[Item]) -> list[Problem]:
    """Return the warnings of rows."""
    return [
        Problem(
            line=item.line, code="private", detail=item.warning, label=item.label, is_warning=True
        )
        for item in items
        if item.warning
    ]


Row = Item | Problem


def identity(source: str, guid: str) -> UUID:
    """Return what an item is known by for ever: `source#guid`, in as many bits as a key."""
    return UUID(bytes=hashlib.sha256(f"{source}#{guid}".encode()).digest()[:16])


def fingerprint(*parts: object) -> str:
    """Return a guid for what has none: a digest of what it says."""
    text = "\x1f".join(one_line(str(part)).casefold() for part in parts)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def digest(item: Item) -> UUID:
    """Return what tells whether a row is the same as one before: a digest of all that it says."""
    said = msgspec.json.encode(replace(item, line=0, told={}, warning=""), order="deterministic")
    return UUID(bytes=hashlib.sha256(said).digest()[:16])


def clean(text: object) -> str:
    """Return a text without what cannot be stored."""
    return INVISIBLE.sub("", text).strip() if isinstance(text, str) else ""


def one_line(text: object) -> str:
    """Return a text with single spaces in place of all white space."""
    return " ".join(clean(text).split())


def encode(items: list[Item]) -> bytes:
    """Return rows as a batch keeps them."""
    return msgspec.json.encode(items)


_decoder = msgspec.json.Decoder(list[Item])


def decode(content: bytes) -> list[Item]:
    """Return the rows that a batch keeps."""
    return _decoder.decode(content)
