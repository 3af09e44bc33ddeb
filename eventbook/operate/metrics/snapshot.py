"""A cache of the metrics: concurrent scrapes share one collection, which has a time limit."""

from __future__ import annotations

import threading
import time

from django.db import DatabaseError, InterfaceError
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from eventbook.operate.metrics.collector import READERS

KEEP_SECONDS = 1.0  # how long a collection is reused for other scrapes
LIMIT_SECONDS = 5.0  # after which a collection begins no further query


class MetricsUnavailable(Exception):
    """The database can't be reached, or is too slow for a scrape: run `manage.py doctor`."""


class Snapshot(Collector):
    """The metrics, collected at most once a second; a failure is cached for as long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._failure = ""
        self._until = 0.0

    def collect(self) -> list[Metric]:
        """Return all metrics, or raise MetricsUnavailable."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._read()
            if self._failure:
                raise MetricsUnavailable(self._failure)
            return self._metrics

    def clear(self) -> None:
        """Drop the cached metrics: the next `collect` reads again."""
        self._until = 0.0

    def _read(self) -> None:
        """Read all metrics, or keep the reason why that failed."""
        metrics: list[Metric] = []
        self._metrics, self._failure = [], "The last collection ended with an error: see the log."
        deadline = time.monotonic() + LIMIT_SECONDS
        try:
            for reader in READERS:
                if time.monotonic() > deadline:
                    self._failure = f"PostgreSQL took more than {LIMIT_SECONDS:g} s."
                    return
                metrics += reader()
            self._metrics, self._failure = metrics, ""
        except (DatabaseError, InterfaceError) as error:
            self._failure = str(error) or type(error).__name__
        finally:
            self._until = time.monotonic() + KEEP_SECONDS


snapshot = Snapshot()


def exposition(accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that an `Accept` header names, and its content type.

    Raise MetricsUnavailable when the database can't be reached or is too slow.
    """
    encode, content_type = choose_encoder(accept)
    return encode(snapshot), content_type
