from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from benchmarks.servers import environment, wait_until
from benchmarks.systems.base import System
from benchmarks.work import Cards

QUEUES = ("notifications", "feeds")
SCHEMA = "procrastinate"  # for Procrastinate's tables
CONCURRENCY = 15
PRODUCERS = 15
BULK = 500
# The old jobs of a real installation. Without them, PostgreSQL's planner assumes empty tables, and
# keeps plans that cost four times the CPU.
HISTORY = f"""
    WITH job AS (
        INSERT INTO {SCHEMA}.procrastinate_jobs (queue_name, task_name, args, status, attempts)
        SELECT (ARRAY['notifications', 'feeds'])[1 + number % 2], 'benchmarks.procrastinate.tasks',
            jsonb_build_object('card_id', gen_random_uuid()), 'succeeded', 1
        FROM generate_series(1, 10000) AS number RETURNING id
    )
    INSERT INTO {SCHEMA}.procrastinate_events (job_id, type)
    SELECT job.id, unnest('{{deferred,started,succeeded}}'::{SCHEMA}.procrastinate_job_event_type[])
    FROM job
"""
UNFINISHED = f"""
    SELECT EXISTS (
        SELECT FROM {SCHEMA}.procrastinate_jobs WHERE status IN ('todo', 'doing')
    )
"""


class Procrastinate(System):
    """Procrastinate, with PostgreSQL as queue: one worker per queue, 15 concurrent jobs each.

    Finished jobs are kept, as is the default. Deleting them is not faster, and neither are two
    processes per queue.
    """

    share = 0.2

    def __init__(self, *, in_batches: bool) -> None:
        super().__init__()
        self.in_batches = in_batches
        self.name = "Procrastinate batch_defer" if in_batches else "Procrastinate"

    def launch(self) -> None:
        """Create the tables, open the producer's connections, and start the workers."""
        self.session.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        self.session.execute(f"CREATE SCHEMA {SCHEMA}")
        self.runner = asyncio.Runner()
        self.runner.run(_open())
        self.session.execute(HISTORY)
        for queue in QUEUES:
            command = [
                "python", "-m", "procrastinate", "--app", "benchmarks.procrastinate.tasks.app",
                "--log-level", "warning", "worker",
                "--queues", queue, "--concurrency", str(CONCURRENCY),
            ]  # fmt: skip
            self.processes.start(queue, command, environment(self.servers))
        wait_until(
            self._is_ready, seconds=30, what="the workers are ready", processes=self.processes
        )

    def _is_ready(self) -> bool:
        found = self.session.execute(f"SELECT count(*) FROM {SCHEMA}.procrastinate_workers")
        return found.fetchone() == (len(QUEUES),)

    def enqueue(self, cards: Cards) -> None:
        """Defer two jobs per card: one by one from 15 producers, or 500 per statement."""
        ids = [str(id) for id, _ in cards]
        self.runner.run(_defer_batches(ids) if self.in_batches else _defer_each(ids))

    def write(self, cards: Cards, *, writers: int, rate: float = 0) -> None:
        """Insert each card and defer its two jobs."""
        self.runner.run(_write(cards, writers, rate))

    def is_done(self) -> bool:
        """Return whether no job is waiting or running."""
        return self.session.execute(UNFINISHED).fetchone() == (False,)

    def stop(self) -> None:
        """End the workers, and drop the tables."""
        super().stop()
        self.runner.run(_close())
        self.runner.close()
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


async def _write(cards: Cards, writers: int, rate: float) -> None:
    from benchmarks.procrastinate.tasks import insert_card

    began = time.monotonic() + 0.01
    numbered = iter(enumerate(cards))

    async def work() -> None:
        for number, (id, curator) in numbered:
            if rate:
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            await insert_card(id, curator)
            await _defer(iter([str(id)]))

    await asyncio.gather(*[work() for _ in range(writers)])


async def _defer_batches(cards: list[str]) -> None:
    from benchmarks.procrastinate.tasks import fan_out, notify

    for at in range(0, len(cards), BULK):
        jobs = [{"card_id": card} for card in cards[at : at + BULK]]
        await asyncio.gather(notify.batch_defer_async(*jobs), fan_out.batch_defer_async(*jobs))
