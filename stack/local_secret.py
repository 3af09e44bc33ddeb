"""Secrets of the local stack: generated once, then kept in its data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def local_secret(data: Path, name: str, *, length: int = 48) -> str:
    """Return the secret of this name; on first use, generate it from `length` random bytes.

    Only the file's owner can read it.
    """
    path = data / name
    data.mkdir(parents=True, exist_ok=True)
    try:
        # O_EXCL: of two processes that start at once, one creates the file; the other reads it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w") as file:
        secret = secrets.token_urlsafe(length)
        file.write(secret)
    return secret
