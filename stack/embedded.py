"""Embedded servers: a PostgreSQL and a Valkey under .data/, for machines without servers.

They listen on Unix sockets in one directory, so that no port conflicts and the addresses follow
from the data directory alone. Every process that uses the servers holds a shared lock on
`users.lock`. The last one to release it stops them. The kernel releases the lock of a killed
process; if all users were killed, the next one takes over the running servers. This module must
work before Django is configured.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from signal import Signals
from urllib.parse import quote

import psycopg
import redis

from stack import locks
from stack.binaries import postgres_bin, server_account, setpriv, valkey_server
from stack.processes import recorded_pid
from stack.server_process import Server, ServerFailed, tail
from stack.terminal import SaysWhatToDo

NAME = "commonplace"  # of the database and of its owner
START_SECONDS = 60.0
# A directory for sockets that every client accepts. A socket's path has at most 103 bytes on macOS;
# the longest file name here is supervisor.sock.<process id>.
SOCKET_PATH = r"[\w./+@-]{1,79}"
PORT = 5432  # appears only in the socket's file name
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
VALKEY_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory": "512mb",
    "maxmemory-policy": "noeviction",
    # A process title would overwrite the command line, whose socket path identifies this server,
    # and the environment, which has the mark (stack/watcher.py).
    "set-proc-title": "no",
}


class DataInUse(SaysWhatToDo):
    """Another process uses the servers of this data directory; the message says what to stop."""


@contextmanager
def using(data: Path) -> Iterator["Servers"]:
    """Start the servers if they don't run; after the block, stop them if no process uses them."""
    servers = Servers(data)
    with locks.open_lock_file(data / "users.lock") as users:
        try:
            with locks.locked(data / "start.lock"):
                locks.lock_shared(users)
                # A stack starts and stops its servers itself: perhaps one is stopped on purpose.
                if not locks.is_locked(data / "owner.lock"):
                    servers.start()
            yield servers
        finally:
            with locks.locked(data / "start.lock"):
                if locks.try_lock(users):
                    servers.stop()


@contextmanager
def owning(data: Path) -> Iterator["Servers"]:
    """Reserve the servers for one owner, a stack, which alone starts and stops them.

    Servers of an earlier owner that was killed may still run. Raise DataInUse if there is another
    owner or user.
    """
    servers = Servers(data)
    with (
        locks.open_lock_file(data / "owner.lock") as owner,
        locks.open_lock_file(data / "users.lock") as users,
    ):
        with locks.locked(data / "start.lock"):
            if not locks.try_lock(owner):
                raise DataInUse(f"A stack already runs on {data}: stop that one first.")
            if not locks.try_lock(users):
                raise DataInUse(f"Another command uses the servers of {data}: stop it first.")
            locks.lock_shared(users)
        try:
            yield servers
        finally:
            servers.stop()


