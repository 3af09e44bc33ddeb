"""What a handler gets of a burst of events: the last one, or one each so many seconds, by key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Returns an event's key: a handler's events with one key are a burst.
Key = Callable[[Any], str]


@dataclass(frozen=True, kw_only=True)
class Debounce:
    """Only the last event of a burst, `seconds` after it; at the latest `longest` after the first.

    A burst ends when no event with its key has come for `seconds`. Raise ValueError unless
    0 < seconds <= longest.
    """

    key: Key
    seconds: float
    longest: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= (self.seconds if self.longest is None else self.longest):
            raise ValueError("`seconds` must be more than 0, and `longest` not less.")

    def __str__(self) -> str:
        end = "" if self.longest is None else f", at most {self.longest} s"
        return f"by key, only the last event before {self.seconds} s without one{end}"


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """At most one event in `seconds`: the first at once, then the last one that has come since.

    Raise ValueError unless `seconds` is more than 0.
    """

    key: Key
    seconds: float

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError("`seconds` must be more than 0.")

    def __str__(self) -> str:
        return f"by key, at most one event each {self.seconds} s"


Burst = Debounce | Throttle
