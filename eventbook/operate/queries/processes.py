"""The long-running processes, as each last wrote its row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import connection

from eventbook.conf import conf

# A process that has not written its row for this long is gone: it writes every 5 seconds.
SEEN_SECONDS = 15


class State(StrEnum):
    """The state of a process, as its row shows it."""

    RUNNING = "running"
    # It writes its row, but makes no progress.
    STALLED = "stalled"
    # It no longer writes its row: it was killed, is frozen, or can't reach the database.
    SILENT = "silent"


@dataclass(frozen=True, kw_only=True)
class ProcessStatus:
    """A process as its row shows it; one that ended normally has deleted its row."""

    group: str
    host: str
    pid: int
    release: str
    queues: list[str]
    concurrency: int
    memory_bytes: int
    memory_limit_bytes: int
    clock_ahead_seconds: float
    trouble: str
    started_at: datetime
    age_seconds: float
    seen_seconds_ago: float
    progressed_seconds_ago: float

    @property
    def name(self) -> str:
        """The process's name in messages: group, host and pid."""
        return f"{self.group} on {self.host}, process {self.pid}"

    @property
    def state(self) -> State:
        """Return the state of the process."""
        if self.seen_seconds_ago > SEEN_SECONDS:
            return State.SILENT
        stalled = self.progressed_seconds_ago > conf.HEALTH_STALL_SECONDS + SEEN_SECONDS
        return State.STALLED if stalled else State.RUNNING


PROCESSES = """
    SELECT "group", host, pid, release, queues, concurrency, memory_bytes, memory_limit_bytes,
           clock_ahead_seconds, trouble, started_at,
           extract(epoch FROM now() - started_at)::float AS age_seconds,
           extract(epoch FROM now() - seen_at)::float AS seen_seconds_ago,
           extract(epoch FROM seen_at - progressed_at)::float AS progressed_seconds_ago
    FROM eventbook_process ORDER BY "group", host, started_at
"""


def processes() -> list[ProcessStatus]:
    """Return the running processes, and those that fell silent in the last day."""
    with connection.cursor() as cursor:
        cursor.execute(PROCESSES)
        names = [column.name for column in cursor.description]
        return [ProcessStatus(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def present() -> list[ProcessStatus]:
    """Return the processes that still write their rows, stalled ones too."""
    return [process for process in processes() if process.state != State.SILENT]


def workers_of(queue: str) -> list[ProcessStatus]:
    """Return the present workers that consume a queue."""
    return [process for process in present() if queue in process.queues]
