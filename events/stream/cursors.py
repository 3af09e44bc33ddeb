"""How far a stream is, as its client tells it when it comes again (Last-Event-ID).

A row is new to a stream if a transaction wrote it that had not ended when the stream looked last.
All transactions below the `horizon` (the xmin of a snapshot) had ended, so what they wrote has been
told; those above it may have, and the marks of what was told of theirs are in the cursor. So what
commits late is not missed, whatever its key is, and nothing is told twice.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

MARK_LENGTH = 8
MOST_TOLD = 200  # of a cursor; a header has room for it
TOO_MANY = "!"
FORM = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,9})-((?:[A-Za-z0-9_-]{8})*)")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the database: all transactions below the horizon have ended; `next` is next."""

    horizon: int
    next: int
    at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Cursor:
    """What was told: all below the horizon, and what has one of the marks."""

    horizon: int
    at: int  # when that was so: seconds since 1970, by PostgreSQL's clock
    told: frozenset[str]


def written(horizon: int, at: float, told: Iterable[str]) -> str:
    """Return a cursor as a text; with too many marks, it is one that resets its client."""
    marks = list(told)
    rest = TOO_MANY if len(marks) > MOST_TOLD else "".join(marks)
    return f"{horizon:x}-{int(at):x}-{rest}"


def read(text: str) -> Cursor | None:
    """Return the cursor of a text, or nothing if it is none of ours."""
    found = FORM.fullmatch(text)
    if found is None or len(found[3]) > MOST_TOLD * MARK_LENGTH:
        return None
    marks = (found[3][n : n + MARK_LENGTH] for n in range(0, len(found[3]), MARK_LENGTH))
    return Cursor(int(found[1], 16), int(found[2], 16), frozenset(marks))


def mark_of(source: str, key: UUID, xid: int) -> str:
    """Return the mark of one version of a row."""
    digest = blake2b(f"{source} {key} {xid}".encode(), digest_size=6).digest()
    return urlsafe_b64encode(digest).decode()
