"""The systems that are compared; all do the same work (benchmarks/work.py)."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.systems.base import System
from benchmarks.systems.bullmq import BullMQ
from benchmarks.systems.celery import PlainCelery
from benchmarks.systems.commonplace import Commonplace, Inline, OnRabbitMQ
from benchmarks.systems.dramatiq import Dramatiq
from benchmarks.systems.procrastinate import Procrastinate
from benchmarks.systems.sql import SQL

SYSTEMS: dict[str, Callable[[], System]] = {
    "Commonplace": Commonplace,
    "BullMQ add": lambda: BullMQ("add"),
    "BullMQ addBulk": lambda: BullMQ("addBulk"),
    "BullMQ batches of 100": lambda: BullMQ("batches of 100"),
    "Celery": lambda: PlainCelery(keeps_connection=False),
    "Celery, connection kept": lambda: PlainCelery(keeps_connection=True),
    "Dramatiq": Dramatiq,
    "Dramatiq, idle for 20 ms": lambda: Dramatiq(longest_wait_ms=20),
    "Procrastinate": lambda: Procrastinate(in_batches=False),
    "Procrastinate batch_defer": lambda: Procrastinate(in_batches=True),
    "SQL": SQL,
}
# Measured beside each other, in a part of its own.
BROKERS: dict[str, Callable[[], System]] = {
    system.name: system for system in (Commonplace, OnRabbitMQ, Inline)
}
