"""Measure the costs of a run: CPU seconds by component, memory, and WAL bytes."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any

import psycopg
import redis

from benchmarks.servers import Processes, server_seconds
from benchmarks.work import scalar
from stack.embedded import Servers

SAMPLE_SECONDS = 0.05


class Meter:
    """Measures a run from its creation until `end`."""

    def __init__(self, servers: Servers, session: psycopg.Connection, processes: Processes) -> None:
        self.servers, self.session, self.processes = servers, session, processes
        self.wal = self._wal()
        self.broker = self.broker_peak = self._broker_bytes()
        self._ended = threading.Event()
        threading.Thread(target=self._sample, daemon=True).start()
        self.cpu = self._cpu()
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return round(time.monotonic() - self.began, 4)

    def end(self) -> dict[str, Any]:
        """Stop, and return the figures; the broker's bytes are the growth to its peak."""
        seconds, cpu = self.seconds, self._cpu()
        self._ended.set()
        return {
            "seconds": seconds,
            "cpu": {name: round(cpu[name] - self.cpu.get(name, 0.0), 3) for name in cpu},
            "wal_bytes": self._wal() - self.wal,
            "memory": self.processes.memory(),
            "broker_bytes": self.broker_peak - self.broker,
        }

    def _cpu(self) -> dict[str, float]:
        return (
            self.processes.cpu_seconds()
            | server_seconds(self.servers)
            | {"benchmark": time.process_time()}
        )

    def _wal(self) -> int:
        return int(scalar(self.session, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))

    def _broker_bytes(self) -> int:
        with closing(redis.Redis.from_url(self.servers.unix_url)) as broker:
            return int(broker.info("memory")["used_memory"])

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.broker_peak = max(self.broker_peak, self._broker_bytes())
