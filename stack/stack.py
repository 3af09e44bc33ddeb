"""The stack itself: the order in which its programs start, and when it counts as up."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress

from rich.console import Console

from stack import addresses
from stack.embedded import Servers
from stack.environment import stack_environment
from stack.lines import Lines
from stack.programs import BASE_DIR, Program, server_programs, supervisord_conf, with_groups
from stack.scale import Scale
from stack.server_process import tail
from stack.supervision import FAILED, Supervisor
from stack.watcher import VARIABLE, new_mark

READY_SECONDS = 120
POLL_SECONDS = 0.2
SCALE_FILE = "scale.json"


class StackFailed(RuntimeError):
    """A program of the stack did not start; the message has the end of its log."""


class Stack:
    """All programs of one data directory, under one supervisord."""

    def __init__(
        self, servers: Servers, console: Console, *, show_lines: bool, variables: Mapping[str, str]
    ) -> None:
        servers.prepare()
        self.servers = servers
        self.console = console
        self.show_lines = show_lines
        self.conf = servers.data / "supervisord.conf"
        self.supervisor = Supervisor(self.conf, servers.run, servers.log)
        self.scale_file = servers.data / SCALE_FILE
        self.server_programs = server_programs(
            servers,
            postgres=not os.environ.get("DATABASE_URL"),
            valkey=not (os.environ.get("BROKER_URL") or os.environ.get("REDIS_URL")),
        )
        self.variables = variables  # of all its processes, beside the usual environment
        self.environment: dict[str, str] = {}
        self.mark = new_mark(servers.data)  # in the environment of all its processes
        # Only the groups' lines are shown; the servers' advice about the kernel is noise here.
        self.lines = Lines(console, servers.log)

    @property
    def groups(self) -> list[Program]:
        """Return the programs beside the servers, at their current scale."""
        return Scale.read(self.scale_file).programs()

    def set_ports(self, ports: Mapping[str, int]) -> None:
        """Fix the ports of the processes (by variable, as in stack/ports.py)."""
        usual = stack_environment(self.servers, ports)
        self.environment = {**usual, **self.variables, VARIABLE: self.mark}
        addresses.write_addresses(self.servers.data, ports)

    def forget_scale(self) -> None:
        """Go back to one process for each group, whatever the scale of an earlier stack."""
        self.scale_file.unlink(missing_ok=True)

    def start(self) -> None:
        """Start everything, and return when all of it works.

        Raise StackFailed if a program ends or is not ready after READY_SECONDS.
        """
        conf = supervisord_conf(self.server_programs, self.servers, root=os.geteuid() == 0)
        self.conf.write_text(with_groups(conf, self.groups, self.servers), encoding="utf-8")
        self.say("starting the servers …")
        self.supervisor.launch(self.environment)
        self.supervisor.start(program.name for program in self.server_programs)
        responds = {
            "postgres": self.servers.postgres_responds,
            "valkey": self.servers.valkey_responds,
        }
        for program in self.server_programs:
            self._wait_for(program.name, responds[program.name])
        self.say("bringing the database up to date …")
        self._manage("migrate", "--noinput", "--verbosity=0")
        self._manage("demo_admin", ADMIN_PASSWORD=addresses.admin_password(self.servers.data))
        self.say("starting " + ", ".join(program.name for program in self.groups) + " …")
        self.supervisor.start(program.name for program in self.groups)
        self._wait_for("web", lambda: _responds(f"{self.url('PORT')}/readyz"))
        self._wait_for("exporter", lambda: _responds(f"{self.url('EXPORTER_PORT')}/healthz"))
        if "flower" in (program.name for program in self.groups):
            flower = f"{self.environment['FLOWER_URL']}healthcheck"
            self._wait_for("flower", lambda: _responds(flower))
            self._wait_for("the workers", self._workers_respond)

    def watch(self) -> None:
        """Show the programs' output until KeyboardInterrupt; raise SupervisorGone if it is gone."""
        while True:
            self.supervisor.states()
            self._show()
            time.sleep(POLL_SECONDS)

    def stop(self, *, hard: Callable[[], bool]) -> None:
        """Stop every program, the servers last; `hard` returns whether to stop waiting for them."""
        stages = [
            [program.name for program in part] for part in (self.groups, self.server_programs)
        ]
        self.supervisor.stop(*stages, hard=hard)
        self._show()

    def url(self, port_variable: str) -> str:
        """Return the base URL of the program whose port is in this variable."""
        return f"http://127.0.0.1:{self.environment[port_variable]}"

    def _wait_for(self, name: str, works: Callable[[], bool]) -> None:
        """Show output until `works()` is true; raise StackFailed on failure or at the deadline."""
        deadline = time.monotonic() + READY_SECONDS
        while not works():
            for program, state in self.supervisor.states().items():
                if state in FAILED:
                    raise self._failure(program)
            if time.monotonic() > deadline:
                raise self._failure(name)
            self._show()
            time.sleep(POLL_SECONDS)

    def _failure(self, name: str) -> StackFailed:
        log = self.servers.log / f"{name}.log"
        end = f" The end of {log}:\n{tail(log, 30)}" if log.exists() else ""
        return StackFailed(f"{name} did not come up.{end}")

    def _workers_respond(self) -> bool:
        """Return whether every worker process has responded to Celery's ping."""
        workers = sum("-worker" in program.name for program in self.groups)
        pinged = self._run_python("-m", "celery", "-A", "config", "inspect", "ping", "--json")
        with suppress(ValueError):
            return len(json.loads(pinged.stdout)) >= workers
        return False

    def _manage(self, *arguments: str, **variables: str) -> None:
        """Run a management command in the stack's environment; raise StackFailed if it fails."""
        done = self._run_python("manage.py", *arguments, **variables)
        if done.returncode != 0:
            end = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
            raise StackFailed(f"manage.py {arguments[0]} failed:\n{end}")

    def _run_python(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the stack's environment, and return its exit code and output."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=BASE_DIR,
            env={**self.environment, **variables},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )

    def say(self, text: str) -> None:
        """Print a line about the progress."""
        self.console.print(text, style="dim", highlight=False)

    def _show(self) -> None:
        if self.show_lines:
            self.lines.show(program.name for program in self.groups)


def _responds(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=3) as response:  # noqa: S310 - ours
        return bool(response.status == 200)
    return False
