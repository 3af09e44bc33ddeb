"""Secrets of the local stack: made once, kept in its data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def local_secret(data: Path, name: str, *, length: int = 48) -> str:
    """Return the secret of that name, made at first use of `length` random bytes.

    Only its owner can read it.
    """
    path = data / name
    data.mkdir(parents=True, exist_ok=True)
    try:
        # O_EXCL: of two processes that start at once, one makes it and the other reads it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w") as file:
        secret = secrets.token_urlsafe(length)
        file.write(secret)
    return secret
