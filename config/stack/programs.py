"""The programs of the stack: the process groups of fly.toml and, with none given, the servers."""

import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

from config.binaries import setpriv
from config.embedded import Servers

BASE_DIR = Path(__file__).resolve().parent.parent.parent
# Longer than a worker's soft shutdown (10 s), shorter than Fly's kill_timeout (60 s).
GROUP_STOP_SECONDS = 45
SERVER_STOP_SECONDS = 25

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

PROGRAM = """
[program:{name}]
command={command}
directory={directory}
environment=PROCESS_NAME="{name}"
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
    """This is one supervised program."""

    name: str
    command: list[str]
    priority: int = 2  # the higher starts later and stops earlier
    # TERM goes to the main process alone: Celery's children would take it for an order to die.
    stop_signal: str = "TERM"
    stop_seconds: int = GROUP_STOP_SECONDS


def fly() -> dict[str, dict[str, str]]:
    """This is fly.toml's [processes] and [env]: what the stack has in common with production."""
    config = tomllib.loads((BASE_DIR / "fly.toml").read_text())
    return {"processes": config["processes"], "env": config.get("env", {})}


def process_groups() -> list[Program]:
    """This is one program a process group, by the very command of fly.toml."""
    # Supervisor leaves its children alone when it is killed; the death signal does not.
    prefix = setpriv(death_signal="TERM")
    return [
        Program(name=name, command=[*prefix, *shlex.split(command)])
        for name, command in fly()["processes"].items()
    ]


def server_programs(servers: Servers, *, postgres: bool, valkey: bool) -> list[Program]:
    """This is one program a server that runs embedded."""
    wanted = []
    if postgres:
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for the last client to leave.
        command = servers.postgres_command(death_signal="INT")
        wanted.append(Program("postgres", command, 1, "INT", SERVER_STOP_SECONDS))
    if valkey:
        command = servers.valkey_command(death_signal="TERM")
        wanted.append(Program("valkey", command, 1, "TERM", SERVER_STOP_SECONDS))
    return wanted


def supervisord_conf(programs: list[Program], servers: Servers, *, root: bool) -> str:
    """This is the configuration of supervisord."""
    places = {"log": _literal(servers.log), "run": _literal(servers.run)}
    head = SUPERVISORD.format(**places, user="user=root\n" if root else "")
    return head + "".join(
        PROGRAM.format(
            **places,
            name=program.name,
            command=_literal(shlex.join(program.command)),
            directory=_literal(BASE_DIR),
            priority=program.priority,
            stop_signal=program.stop_signal,
            stop_seconds=program.stop_seconds,
        )
        for program in programs
    )


def _literal(value: object) -> str:
    # Supervisor expands %(…)s in every value.
    return str(value).replace("%", "%%")
