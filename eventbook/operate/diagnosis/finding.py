"""The result of a check, and how a duration is written in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Finding:
    """The result of one check: its subject, whether that is well, and if not, what to do."""

    subject: str
    well: bool
    text: str
    advice: str = ""

    @classmethod
    def ok(cls, subject: str, text: str) -> Self:
        """Return the finding of a subject that is well."""
        return cls(subject, True, text)

    @classmethod
    def bad(cls, subject: str, text: str, advice: str) -> Self:
        """Return the finding of a fault, with advice how to repair it."""
        return cls(subject, False, text, advice)


class Unreachable(Finding):
    """The finding of a server that does not respond: checks that need the server are skipped."""


def duration(seconds: float) -> str:
    """Return a duration as text, in the largest unit that has at least two: `90 s`, `3 min`."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
