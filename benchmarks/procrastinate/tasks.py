from __future__ import annotations

import os
from uuid import UUID

import psycopg
from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from benchmarks.statements import EFFECTS, INSERT_CARD

SCHEMA = "procrastinate"  # for Procrastinate's tables
CONCURRENCY = 15


async def _commit_each(session: psycopg.AsyncConnection) -> None:
    # Each job needs one statement: without BEGIN and COMMIT, a third of the round trips.
    await session.set_autocommit(True)


_connector = PsycopgConnector(
    conninfo=os.environ["DATABASE_URL"], configure=_commit_each,
    kwargs={"options": f"-c search_path={SCHEMA},public"},
    min_size=4, max_size=CONCURRENCY,
)  # fmt: skip
app = App(connector=_connector)
# The connections with which tasks write rows.
_pool = AsyncConnectionPool(
    os.environ["DATABASE_URL"], configure=_commit_each, open=False,
    min_size=4, max_size=CONCURRENCY,
)  # fmt: skip


@app.task(queue="notifications")
async def notify(card_id: str) -> None:
    """Notify the followers of a card's curator."""
    await _write("notifications", card_id)


@app.task(queue="feeds")
async def fan_out(card_id: str) -> None:
    """Put a card into the timelines of its curator's followers."""
    await _write("feeds", card_id)


async def _write(queue: str, card_id: str) -> None:
    await _pool.open()
    async with _pool.connection() as session:
        await session.execute(EFFECTS[queue], [[card_id]])


async def insert_card(id: UUID, curator: int) -> None:
    """Insert a card. Uses the connector's pool, whose connections belong to the producer's loop."""
    async with _connector.pool.connection() as session:
        await session.execute(INSERT_CARD, [id, curator])
