"""Requests that are sent again under one `Idempotency-Key`: who finds what was answered before."""

from __future__ import annotations

from accounts.models import IdempotentRequest
from events.sql import execute

MAX_KEY_LENGTH = 255

# Waits for a transaction that has the same key, and inserts nothing if that one commits.
CLAIM = """
    INSERT INTO accounts_idempotentrequest (key, body_digest, content_type, created_at)
    VALUES (%s, %s, '', now()) ON CONFLICT (key) DO NOTHING
"""
KEEP = """
    UPDATE accounts_idempotentrequest SET status = %s, content_type = %s, answer = %s
    WHERE key = %s
"""


def claim(name: str, body_digest: str) -> IdempotentRequest | None:
    """Claim a key in the present transaction; return what was kept under it, if it was used."""
    while not execute(CLAIM, [name, body_digest]).count:
        if kept := IdempotentRequest.objects.filter(key=name).first():
            return kept
        # It has just been too old to be kept any longer, so the key is free again.
    return None


def keep(name: str, *, status: int, content_type: str, content: bytes) -> None:
    """Keep the response to the request that claimed a key."""
    execute(KEEP, [status, content_type, content, name])
