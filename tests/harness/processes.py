"""Start, await and stop real processes in tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
# Pauses between two polls. They grow during a long wait, because many conditions connect to the
# database, and polling takes CPU from the process that the test waits for.
POLL_SECONDS, LONGEST_POLL_SECONDS = 0.01, 0.05


# The environment variable with the broker's address: REDIS_URL, unless the test run has another.
BROKER_VARIABLE = "BROKER_URL" if "BROKER_URL" in os.environ else "REDIS_URL"


class DeadlinePassed(AssertionError):
    """A condition that a test waited for did not hold in time."""


def wait_for(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Poll until the condition holds; raise DeadlinePassed, with `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = POLL_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise DeadlinePassed(f"Not within {seconds:.0f} s: {what}")
        time.sleep(pause)
        pause = min(1.2 * pause, LONGEST_POLL_SECONDS)


def free_port() -> int:
    """Return a free TCP port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def environment() -> dict[str, str]:
    """Return the environment of one of the project's processes, on the test database."""
    name = connection.settings_dict["NAME"]
    url = settings.DATABASE_URL.replace("/commonplace?", f"/{name}?")
    assert url != settings.DATABASE_URL, "The test run must not use another database."
    return os.environ | {
        "DATABASE_URL": url,
        BROKER_VARIABLE: settings.BROKER_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "INSECURE_HTTP": "1",
        "REMAP_SIGTERM": "SIGQUIT",  # as fly.toml has it
    }


def launch(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Start `manage.py` with these arguments, in its own process group."""
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
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment() | {BROKER_VARIABLE: f"redis://127.0.0.1:{free_port()}/0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def end(process: subprocess.Popen[bytes], *, seconds: float = 30) -> int:
    """Stop a process with SIGTERM, or kill it after `seconds`; return its exit code."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_group(process)
        return process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children, which may have outlived it.

    A process that outlives its test can deadlock with the TRUNCATE after a later one.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


@contextmanager
def killed_on_failure(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a process and its children if the block fails: no fixture would stop them later."""
    try:
        yield
    except BaseException:
        kill_group(process)
        raise


class Workers:
    """A worker of all queues, as a separate process."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "workers.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the worker, and wait until each queue has a consumer."""
        from eventbook.brokers.broker import worker_queues

        self.process = launch("worker", *settings.QUEUES, log=self.log)
        try:
            with killed_on_failure(self.process):
                wait_for(
                    lambda: set(settings.QUEUES) <= set(worker_queues(timeout=0.3)),
                    seconds=30,
                    what="workers consume every queue",
                )
        except DeadlinePassed as error:
            raise DeadlinePassed(f"{error}\n{self.tail()}") from error

    def stop(self) -> None:
        """Stop the worker, and wait until its database sessions have ended."""
        if self.process is not None:
            end(self.process)
            kill_group(self.process)
            # The sessions end a moment later; until then the database can't be dropped.
            wait_for(lambda: not sessions(), seconds=10, what="its sessions have ended")

    def tail(self) -> str:
        """Return the end of the worker's log."""
        return self.log.read_text(errors="replace")[-4000:]


def sessions() -> int:
    """Return the number of workers' sessions on the test database."""
    others = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE '%worker'"
    )
    with psycopg.connect(environment()["DATABASE_URL"]) as own:
        return len(own.execute(others).fetchall())


def drain_with(workers: Workers, *, seconds: float) -> None:
    """Run the relay until no delivery is open; raise NotDrained, with the workers' log."""
    from eventbook.testing import NotDrained, drain

    try:
        drain(seconds=seconds)
    except NotDrained as error:
        raise NotDrained(f"{error}\n{workers.tail()}") from error
