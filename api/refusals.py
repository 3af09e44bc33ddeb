"""Refusals that other packages raise. This module imports nothing, so any process may load it."""

from __future__ import annotations


class TryLater(Exception):
    """A request came too soon: the same one may succeed after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
