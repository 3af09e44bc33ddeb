"""Refusals that other packages raise. This module imports nothing, so any process may load it."""

from __future__ import annotations

# What a 503 response suggests in `Retry-After`.
RETRY_AFTER_SECONDS = 5


class TryLater(Exception):
    """A request came too soon: the same one may succeed after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
