"""Real processes for tests: start them, wait for what they do, stop them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
# Between two looks; who has waited for long can wait a little longer, and leave the machine to what
# is waited for: many a look is a connection to the database.
POLL_SECONDS, LONGEST_POLL_SECONDS = 0.01, 0.05


class DeadlinePassed(AssertionError):
    """What a test waited for did not happen in time."""


def wait_for(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """This polls until the condition holds, or raises DeadlinePassed."""
    deadline = time.monotonic() + seconds
    pause = POLL_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise DeadlinePassed(f"Not within {seconds:.0f} s: {what}")
        time.sleep(pause)
        pause = min(1.2 * pause, LONGEST_POLL_SECONDS)


def environment() -> dict[str, str]:
    """This answers the environment of a process of the project, on the test database."""
    name = connection.settings_dict["NAME"]
    url = settings.DATABASE_URL.replace("/commonplace?", f"/{name}?")
    assert url != settings.DATABASE_URL, "The test run must not use another database."
    return os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "INSECURE_HTTP": "1",
        "REMAP_SIGTERM": "SIGQUIT",  # as fly.toml has it
    }


def launch(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """This starts `manage.py` with these arguments, in a process group of its own."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def without_a_broker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` with these arguments and a broker that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment() | {"REDIS_URL": f"redis://127.0.0.1:{port}/0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def end(process: subprocess.Popen[bytes], *, seconds: float = 30) -> int:
    """This stops a process in the regular way, or by force when that takes too long."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait(timeout=10)


class Workers:
    """The workers of all queues, in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "workers.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """This starts them, and waits until each queue has its consumer."""
        from events.broker import worker_queues

        self.process = launch("worker", *settings.QUEUES, log=self.log)
        try:
            wait_for(
                lambda: set(settings.QUEUES) <= set(worker_queues(timeout=0.3)),
                seconds=30,
                what="workers consume every queue",
            )
        except DeadlinePassed as error:
            raise DeadlinePassed(f"{error}\n{self.tail()}") from error

    def stop(self) -> None:
        """This stops them."""
        if self.process is not None:
            end(self.process)
            # Its sessions end a moment later, and the database can't be dropped before.
            wait_for(lambda: not sessions(), seconds=10, what="its sessions have ended")

    def tail(self) -> str:
        """This answers the end of their log."""
        return self.log.read_text(errors="replace")[-4000:]


def sessions() -> int:
    """This counts the other sessions of the test database."""
    others = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE '%worker'"
    )
    with psycopg.connect(environment()["DATABASE_URL"]) as own:
        return len(own.execute(others).fetchall())


@contextmanager
def nobody_consumes(queue: str) -> Iterator[None]:
    """This takes the workers off a queue while the block runs."""
    from celery import current_app

    current_app.control.cancel_consumer(queue, reply=True, timeout=2, limit=1)
    try:
        yield
    finally:
        current_app.control.add_consumer(queue, reply=True, timeout=2, limit=1)


def drain_with(workers: Workers, *, seconds: float) -> None:
    """This runs the relay until nothing is open, or raises DeadlinePassed with what is."""
    from events.broker import BrokerDown
    from events.relay import Relay

    relay = Relay()

    def quiet() -> bool:
        try:
            relay.step()
        except BrokerDown:
            return False
        return not open_deliveries()

    try:
        wait_for(quiet, seconds=seconds, what="every delivery is done or dead")
    except DeadlinePassed as error:
        raise DeadlinePassed(f"{error}: {open_deliveries()}\n{workers.tail()}") from error
    finally:
        relay.broker.close()


def open_deliveries() -> list[tuple[str, str, int]]:
    """This answers what is open: (handler or 'outbox', state, count)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT handler, state, count(*) FROM events_delivery WHERE due_at IS NOT NULL"
            " GROUP BY 1, 2 UNION ALL"
            " SELECT 'outbox', type, count(*) FROM events_outboxentry GROUP BY 2"
        )
        return list(cursor.fetchall())
