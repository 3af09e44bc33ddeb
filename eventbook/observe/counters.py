"""Counters and histograms in PostgreSQL, which every process adds to.

A process counts in memory and flushes its counts once a second, in one statement. So the figures
are the same whichever process is scraped. A process that is killed loses the counts of its last
second or two.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache, partial
from math import inf
from typing import Any

from celery.signals import worker_process_shutdown
from django.db import DatabaseError, InterfaceError, connection

from eventbook.database.statements import RELAXED_COMMIT, execute
from eventbook.observe.failures import connection_error
from eventbook.observe.families import FAMILIES

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0  # between two flushes of one process
LAST_FLUSH_SECONDS = 2.0  # how long a stopping process waits for its last flush

# All processes lock the rows in one order, which avoids deadlocks. The commit does not wait for the
# disk: a crash of PostgreSQL loses the last counts only.
FLUSH = f"""
    WITH {RELAXED_COMMIT}
    INSERT INTO eventbook_measure AS measure (metric, labels, bound, value)
    SELECT metric, labels, bound, added
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::float[])
         AS flushed (metric, labels, bound, added), relaxed
    ORDER BY metric, labels, bound
    ON CONFLICT (metric, labels, bound) DO UPDATE SET value = measure.value + excluded.value
"""  # noqa: S608 - put together from constants

Pairs = tuple[tuple[str, str], ...]
# (metric, labels, upper bound of a bucket); the bound is None for a counter or a histogram's sum.
Key = tuple[str, Pairs, float | None]


class _Memory:
    """The counts of this process since its last flush."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start empty: a forked child must not flush its parent's counts, nor wait for its lock."""
        self.lock = threading.Lock()
        self.added: defaultdict[Key, float] = defaultdict(float)
        self.flushed = 0.0


_memory = _Memory()
os.register_at_fork(after_in_child=_memory.reset)


def count(metric: str, amount: float = 1, **labels: str) -> None:
    """Add to a counter, one of those in eventbook/observe/families.py."""
    key = (metric, tuple(labels.items()), None)
    with _memory.lock:
        _memory.added[key] += amount


def observe(metric: str, value: float, amount: int = 1, **labels: str) -> None:
    """Add a value to a histogram, `amount` times: a duration in seconds, or a size."""
    bounds, pairs = _bounds(metric), tuple(labels.items())
    with _memory.lock:
        _memory.added[metric, pairs, None] += value * amount
        _memory.added[metric, pairs, bounds[bisect_left(bounds, value)]] += amount


def observe_each(metric: str, values: Sequence[float], **labels: str) -> None:
    """Add many values to a histogram."""
    bounds, pairs = _bounds(metric), tuple(labels.items())
    places = Counter(map(partial(bisect_left, bounds), values))
    with _memory.lock:
        _memory.added[metric, pairs, None] += sum(values)
        for place, times in places.items():
            _memory.added[metric, pairs, bounds[place]] += times


@cache
def _bounds(metric: str) -> tuple[float, ...]:
    """Return the bucket bounds of a histogram, with +Inf; raise ValueError for a counter."""
    bounds = FAMILIES[metric].bounds
    if bounds is None:
        raise ValueError(f"{metric} is a counter: use count().")
    return (*bounds(), inf)


def pending() -> bool:
    """Return whether there are counts to flush."""
    return bool(_memory.added)


def forget() -> None:
    """Drop the counts that are not flushed yet."""
    _memory.reset()


def flush(*, older_than: float = 0.0) -> None:
    """Write the counts, unless the last flush is less than `older_than` seconds ago.

    Never raises a database error: after one, the counts are kept for the next flush.
    """
    if not _memory.added or time.monotonic() < _memory.flushed + older_than:
        return
    with _memory.lock:
        added, _memory.added = _memory.added, defaultdict(float)
        _memory.flushed = time.monotonic()
    try:
        execute(FLUSH, _columns(added))
    except BaseException as error:
        with _memory.lock:
            for key, amount in added.items():
                _memory.added[key] += amount
        if not isinstance(error, DatabaseError | InterfaceError):
            raise
        logger.warning("metrics.flush_failed", extra={"error": connection_error(error)})
        connection.close()


def _columns(added: dict[Key, float]) -> list[list[Any]]:
    """Return the counts as columns: metrics, labels, bounds and values."""
    rows: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for (metric, pairs, bound), amount in added.items():
        rows[metric, labels_text(dict(pairs)), bound_text(bound)] += amount
    keys = [list(column) for column in zip(*rows, strict=True)]
    return [*keys, list(rows.values())]


def labels_text(labels: dict[str, str]) -> str:
    """Return labels as they are stored: a JSON object with sorted names."""
    return json.dumps(labels, sort_keys=True)


def bound_text(bound: float | None) -> str:
    """Return a bucket's bound as it is stored, and shown in the label `le`."""
    if bound is None:
        return ""
    return "+Inf" if bound == inf else str(float(bound))


def flush_at_exit(**_: Any) -> None:
    """Flush the counts of a child process that stops normally, or give up after two seconds.

    In a thread with its own connection: the main thread's may be in the middle of a statement, or
    wait for a server that is gone.
    """
    last = threading.Thread(target=flush, daemon=True)
    last.start()
    last.join(LAST_FLUSH_SECONDS)


worker_process_shutdown.connect(flush_at_exit, weak=False)
