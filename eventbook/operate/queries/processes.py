"""The long-running processes, as each last wrote its row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from eventbook.conf import conf
from eventbook.operate.queries.values import records, rows, scalar

# A process is alive if it has written its row within this time: it writes every 5 seconds.
ALIVE_SECONDS = 15
ALIVE = f"seen_at > now() - interval '{ALIVE_SECONDS} seconds'"


class ProcessState(StrEnum):
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
    def state(self) -> ProcessState:
        """Return SILENT if the row is no longer written, STALLED without progress, else RUNNING."""
        if self.seen_seconds_ago > ALIVE_SECONDS:
            return ProcessState.SILENT
        stalled = self.progressed_seconds_ago > conf.HEALTH_STALL_SECONDS + ALIVE_SECONDS
        return ProcessState.STALLED if stalled else ProcessState.RUNNING


PROCESSES = """
    SELECT "group", host, pid, release, queues, concurrency, memory_bytes, memory_limit_bytes,
           clock_ahead_seconds, trouble, started_at,
           extract(epoch FROM now() - started_at)::float AS age_seconds,
           extract(epoch FROM now() - seen_at)::float AS seen_seconds_ago,
           extract(epoch FROM seen_at - progressed_at)::float AS progressed_seconds_ago
    FROM eventbook_process ORDER BY "group", host, started_at
"""


WORKERS = f"""
    SELECT queue, count(*) FROM eventbook_process, unnest(queues) AS queue
    WHERE {ALIVE} GROUP BY queue
"""  # noqa: S608 - put together from constants
INLINE_RELAYS = f"""
    SELECT count(*) FROM eventbook_process
    WHERE {ALIVE} AND "group" = 'relay' AND cardinality(queues) > 0
"""  # noqa: S608
# The process that uses the largest share of its memory limit comes first.
FULLEST = "ORDER BY memory_bytes::float / nullif(memory_limit_bytes, 0) DESC NULLS LAST"
GROUPS = f"""
    SELECT CASE WHEN "group" = ANY(%s) THEN "group" ELSE %s END AS name, count(*) AS processes,
           (array_agg(memory_bytes {FULLEST}))[1] AS memory_bytes,
           (array_agg(memory_limit_bytes {FULLEST}))[1] AS memory_limit_bytes,
           max(abs(clock_ahead_seconds)) AS clock_ahead_seconds
    FROM eventbook_process WHERE {ALIVE} GROUP BY 1 ORDER BY 1
"""  # noqa: S608
STREAMS = f"SELECT coalesce(sum(streams), 0) FROM eventbook_process WHERE {ALIVE}"  # noqa: S608


def processes() -> list[ProcessStatus]:
    """Return the running processes, and those that ended without a goodbye.

    A process that starts deletes the rows of processes that have been silent for a day.
    """
    return records(ProcessStatus, PROCESSES)


def live_workers(queue: str) -> list[ProcessStatus]:
    """Return the live processes that consume a queue, stalled ones too."""
    return [
        process
        for process in processes()
        if process.state != ProcessState.SILENT and queue in process.queues
    ]


def workers_by_queue() -> dict[str, int]:
    """Return how many live processes consume each queue; a queue without any is left out."""
    return dict(rows(WORKERS))


def inline_relays() -> int:
    """Return how many live relays run the handlers themselves (`relay --inline`)."""
    ((count,),) = rows(INLINE_RELAYS)
    return int(count)


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The live processes of one group: their number, and the worst figures among them."""

    name: str
    processes: int
    memory_bytes: int
    memory_limit_bytes: int  # 0 if unknown
    clock_ahead_seconds: float


def process_groups(known: list[str], *, other: str) -> list[ProcessGroup]:
    """Return the groups that have live processes; unknown groups are merged under `other`."""
    return records(ProcessGroup, GROUPS, [known, other])


def open_streams() -> int:
    """Return how many streams the live processes hold open."""
    return int(scalar(STREAMS))
