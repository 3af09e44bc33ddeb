"""The world of a fault test: real servers, and all of the project's processes on links."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psutil
import psycopg

from stack.embedded import PORT, START_SECONDS, Servers
from stack.programs import fly
from tests.faults.brokers import BROKERS
from tests.faults.outside import Outside
from tests.faults.processes import Process
from tests.faults.sizes import ENVIRONMENT
from tests.flows.running_stack import is_tests
from tests.harness.links import Link
from tests.harness.processes import ROOT, free_port, wait_for

WORKERS = ("notification-worker", "feed-worker", "event-worker")
READY = {
    "web": "web.started",
    "relay": "relay.started",
    "beat": "beat.started",
    "exporter": "exporter.started",
}
# Tables that are not emptied. Processes write their row in eventbook_process only every few
# seconds; without it, none would seem to run.
KEPT = (
    "django_migrations", "django_content_type", "auth_permission",
    "eventbook_subscription", "eventbook_process",
)  # fmt: skip
OPEN = """
    SELECT (SELECT count(*) FROM eventbook_outboxentry)
         + (SELECT count(*) FROM eventbook_delivery WHERE due_at IS NOT NULL)
         + (SELECT count(*) FROM eventbook_lease)
"""
WAITING = """
    SELECT (SELECT count(*) FROM eventbook_outboxentry)
         + (SELECT count(*) FROM eventbook_delivery WHERE due_at IS NOT NULL AND publications = 0)
