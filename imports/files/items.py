"""The common form of all imported rows.

A *row* is one entry of a file as a parser yields it: an `Item` to add, or a `Problem`. Rows with
the same `source` and `guid` are the same *item*, in whatever file they come.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from cards.limits import COLLECTION_NAME_LENGTH

# Characters that PostgreSQL cannot store, or that are invisible.
INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
LABEL_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A row to add. `guid` is its unique id within its `source`.

    `collections` are paths of folder names, outermost first. `reference` holds CSL-JSON fields.
    `feed` makes the item a subscription to that address. `parent` is the guid of the item whose
    card becomes this card's parent.
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
    # The exported fields of a collection; an item with them creates a collection, not a card.
    folder: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    # The file's visibility and description of the item's collections, by collection name.
    collection_details: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # A note to the owner about a row that is added nonetheless.
    warning: str = ""

    @property
    def label(self) -> str:
        """Return a short text by which the owner recognizes the row."""
        return one_line(self.title or self.url or self.feed or self.text)[:LABEL_LENGTH]

    def problem(self, code: str, detail: str) -> Problem:
        """Return the problem that reports this row as refused."""
        return Problem(line=self.line, code=code, detail=detail, label=self.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A row that cannot be added, and why; or a warning about a row that is added."""

    line: int
    code: str
    detail: str
    label: str = ""
    is_warning: bool = False


def warnings_of(items: Iterable[Item]) -> list[Problem]:
    """Return the warnings of rows, as problems."""
    return [
        Problem(
            line=item.line, code="private", detail=item.warning, label=item.label, is_warning=True
        )
        for item in items
        if item.warning
    ]


Row = Item | Problem


def identity(source: str, guid: str) -> UUID:
    """Return the permanent key of an item: `source#guid` hashed to 128 bits."""
    return UUID(bytes=hashlib.sha256(f"{source}#{guid}".encode()).digest()[:16])


def fingerprint(*parts: object) -> str:
    """Return a guid for a row without one: a digest of its parts, ignoring case and spacing."""
    text = "\x1f".join(one_line(str(part)).casefold() for part in parts)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def digest(item: Item) -> UUID:
    """Return a digest of a row's content, which shows whether an item's row has changed."""
    content = msgspec.json.encode(
        replace(item, line=0, collection_details={}, warning=""), order="deterministic"
    )
    return UUID(bytes=hashlib.sha256(content).digest()[:16])


def clean(text: object) -> str:
    """Return a text without characters that cannot be stored; "" for other values."""
    return INVISIBLE.sub("", text).strip() if isinstance(text, str) else ""


def one_line(text: object) -> str:
    """Return a text on one line, with each run of white space as a single space."""
    return " ".join(clean(text).split())


def collection_name(path: Iterable[str]) -> str:
    """Return the name of the collection for a path of folder names, cut to its limit."""
    return one_line(" / ".join(path))[:COLLECTION_NAME_LENGTH].strip()


def encode(items: list[Item]) -> bytes:
    """Return items as JSON, the form in which a batch stores them."""
    return msgspec.json.encode(items)


_decoder = msgspec.json.Decoder(list[Item])


def decode(content: bytes) -> list[Item]:
    """Return the items of a batch from its JSON."""
    return _decoder.decode(content)
