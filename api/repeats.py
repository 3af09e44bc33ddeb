"""The storage of responses by `Idempotency-Key`."""

from __future__ import annotations

from api.models import IdempotentRequest
from eventbook.database import execute

MAX_KEY_LENGTH = 255

# Waits for an open transaction that has claimed the same key; inserts nothing if that commits.
CLAIM = """
    INSERT INTO api_idempotentrequest (key, body_digest, content_type, created_at)
    VALUES (%s, %s, '', now()) ON CONFLICT (key) DO NOTHING
"""
KEEP = """
    UPDATE api_idempotentrequest SET status = %s, content_type = %s, answer = %s
    WHERE key = %s
"""


def claim(name: str, body_digest: str) -> IdempotentRequest | None:
    """Claim a key in the current transaction; return None, or the earlier request that used it."""
    while not execute(CLAIM, [name, body_digest]).count:
        if kept := IdempotentRequest.objects.filter(key=name).first():
            return kept
        # The earlier request was deleted just now, for its age: the key is free, so try again.
    return None


def keep(name: str, *, status: int, content_type: str, content: bytes) -> None:
    """Store the response of the request that claimed this key."""
    execute(KEEP, [status, content_type, content, name])