"""


class World:
    """The servers, the processes and the outside service of the fault tests."""

    def __init__(self, data: Path, broker: str) -> None:
        self.data = data
        self.servers = Servers(data)
        self.broker = BROKERS[broker](data)
        # The processes that run handlers, and all that run in every test.
        self.workers = ("relay",) if broker == "none" else WORKERS
        self.always = ("web", *dict.fromkeys(("relay", *self.workers)), "exporter")
        self.outside = Outside()
        self.processes: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        self.secret = secrets.token_urlsafe(48)
        self.loads: list[Any] = []
        self._ended = threading.Event()
        self._supervising = threading.Lock()

    def start(self) -> None:
        """Start the servers and the processes that always run."""
        self.start_servers()
        self.manage("migrate", "--run-syncdb", "--verbosity", "0")
        threading.Thread(target=self._supervise, daemon=True).start()
        for name in self.always:
            self.process(name).spawn()
        for name in self.always:
            self.process(name).wait_ready()

    def stop(self) -> None:
        """Stop all processes, links and servers."""
        self._ended.set()
        for process in self.processes.values():
            process.wanted = False
            process.thaw()
            process._end_group()
            process.database.close()
            process.broker.close()
        self.thaw(self.broker.pid())
        self.broker.stop()
        self.servers.postgres.stop()
        self.outside.shutdown()
        self.outside.server_close()

    def process(self, name: str) -> Process:
        """Return the process of a group in fly.toml; a number as suffix names a further one."""
        if name not in self.processes:
            group = name.rstrip("0123456789")
            broker = Link(self.broker.target)
            self.processes[name] = Process(
                name,
                fly()["processes"][group],
                ready=READY.get(group, "worker.started"),
                environment=self.environment(name) | {"BROKER_URL": self.broker.url(broker.port)},
                database=Link(self.servers.run / f".s.PGSQL.{PORT}"),
                broker=broker,
                log=self.data / f"{name}.log",
            )
        return self.processes[name]

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a process, with the servers' direct addresses."""
        port = self.ports.setdefault(name, free_port())
        mine = {key: text for key, text in os.environ.items() if not is_tests(key)}
        return mine | fly()["env"] | ENVIRONMENT | {
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "DATA_DIR": str(self.data),
            "DATABASE_URL": self.servers.database_url,
            "BROKER_URL": self.broker.url(),
            "SECRET_KEY": self.secret,
            "ALLOWED_HOSTS": "127.0.0.1",
            "CSRF_TRUSTED_ORIGINS": "",
            "INSECURE_HTTP": "1",
            "OUTSIDE_URL": self.outside.url,
            "WEB_ADDRESS": "127.0.0.1",
            "WEB_PORT": str(port),
            "EXPORTER_ADDRESS": "127.0.0.1",
            "EXPORTER_PORT": str(port),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
        }  # fmt: skip

    def manage(self, *arguments: str, fails: bool = False) -> str:
        """Run a management command without links, and return its output; `fails`: it must fail."""
        import subprocess

        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment("manage"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def url(self, web: str = "web") -> str:
        """Return the address of a web process."""
        return f"http://127.0.0.1:{self.ports[web]}"

    def rows(self, statement: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute a statement without a link, and return its rows."""
        address = self.servers.database_url
        with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def stop_postgres_immediately(self) -> None:
        """Stop PostgreSQL like a crash (immediate shutdown), and wait until it has ended."""
        pid = self.servers.postgres.pid()
        assert pid
        os.kill(pid, signal.SIGQUIT)
        wait_for(lambda: not self.servers.postgres.pid(), seconds=20, what="PostgreSQL has gone")

    def postgres_processes(self) -> list[psutil.Process]:
        """Return all of PostgreSQL's processes, including those of connections."""
        pid = self.servers.postgres.pid()
        assert pid
        return [psutil.Process(pid), *psutil.Process(pid).children()]

    def start_servers(self) -> None:
        """Start the servers that are not running."""
        self.servers.prepare()
        self.servers.postgres.start(responds=self.servers.postgres_responds, seconds=START_SECONDS)
        self.broker.start()

    def freeze(self, pid: int | None) -> None:
        """Suspend a process (SIGSTOP)."""
        assert pid
        os.kill(pid, signal.SIGSTOP)

    def thaw(self, pid: int | None) -> None:
        """Resume a process (SIGCONT), if there is one."""
        if pid:
            os.kill(pid, signal.SIGCONT)

    def wait_recovered(self, *, seconds: float = 60) -> float:
        """Wait until nothing is open, for `seconds` at most; return how many it took."""
        began = time.monotonic()
        try:
            wait_for(self.is_quiet, seconds=seconds, what="every delivery is finished")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.open()}\n{self.tails()}") from error
        return time.monotonic() - began

    def wait_published(self, *, seconds: float = 30) -> None:
        """Wait until every open delivery has been published."""
        wait_for(
            lambda: self.rows(WAITING) == [(0,)], seconds=seconds, what="everything is published"
        )

    def is_quiet(self) -> bool:
        """Return whether no outbox entry, delivery or lease is open."""
        return self.rows(OPEN) == [(0,)]

    def open(self) -> list[tuple[Any, ...]]:
        """Return open deliveries and outbox entries as (handler, state, error, count)."""
        return self.rows(
            "SELECT handler, state, left(error, 300), count(*) FROM eventbook_delivery"
            " WHERE due_at IS NOT NULL GROUP BY 1, 2, 3 UNION ALL"
            " SELECT 'outbox', type, '', count(*) FROM eventbook_outboxentry GROUP BY 2"
        )

    def tails(self) -> str:
        """Return the ends of the logs of all running processes."""
        return "\n".join(
            f"--- {name}\n{process.output()[-2000:]}"
            for name, process in self.processes.items()
            if process.wanted
        )

    def reset(self) -> None:
        """Restore the initial state: the processes that always run do, and tables are empty."""
        while self.loads:
            self.loads.pop().abandon()
        self.start_servers()
        for process in self.processes.values():
            process.database.pass_on()
            process.broker.pass_on()
            process.thaw()
            if process.wanted and process.name not in self.always:
                process.stop()
        for name in self.always:
            process = self.process(name)
            if not process.wanted or process._extra:
                if process.wanted:
                    process.stop()
                process.start()
        self.reset_tables()
        wait_for(self._serves, seconds=30, what="the API answers")

    def reset_tables(self) -> None:
        """Empty the tables and the outside service."""
        self.outside.forget()
        wait_for(self._empty, seconds=30, what="the tables are empty")

    def _empty(self) -> bool:
        """Try to empty all tables; return False while processes hold locks on them."""
        tables = [name for (name,) in self.rows(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> ALL(%s)", list(KEPT),
        )]  # fmt: skip
        try:
            self.rows(f"SET lock_timeout = '2s'; TRUNCATE {', '.join(tables)} RESTART IDENTITY")
        except psycopg.OperationalError:
            return False
        return True

    def _serves(self) -> bool:
        try:
            return httpx.get(f"{self.url()}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def _supervise(self) -> None:
        # Restart processes that end, as a supervisor or Fly does.
        while not self._ended.wait(0.2):
            for process in list(self.processes.values()):
                if process.wanted and process.popen and process.popen.poll() is not None:
                    process.respawn()
