"""The cursor of a stream: the position that a reconnecting client sends as its Last-Event-ID.

A version of a row is new to a stream if its transaction had not ended at the last full poll. The
`horizon` is the xmin of that poll's snapshot: all transactions below it had ended, and their rows
have been sent. Transactions above it may have ended; the cursor has a mark, a short hash, of each
of their row versions that was sent. So a late commit is not missed, and no version is sent twice.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

MARK_LENGTH = 8
MOST_TOLD = 200  # marks in a cursor: they must fit in a header
TOO_MANY = "!"
FORM = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,9})-((?:[A-Za-z0-9_-]{8})*)")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the database, by its transactions and its clock."""

    horizon: int  # all transactions below have ended
    next: int  # the id of the next transaction
    at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a client has received: all below the horizon, and the row versions with these marks."""

    horizon: int
    at: int  # the time of the horizon: seconds since 1970, by PostgreSQL's clock
    told: frozenset[str]


def written(horizon: int, at: float, told: Iterable[str]) -> str:
    """Return a cursor as text. With too many marks, `read` refuses it, which resets the client."""
    marks = list(told)
    rest = TOO_MANY if len(marks) > MOST_TOLD else "".join(marks)
    return f"{horizon:x}-{int(at):x}-{rest}"


def read(text: str) -> Cursor | None:
    """Return the cursor that a text holds, or None if it is not a valid one."""
    found = FORM.fullmatch(text)
    if found is None or len(found[3]) > MOST_TOLD * MARK_LENGTH:
        return None
    marks = (found[3][n : n + MARK_LENGTH] for n in range(0, len(found[3]), MARK_LENGTH))
    return Cursor(int(found[1], 16), int(found[2], 16), frozenset(marks))


def mark_of(source: str, key: UUID, xid: int) -> str:
    """Return the mark of one version of a row."""
    digest = blake2b(f"{source} {key} {xid}".encode(), digest_size=6).digest()
    return urlsafe_b64encode(digest).decode()
