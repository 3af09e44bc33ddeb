"""The cursor of a stream: the position that a reconnecting client sends as its Last-Event-ID.

A version of a row is new to a stream if its transaction had not ended at the last full poll. The
`horizon` is the xmin of that poll's snapshot: all transactions below it had ended, and their rows
have been sent. Transactions above it may have ended; the cursor has a mark, a short hash, of each
of their row versions that was sent. So a late commit is not missed, and no version is sent twice.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

MARK_LENGTH = 8
MAX_MARKS = 200  # in a cursor, which must fit in a header
TOO_MANY = "!"
FORM = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,9})-((?:[A-Za-z0-9_-]{8})*)")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the database, by its transactions and its clock."""

    horizon: int  # all transactions below have ended
    next_xid: int  # the id of the next transaction
    at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a client has received: all below the horizon, and the row versions with these marks."""

    horizon: int
    at: int  # the time of the horizon: seconds since 1970, by PostgreSQL's clock
    marks: frozenset[str]


def format_cursor(horizon: int, at: float, marks: Collection[str]) -> str:
    """Return a cursor as text.

    With too many marks, `parse_cursor` refuses the text, which resets the client.
    """
    rest = TOO_MANY if len(marks) > MAX_MARKS else "".join(marks)
    return f"{horizon:x}-{int(at):x}-{rest}"


def parse_cursor(text: str) -> Cursor | None:
    """Return the cursor that a text holds, or None if it is not a valid one."""
    found = FORM.fullmatch(text)
    if found is None or len(found[3]) > MAX_MARKS * MARK_LENGTH:
        return None
    marks = (found[3][n : n + MARK_LENGTH] for n in range(0, len(found[3]), MARK_LENGTH))
    return Cursor(int(found[1], 16), int(found[2], 16), frozenset(marks))


def mark_of(source: str, key: UUID, xid: int) -> str:
    """Return the mark of one version of a row."""
    digest = blake2b(f"{source} {key} {xid}".encode(), digest_size=6).digest()
    return urlsafe_b64encode(digest).decode()
