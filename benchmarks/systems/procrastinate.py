from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks.servers import environment, wait_until
from benchmarks.systems.base import System
from benchmarks.work import Work

QUEUES = ("notifications", "feeds")
SCHEMA = "procrastinate"  # of its own tables
PROCESSES, CONCURRENCY = 1, 15
DELETE = "successful"
PRODUCERS = 15
BULK = 500
LEFT = f"""
    SELECT EXISTS (
        SELECT FROM {SCHEMA}.procrastinate_jobs WHERE status IN ('todo', 'doing')
    )
"""


class Procrastinate(System):
    """Procrastinate: PostgreSQL is the queue, a worker process each, 15 jobs at once."""

    def __init__(self, *, in_batches: bool) -> None:
        super().__init__()
        self.in_batches = in_batches

    def launch(self) -> None:
        """This makes the tables, opens the producer's connections, and starts the workers."""
        self.session.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        self.session.execute(f"CREATE SCHEMA {SCHEMA}")
        self.producer = asyncio.Runner()
        self.producer.run(_open())
        for queue in QUEUES:
            command = [
                "python", "-m", "procrastinate", "--app", "benchmarks.procrastinate.tasks.app",
                "--log-level", "warning", "worker", "--queues", queue,
                "--concurrency", str(CONCURRENCY), "--delete-jobs", DELETE,
            ]  # fmt: skip
            for number in range(PROCESSES):
                self.processes.start(f"{queue}-{number}", command, environment(self.servers))
        wait_until(
            self._is_ready, seconds=30, what="the workers are ready", processes=self.processes
        )

    def _is_ready(self) -> bool:
        found = self.session.execute(f"SELECT count(*) FROM {SCHEMA}.procrastinate_workers")
        return found.fetchone() == (len(QUEUES) * PROCESSES,)

    def enqueue(self, work: Work) -> None:
        """This defers two jobs a card: one by one from 15 producers, or 500 by a statement."""
        cards = [str(id) for id, _ in work.cards]
        self.producer.run(_defer_batches(cards) if self.in_batches else _defer_each(cards))

    def is_done(self) -> bool:
        """This tells whether no job waits or runs."""
        return self.session.execute(LEFT).fetchone() == (False,)

    def stop(self) -> None:
        """This ends the workers, and forgets the tables."""
        super().stop()
        self.producer.run(_close())
        self.producer.close()
        self.session.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


async def _open() -> None:
    from benchmarks.procrastinate.tasks import app

    await app.open_async()
    await app.schema_manager.apply_schema_async()


async def _close() -> None:
    from benchmarks.procrastinate.tasks import app

    await app.close_async()


async def _defer_each(cards: list[str]) -> None:
    rest = iter(cards)
    await asyncio.gather(*[_defer(rest) for _ in range(PRODUCERS)])


async def _defer(cards: Iterator[str]) -> None:
    from benchmarks.procrastinate.tasks import fan_out, notify

    for card in cards:
        await asyncio.gather(notify.defer_async(card_id=card), fan_out.defer_async(card_id=card))


async def _defer_batches(cards: list[str]) -> None:
    from benchmarks.procrastinate.tasks import fan_out, notify

    for at in range(0, len(cards), BULK):
        jobs = [{"card_id": card} for card in cards[at : at + BULK]]
        await asyncio.gather(notify.batch_defer_async(*jobs), fan_out.batch_defer_async(*jobs))
