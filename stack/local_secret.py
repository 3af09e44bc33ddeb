"""Secrets of the local stack: generated once, then kept in its data directory."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile


def local_secret(data: Path, name: str, *, length: int = 48) -> str:
    """Return the secret of this name; on first use, generate it from `length` random bytes.

    Only the file's owner can read it.
    """
    path = data / name
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=data) as file:
            file.write(secrets.token_urlsafe(length))
            file.flush()
            # Of two processes that start at once, one links its complete file; both read that one.
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text(encoding="utf-8").strip()
