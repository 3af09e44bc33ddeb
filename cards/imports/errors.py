"""Why something could not be imported."""

from __future__ import annotations


class Unreadable(Exception):
    """The file cannot be read any further; the message says why, and what to do.

    `code` names the reason for programs; `line` is where it is, 0 for the whole file.
    """

    def __init__(self, code: str, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.line = line
