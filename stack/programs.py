"""The programs that supervisord runs: the process groups of fly.toml, and embedded servers."""

import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.binaries import setpriv
from stack.embedded import Servers

BASE_DIR = Path(__file__).resolve().parent.parent
# How long a process gets to stop before it is killed: longer than a worker's soft shutdown (10 s),
# shorter than Fly's kill_timeout (60 s).
GROUP_STOP_SECONDS = 45
SERVER_STOP_SECONDS = 25

NO_BROKER = "none"  # in BROKER_URL: the relay runs the handlers (docs/brokers.md)
NEED_A_BROKER = ("manage.py worker", "flower")  # in a group's command

SUPERVISORD = """\
[supervisord]
logfile={log}/supervisord.log
logfile_backups=1
pidfile={run}/supervisord.pid
identifier=commonplace
{user}
[unix_http_server]
file={run}/supervisor.sock
chmod=0700

[supervisorctl]
serverurl=unix://{run}/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
# Divides the configuration file: scaling a group rewrites only the part below this line.
GROUPS = "\n; The process groups of fly.toml.\n"

PROGRAM = """
[program:{name}]
command={command}
directory={directory}
environment=PROCESS_NAME="{group}",PROCESS_NUMBER="{number}"
priority={priority}
autostart=false
autorestart=true
startsecs=1
startretries=100
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={log}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
"""


@dataclass(frozen=True)
class Program:
    """One supervised process."""

    name: str
    command: list[str]
    number: int = 1  # within its group, from 1
    priority: int = 2  # a higher one starts later and stops earlier
    # Sent to the main process alone: Celery's child processes would end at once, in mid-task.
    stop_signal: str = "TERM"
    stop_seconds: int = GROUP_STOP_SECONDS

    @property
    def group(self) -> str:
        """Return the name of its process group in fly.toml."""
        return self.name.removesuffix(f"-{self.number}")


def fly() -> dict[str, dict[str, str]]:
    """Return fly.toml's [processes] and [env], which the stack shares with production."""
    config = tomllib.loads((BASE_DIR / "fly.toml").read_text(encoding="utf-8"))
    return {"processes": config["processes"], "env": config.get("env", {})}


def process_groups() -> dict[str, str]:
    """Return the commands of the process groups; without a broker, of those that need none."""
    needless = NEED_A_BROKER if os.environ.get("BROKER_URL") == NO_BROKER else ()
    groups = fly()["processes"].items()
    return {name: text for name, text in groups if not any(word in text for word in needless)}


def copies_of(group: str, count: int, variables: Mapping[str, str]) -> list[Program]:
    """Return the programs of a group with `count` processes: feed-worker, feed-worker-2, ….

    `variables` are set for these processes beside the environment of the stack.
    """
    # If supervisord is killed, its programs run on. The death signal makes the kernel end them.
    prefix = setpriv(death_signal="TERM")
    if variables:
        prefix += ["env", *(f"{name}={value}" for name, value in variables.items())]
    command = [*prefix, *shlex.split(fly()["processes"][group])]
    return [
        Program(name=group if number == 1 else f"{group}-{number}", command=command, number=number)
        for number in range(1, count + 1)
    ]


def server_programs(servers: Servers, *, postgres: bool, valkey: bool) -> list[Program]:
    """Return the programs of the embedded servers: PostgreSQL, Valkey, both or none."""
    wanted = []
    if postgres:
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait until every client disconnects.
        command = servers.postgres_command(death_signal="INT")
        wanted.append(_server_program("postgres", command, "INT"))
    if valkey:
        command = servers.valkey_command(death_signal="TERM")
        wanted.append(_server_program("valkey", command, "TERM"))
    return wanted


def _server_program(name: str, command: list[str], stop_signal: str) -> Program:
    # A lower priority than the groups': the servers start before them and stop after them.
    return Program(
        name, command, priority=1, stop_signal=stop_signal, stop_seconds=SERVER_STOP_SECONDS
    )


def supervisord_conf(programs: list[Program], servers: Servers, *, root: bool) -> str:
    """Return the part of supervisord's configuration that scaling doesn't change."""
    places = {"log": _literal(servers.log), "run": _literal(servers.run)}
    head = SUPERVISORD.format(**places, user="user=root\n" if root else "")
    return head + _sections(programs, servers)


def with_groups(conf: str, programs: list[Program], servers: Servers) -> str:
    """Return the configuration with its process groups replaced by these programs."""
    return conf.partition(GROUPS)[0] + GROUPS + _sections(programs, servers)


def _sections(programs: list[Program], servers: Servers) -> str:
    """Return the [program:…] sections of the configuration."""
    return "".join(
        PROGRAM.format(
            log=_literal(servers.log),
            name=program.name,
            group=program.group,
            number=program.number,
            command=_literal(_quoted(program.command)),
            directory=_literal(BASE_DIR),
            priority=program.priority,
            stop_signal=program.stop_signal,
            stop_seconds=program.stop_seconds,
        )
        for program in programs
    )


def _quoted(command: list[str]) -> str:
    """Return a command as one line that a shell, and so Supervisor, splits into its arguments."""
    # Supervisor takes a blank and `;` or `#` for the start of a comment. They stand within single
    # quotes here; ending and beginning the quotes between them changes nothing for a shell.
    return re.sub(r" (?=[;#])", " ''", shlex.join(command))


def _literal(value: object) -> str:
    # Supervisor expands %(…)s in every value.
    return str(value).replace("%", "%%")


def replace_text(path: Path, text: str) -> None:
    """Write a file as a whole: a reader gets the former text or the new one, never half of it."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
