"""The exception for files that cannot be imported."""

from __future__ import annotations

from imports import limits
from imports.files.items import Problem

# A message for XML that could read other files, or grow without limit.
ENTITIES = "The XML declares entities or refers to other files. Remove its DOCTYPE."


class Unreadable(Exception):
    """The file cannot be read any further; the message says why and what to do.

    `code` is the reason as a machine-readable word; `line` is its place, 0 for the whole file.
    """

    def __init__(self, code: str, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.line = line

    def as_problem(self) -> Problem:
        """Return the problem that reports this error beside the rows that could be read."""
        return Problem(line=self.line, code=self.code, detail=str(self))


def too_deep(what: str, *, line: int = 0) -> Unreadable:
    """Return the error for folders or elements (`what`) nested deeper than IMPORT_DEPTH."""
    message = f"{what} are nested more than {limits.IMPORT_DEPTH} deep."
    return Unreadable("too_deep", message, line=line)
