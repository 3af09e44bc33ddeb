"""When schedules run: every so often, or by a cron expression in a time zone.

The moment of a run is a *slot*. Slots are times in UTC; the same declaration has the same slots in
every process.

At a change of the clock, a cron expression with fixed hours runs once for each of its times of day:
a time that doesn't exist is replaced by the next moment that does, and of a time that occurs twice
the first counts. If the hour is `*`, the clock's hours count as they pass, twice or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

EPOCH = datetime.fromtimestamp(0, UTC)
FIELDS = 5
# To find the last slot of a cron expression, slots are listed from so long before: the fewest that
# are enough.
LOOK_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=40))


class Timing(Protocol):
    """The slots of a schedule; `str` describes them to operators."""

    # Whether a new schedule runs at once, as if the slot before had just passed.
    starts_at_once: bool

    def latest(self, *, since: datetime, now: datetime) -> datetime | None:
        """Return the last slot after `since`, and not after `now`; None if there is none."""

    def next(self, now: datetime) -> datetime | None:
        """Return the first slot after a time; None if there is none in the next 50 years."""


@dataclass(frozen=True)
class Every:
    """A slot at every multiple of an interval since 1970-01-01T00:00Z."""

    interval: timedelta
    starts_at_once = True

    def __post_init__(self) -> None:
        if self.interval <= timedelta():
            raise ValueError(f"The interval of a schedule can't be {self.interval}.")

    def latest(self, *, since: datetime, now: datetime) -> datetime | None:
        slot = now - (now - EPOCH) % self.interval
        return slot if slot > since else None

    def next(self, now: datetime) -> datetime:
        return now - (now - EPOCH) % self.interval + self.interval

    def __str__(self) -> str:
        return f"every {self.interval}"


@dataclass(frozen=True)
class Cron:
    """The slots of a cron expression of five fields, in a time zone of the IANA database.

    Fields are read as Debian's cron does (https://github.com/cuu508/cronsim). Raise ValueError for
    an invalid expression, one without slots, or an unknown zone.
    """

    expression: str
    zone: str
    starts_at_once = False

    def __post_init__(self) -> None:
        if len(self.expression.split()) != FIELDS:
            raise ValueError(f"{self.expression!r} is no cron expression of five fields.")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"There is no time zone {self.zone!r}.") from None
        try:
            found = self.next(EPOCH)
        except CronSimError as error:
            raise ValueError(f"{self.expression!r} is no cron expression: {error}.") from None
        if found is None:
            raise ValueError(f"{self.expression!r} has no slot.")

    def latest(self, *, since: datetime, now: datetime) -> datetime | None:
        for back in LOOK_BACK:
            if (slot := self._last(max(since, now - back), now)) or now - back <= since:
                return slot
        return self._last(since, now)

    def next(self, now: datetime) -> datetime | None:
        return next(self._after(now), None)

    def __str__(self) -> str:
        return f"{self.expression} ({self.zone})"

    def _last(self, since: datetime, now: datetime) -> datetime | None:
        slot = None
        for slot in takewhile(lambda slot: slot <= now, self._after(since)):  # noqa: B007
            pass
        return slot

    def _after(self, since: datetime) -> Iterator[datetime]:
        """Yield the slots after a time, in order."""
        minute, hour, *days = self.expression.split()
        local = since.astimezone(ZoneInfo(self.zone))
        if hour == "*":
            # Minute by minute, since the library steps over some where a clock changes by half an
            # hour (Lord Howe Island).
            minutes = CronSim(self.expression, local).minutes
            every_minute = CronSim(" ".join(["*", "*", *days]), local)
            times = (time for time in every_minute if time.minute in minutes)
        else:
            # The library, like cron, keeps to times of day where neither field begins with `*`.
            listed = [minute.replace("*", "0-59"), hour.replace("*", "0-23"), *days]
            times = (time for time in CronSim(" ".join(listed), local))
        # Compared in UTC, since two times of one zone are compared by the clock alone. After a
        # repeated hour, the first of them may lie before `since`.
        slots = (time.astimezone(UTC) for time in times)
        return (slot for slot in slots if slot > since)
