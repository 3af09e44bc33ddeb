"""What a run costs: CPU seconds by component, memory, and what is written to disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import redis

from benchmarks.servers import Processes, server_seconds
from config.embedded import Servers


class Meter:
    """The figures of one run, from when it is made until `read`."""

    def __init__(self, servers: Servers, session: psycopg.Connection, processes: Processes) -> None:
        self.servers, self.session, self.processes = servers, session, processes
        self.wal = self._wal()
        self.cpu = self._cpu()
        self.began = time.monotonic()

    def read(self) -> dict[str, Any]:
        """This answers the seconds and CPU seconds since, bytes of WAL, and memory as it is."""
        seconds = time.monotonic() - self.began
        cpu = self._cpu()
        return {
            "seconds": round(seconds, 4),
            "cpu": {name: round(cpu[name] - self.cpu.get(name, 0.0), 3) for name in cpu},
            "wal_bytes": self._wal() - self.wal,
            "memory": self.processes.memory(),
            "broker_bytes": self._broker_bytes(),
        }

    def _cpu(self) -> dict[str, float]:
        return (
            self.processes.cpu_seconds()
            | server_seconds(self.servers)
            | {"benchmark": time.process_time()}
        )

    def _wal(self) -> int:
        row = self.session.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
        assert row
        return int(row[0])

    def _broker_bytes(self) -> int:
        with closing(redis.Redis.from_url(self.servers.unix_url)) as broker:
            return int(broker.info("memory")["used_memory_peak"])


@contextmanager
def fresh_peak(servers: Servers) -> Iterator[None]:
    """This lets the broker's peak of memory begin anew."""
    with closing(redis.Redis.from_url(servers.unix_url)) as broker:
        broker.config_resetstat()
    yield
