from __future__ import annotations

import os
import threading
from pathlib import Path

import dramatiq
import psycopg
from dramatiq.brokers.redis import RedisBroker

from benchmarks.statements import EFFECTS
from stack.embedded import Servers

# With Dramatiq's default middleware: age and time limits, retries, callbacks, pipelines.
broker = RedisBroker(url=Servers(Path(os.environ["DATA_DIR"])).unix_url)
dramatiq.set_broker(broker)
_thread = threading.local()


@dramatiq.actor(queue_name="notifications")
def notify(card_id: str) -> None:
    """Notify the followers of a card's curator."""
    _write("notifications", card_id)


@dramatiq.actor(queue_name="feeds")
def fan_out(card_id: str) -> None:
    """Put a card into the timelines of its curator's followers."""
    _write("feeds", card_id)


def session() -> psycopg.Connection:
    """Return this thread's own connection, which is faster than a pool."""
    kept = getattr(_thread, "session", None)
    if kept is None or kept.closed:
        kept = _thread.session = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return kept


def _write(queue: str, card_id: str) -> None:
    session().execute(EFFECTS[queue], [[card_id]])
