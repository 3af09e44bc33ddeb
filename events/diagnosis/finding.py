from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, and if not, what to do."""

    subject: str
    well: bool
    text: str
    advice: str = ""


def duration(seconds: float) -> str:
    """Return how long something has lasted, in the unit that people would use."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
