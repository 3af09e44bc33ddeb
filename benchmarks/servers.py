"""Run the servers and processes of a benchmark: one PostgreSQL and one Valkey for all systems."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError
from redis.retry import Retry

from stack.embedded import NAME, PORT, Servers, owning
from stack.watcher import VARIABLE, new_mark, watching

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Processes:
    """The processes of one system, and their use of CPU and memory."""

    log: Path
    started: dict[str, subprocess.Popen[Any]] = field(default_factory=dict)

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """Start a process in its own process group; log to `log`/name.log."""
        self.log.mkdir(parents=True, exist_ok=True)
        with (self.log / f"{name}.log").open("wb") as output:
            self.started[name] = subprocess.Popen(
                command, cwd=ROOT, env=dict(environment), stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def adopt(self, name: str, process: subprocess.Popen[Any]) -> None:
        """Include a process that was started elsewhere."""
        self.started[name] = process

    def stop(self) -> None:
        """Kill all processes, with their groups, at once."""
        for process in self.started.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.started.clear()

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU seconds of each process, including its children."""
        return {name: _tree_seconds(process.pid) for name, process in self.started.items()}

    def memory(self) -> dict[str, int]:
        """Return the memory of each process (PSS), including its children, in bytes."""
        return {name: _tree_memory(process.pid) for name, process in self.started.items()}

    def has_said(self, name: str, words: bytes) -> bool:
        """Return whether the log of a process contains these words."""
        return words in (self.log / f"{name}.log").read_bytes()

    def require_alive(self) -> None:
        """Raise RuntimeError, with the end of its log, if a process has ended."""
        for name, process in self.started.items():
            if process.poll() is not None:
                log = self.log / f"{name}.log"
                text = log.read_text(errors="replace") if log.exists() else ""
                raise RuntimeError(f"{name} ended:\n{text[-3000:]}")


def _tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    main = psutil.Process(pid)
    return [main, *main.children(recursive=True)]


def _tree_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and all its descendants."""
    total = 0.0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _tree_memory(pid: int) -> int:
    """Return the memory of a process and all its descendants, in bytes (PSS)."""
    total = 0
    for process in _tree(pid):
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def server_seconds(servers: Servers) -> dict[str, float]:
    """Return the CPU seconds that PostgreSQL and the broker have used so far."""
    found = {}
    for name, server in (("postgres", servers.postgres), ("broker", servers.valkey)):
        pid = server.pid()
        found[name] = _tree_seconds(pid) if pid else 0.0
    return found


# Memory for a server of this size, and commit timestamps, by which latency is measured. Durability
# is PostgreSQL's default: fsync and synchronous commits.
POSTGRES = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "track_commit_timestamp": "on",
}


@contextmanager
def bench_servers(data: Path) -> Iterator[Servers]:
    """Run servers in the benchmark's own data directory."""
    # The watcher ends remaining processes if this one is killed.
    mark = os.environ[VARIABLE] = new_mark(data)
    with owning(data) as servers, watching(mark):
        servers.postgres.command.extend(
            part for name, value in POSTGRES.items() for part in ("-c", f"{name}={value}")
        )
        servers.start()
        _empty_broker(servers)
        yield servers


@contextmanager
def project(data: Path) -> Iterator[Servers]:
    """Run the servers, set up Django on them, and migrate its tables."""
    data.mkdir(exist_ok=True)
    with bench_servers(data) as servers:
        os.environ |= environment(servers) | {"DJANGO_SETTINGS_MODULE": "config.settings"}
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield servers


@contextmanager
def connected(data: Path) -> Iterator[tuple[Servers, psycopg.Connection]]:
    """Run the servers as `project` does, with a session in autocommit mode."""
    with (
        project(data) as servers,
        psycopg.connect(servers.database_url, autocommit=True) as session,
    ):
        yield servers, session


def _empty_broker(servers: Servers) -> None:
    """Delete the broker's data of an earlier run, in memory and on disk."""
    retry = Retry(ConstantBackoff(0.1), 300)
    with closing(
        redis.Redis.from_url(servers.unix_url, retry=retry, retry_on_error=[BusyLoadingError])
    ) as broker:
        broker.flushall()
        broker.bgrewriteaof()
        while broker.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.05)


def environment(servers: Servers) -> dict[str, str]:
    """Return the environment variables for all processes of the benchmark."""
    from stack.programs import fly

    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    mine = {name: text for name, text in os.environ.items() if not name.startswith("DJANGO")}
    return mine | fly()["env"] | {
        "DATA_DIR": str(servers.data),
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "SECRET_KEY": os.environ.get("SECRET_KEY") or secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "127.0.0.1",
        "CSRF_TRUSTED_ORIGINS": "",
        "INSECURE_HTTP": "1",
        "FETCH_METADATA": "0",
        "LOG_LEVEL": "WARNING",
        "PATH": path,
        "PYTHONWARNINGS": "ignore",
    }  # fmt: skip


def node_environment(servers: Servers) -> dict[str, str]:
    """Return the variables by which the Node.js peers find the servers."""
    return {
        "REDIS_SOCKET": str(servers.valkey_socket),
        "PGHOST": str(servers.run),
        "PGPORT": str(PORT),
        "PGUSER": NAME,
        "PGDATABASE": NAME,
    }


def command_of(group: str) -> list[str]:
    """Return the command of a process group of fly.toml."""
    from stack.programs import fly

    return shlex.split(fly()["processes"][group])


def wait_until(
    done: Callable[[], bool], *, seconds: float, what: str, processes: Processes
) -> None:
    """Wait until a condition holds; raise TimeoutError, or RuntimeError if a process crashes."""
    ends = time.monotonic() + seconds
    while not done():
        if time.monotonic() > ends:
            raise TimeoutError(f"Not within {seconds:.0f} s: {what}")
        processes.require_alive()
        time.sleep(0.01)