@dataclass(frozen=True)
class Servers:
    """The servers of one data directory: their addresses, commands, start and stop."""

    data: Path

    @property
    def database_url(self) -> str:
        """Return PostgreSQL's address for Django and libpq."""
        return f"postgres://{NAME}@/{NAME}?host={quote(str(self.run), safe='')}&port={PORT}"

    @property
    def redis_url(self) -> str:
        """Return Valkey's address for Celery and Flower."""
        return f"redis+socket://{quote(str(self.valkey_socket))}?virtual_host=0"

    @property
    def unix_url(self) -> str:
        """Return Valkey's address for redis-py."""
        return f"unix://{quote(str(self.valkey_socket))}?db=0"

    @property
    def run(self) -> Path:
        """Return the directory of the sockets: in the data directory, or in /tmp if need be."""
        near = self.data.absolute() / "run"
        # A path may be too long, libpq splits a host at commas, and other clients fail on a blank
        # or a per cent sign.
        if re.fullmatch(SOCKET_PATH, str(near), re.ASCII):
            return near
        digest = hashlib.sha256(os.fsencode(self.data.resolve())).hexdigest()[:12]
        return Path("/tmp") / f"{NAME}-{os.getuid()}-{digest}"  # noqa: S108 - checked for its owner

    @property
    def log(self) -> Path:
        """Return the directory of the logs."""
        return self.data.absolute() / "log"

    @property
    def valkey_socket(self) -> Path:
        """Return the path of Valkey's socket."""
        return self.run / "valkey.sock"

    @cached_property
    def postgres(self) -> Server:
        """Return the PostgreSQL server."""
        return Server(
            name="PostgreSQL",
            command=self.postgres_command(),
            pid_file=self._postgres_data / "postmaster.pid",
            signature=f" -D {self._postgres_data} ",
            log=self.log / "postgres.log",
            # Fast shutdown, then the immediate one, after which PostgreSQL runs crash recovery.
            stop_signals={Signals.SIGINT: 20, Signals.SIGQUIT: 5, Signals.SIGKILL: 5},
        )

    @cached_property
    def valkey(self) -> Server:
        """Return the Valkey server."""
        return Server(
            name="Valkey",
            command=self.valkey_command(),
            pid_file=self.run / "valkey.pid",
            signature=str(self.valkey_socket),
            log=self.log / "valkey.log",
            stop_signals={Signals.SIGTERM: 15, Signals.SIGKILL: 5},
        )

    def postgres_command(self, *, death_signal: str = "") -> list[str]:
        """Return the command that runs PostgreSQL in the foreground.

        The kernel sends it `death_signal` when its parent dies (stack/binaries.py).
        """
        binaries = postgres_bin()
        settings = {**POSTGRES_SETTINGS, "unix_socket_directories": f'"{self.run}"'}
        if any((binaries.parent / "lib").glob("**/pg_stat_statements.so")):
            settings["shared_preload_libraries"] = "pg_stat_statements"
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        prefix = setpriv(drop_root=True, death_signal=death_signal)
        return [*prefix, str(binaries / "postgres"), "-D", str(self._postgres_data), *options]

    def valkey_command(self, *, death_signal: str = "") -> list[str]:
        """Return the command that runs Valkey in the foreground."""
        places = {"dir": self._valkey_data, "unixsocket": self.valkey_socket}
        settings = {**VALKEY_SETTINGS, **places, "pidfile": self.run / "valkey.pid"}
        options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        return [*setpriv(death_signal=death_signal), str(valkey_server()), *options]

    def prepare(self) -> None:
        """Create the directories and the database cluster if they don't exist."""
        for directory in (self.data, self.log, self._valkey_data):
            directory.mkdir(parents=True, exist_ok=True)
        self._make_run_directory()
        if not self._postgres_data.exists():
            self._make_cluster()
        self._forget_recycled_pid()

    def start(self) -> None:
        """Start the servers that do not run, and return when both respond."""
        self.prepare()
        self.postgres.start(responds=self.postgres_responds, seconds=START_SECONDS)
        self.valkey.start(responds=self.valkey_responds, seconds=START_SECONDS)

    def running(self) -> bool:
        """Return whether both servers run."""
        return self.postgres.pid() is not None and self.valkey.pid() is not None

    def stop(self) -> None:
        """Stop both servers without data loss; raise ServerFailed if one survives SIGKILL."""
        for server in (self.postgres, self.valkey):
            server.signal_stop()
        for server in (self.postgres, self.valkey):
            server.stop()

    def postgres_responds(self) -> bool:
        """Return whether this directory's PostgreSQL responds; create a missing database."""
        address = self.database_url.replace(f"/{NAME}?", "/postgres?")
        try:
            with closing(psycopg.connect(address, autocommit=True, connect_timeout=3)) as session:
                found = session.execute("SHOW data_directory").fetchone()
                _check_same(found[0] if found else "", self._postgres_data)
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if not session.execute(query, [NAME]).fetchone():
                    session.execute(f"CREATE DATABASE {NAME}")
        except psycopg.OperationalError:
            return False
        return True

    def valkey_responds(self) -> bool:
        """Return whether this directory's Valkey responds and has loaded its data."""
        client = redis.Redis.from_url(self.unix_url, socket_timeout=3, decode_responses=True)
        try:
            with closing(client):
                _check_same(client.config_get("dir")["dir"], self._valkey_data)
                # While Valkey loads its data, it responds to `config_get`, but `ping` raises.
                client.ping()
        except redis.RedisError:
            return False
        return True

    @property
    def _postgres_data(self) -> Path:
        return self.data.absolute() / "postgres"

    @property
    def _valkey_data(self) -> Path:
        return self.data.absolute() / "valkey"

    def _make_run_directory(self) -> None:
        """Create the directory of the sockets; raise ServerFailed if it is another user's."""
        # PostgreSQL doesn't run as root: if this process does, PostgreSQL's group gets access too.
        self.run.mkdir(mode=0o700, exist_ok=True)
        if self.run.is_symlink() or self.run.stat().st_uid != os.geteuid():
            raise ServerFailed(f"{self.run} belongs to another user: remove it and start again.")
        account = server_account()
        if account:
            os.chown(self.run, -1, account.pw_gid)
            self.run.chmod(0o770)

    def _make_cluster(self) -> None:
        """Create PostgreSQL's data directory with initdb; raise ServerFailed if that fails."""
        # Created under another name and then renamed: an interrupted initdb leaves no half cluster.
        unfinished = Path(tempfile.mkdtemp(prefix="postgres.", dir=self.data.absolute()))
        account = server_account()
        if account:
            os.chown(unfinished, account.pw_uid, account.pw_gid)
        log = self.log / "initdb.log"
        command = [*setpriv(drop_root=True), str(postgres_bin() / "initdb"), "-D", str(unfinished)]
        command += ["-U", NAME, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        with log.open("w", encoding="utf-8") as output:
            initdb = subprocess.run(command, stdout=output, stderr=output, check=False)
        if initdb.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise ServerFailed(f"PostgreSQL's initdb failed. The end of {log}:\n{tail(log)}")
        unfinished.rename(self._postgres_data)

    def _forget_recycled_pid(self) -> None:
        """Remove PostgreSQL's pid and lock files if its old pid now belongs to another process."""
        # PostgreSQL removes these files after a crash, unless another process has got its old pid.
        if self.postgres.pid() or not recorded_pid(self.postgres.pid_file):
            return
        for left in (self.postgres.pid_file, self.run / f".s.PGSQL.{PORT}.lock"):
            left.unlink(missing_ok=True)


def _check_same(found: object, expected: Path) -> None:
    """Raise ServerFailed if the server that responded is that of another data directory."""
    if Path(str(found)).resolve() != expected.resolve():
        raise ServerFailed(f"The server of {found} responds in place of that of {expected}.")
