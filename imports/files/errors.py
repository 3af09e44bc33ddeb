"""The exception for files that cannot be imported."""

from __future__ import annotations


class Unreadable(Exception):
    """The file cannot be read any further; the message says why and what to do.

    `code` is the reason as a machine-readable word; `line` is its place, 0 for the whole file.
    """

    def __init__(self, code: str, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.line = line
