from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from supervisor.options import UnhosedConfigParser

from config import queues
from stack.embedded import Servers
from stack.environment import stack_environment
from stack.lines import Follower
from stack.ports import PortTaken, free_ports
from stack.processes import command_line
from stack.programs import (
    BASE_DIR,
    copies_of,
    fly,
    server_programs,
    supervisord_conf,
    with_groups,
)
from stack.scale import Scale, ScaleRefused
from stack.watcher import VARIABLE

SECONDS = 120
KEPT = ("PATH", "HOME", "LANG", VARIABLE)
UP = [sys.executable, "-m", "stack", "up"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a stack with data and ports of its own, and nothing of this test run."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    ports = free_ports({"PORT": 0, "FLOWER_PORT": 0, "EXPORTER_PORT": 0}, any_free=True)
    return {**kept, "DATA_DIR": str(tmp_path), **{name: str(ports[name]) for name in ports}}


@pytest.fixture
def running(tmp_path: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A stack that is up and answers."""
    stack = start(tmp_path / "up.log", environment)
    yield stack
    stop(stack)


def start(printed: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a stack, and wait until it is up."""
    with printed.open("w") as log:
        stack = subprocess.Popen(UP, cwd=BASE_DIR, env=environment, stdout=log, stderr=log)
    wait_for(lambda: "is up" in printed.read_text() or stack.poll() is not None)
    assert stack.poll() is None, printed.read_text()
    return stack


def stop(stack: subprocess.Popen[bytes]) -> None:
    """Stop a stack with SIGINT."""
    if stack.poll() is None:
        stack.terminate()
        stack.wait(timeout=SECONDS)


def test_the_stack_heals_a_killed_process_and_leaves_none_when_it_stops(
    running: subprocess.Popen[bytes], tmp_path: Path, environment: dict[str, str]
) -> None:
    before = status(tmp_path)
    assert set(before) == {*fly()["processes"], "postgres", "valkey"}

    for name in ("web", "notification-worker"):
        os.kill(before[name], signal.SIGKILL)
        wait_for(partial(has_another_process, tmp_path, name, before[name]))
    wait_for(lambda: answers(f"http://127.0.0.1:{environment['PORT']}/readyz"))

    second = run(environment)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1

    pids = list(status(tmp_path).values())
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=SECONDS) == 0
    assert [pid for pid in pids if command_line(pid)] == []


def has_another_process(data: Path, name: str, pid: int) -> bool:
    return status(data).get(name, pid) != pid


def test_a_stack_that_was_killed_is_started_at_once_and_killed_again_leaves_nothing(
    running: subprocess.Popen[bytes], tmp_path: Path, environment: dict[str, str]
) -> None:
    supervisor = int((Servers(tmp_path).run / "supervisord.pid").read_text())
    first = list(status(tmp_path).values())
    for pid in (supervisor, running.pid):
        os.kill(pid, signal.SIGKILL)
    running.wait()

    again = start(tmp_path / "again.log", environment)
    try:
        second = list(status(tmp_path).values())
        shown = shown_by_status(environment)
    finally:
        again.kill()
        again.wait()

    assert [pid for pid in first if command_line(pid)] == []
    assert len(second) == len(first)
    assert f"http://127.0.0.1:{environment['PORT']}/" in shown
    assert f"admin  {(tmp_path / 'admin_password').read_text().strip()}" in shown
    wait_for(lambda: not any(command_line(pid) for pid in second))
    said = (tmp_path / "log" / "postgres.log").read_text()
    assert "database system was not properly shut down" not in said


def shown_by_status(environment: dict[str, str]) -> str:
    """Return the output of `status` for a running stack."""
    command = [sys.executable, "-m", "stack", "status"]
    done = subprocess.run(
        command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_taken_port_is_named_with_its_variable_before_anything_starts(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])

        done = run({**environment, "FLOWER_PORT": port})

    assert done.returncode == 1
    assert f"Port {port}" in done.stderr
    assert "FLOWER_PORT" in done.stderr
    assert not (tmp_path / "supervisord.conf").exists()


@pytest.mark.parametrize("text", ["0", "65536", "eighty", "-1", "9" * 400])
def test_what_is_no_port_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", text)

    with pytest.raises(PortTaken, match="set PORT"):
        free_ports({"PORT": 8000})


def test_every_queue_has_its_process_group() -> None:
    names = {program.name for program in Scale().programs()}

    assert {policy.process_group for policy in queues.QUEUES} <= names
    assert {"web", "relay", "beat", "flower"} <= names


def test_given_servers_are_used_and_not_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://elsewhere/ours")
    monkeypatch.delenv("REDIS_URL", raising=False)
    servers = Servers(tmp_path)

    environment = stack_environment(servers, {"PORT": 1, "FLOWER_PORT": 2, "EXPORTER_PORT": 3})

    assert environment["DATABASE_URL"] == "postgres://elsewhere/ours"
    assert environment["REDIS_URL"] == servers.redis_url


def test_a_per_cent_in_a_path_survives_the_configuration(tmp_path: Path) -> None:
    servers = Servers(tmp_path / "50%")
    programs = server_programs(servers, postgres=True, valkey=False)

    conf = supervisord_conf(programs, servers, root=False)

    assert "50%%/postgres" in conf


@pytest.mark.parametrize("value", ["50%", "one ; two", "one # two", "it's", 'a "b" \\ c'])
def test_a_variable_reaches_its_process_as_it_was_given(value: str, tmp_path: Path) -> None:
    programs = copies_of("feed-worker", 1, {"FETCH_CONTACT": value})
    parser = UnhosedConfigParser()

    parser.read_string(with_groups("", programs, Servers(tmp_path)))

    command = shlex.split(parser.get("program:feed-worker", "command") % {})
    assert f"FETCH_CONTACT={value}" in command
    assert command == programs[0].command


@pytest.mark.parametrize("variables", [{"": "1"}, {"A B": "1"}, {"NAME": "one\ntwo"}])
def test_a_variable_that_no_process_can_have_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(ScaleRefused):
        Scale().with_variables("feed-worker", variables)


def test_a_follower_reads_over_a_rotation_and_skips_what_is_old(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("old\n")
    follower = Follower(log)

    with log.open("a") as file:
        file.write("one\ntw")
    first = follower.lines()
    with log.open("a") as file:
        file.write("o\n")
    log.rename(tmp_path / "web.log.1")
    log.write_text("three\n")
    second = follower.lines()

    assert first == ["one"]
    assert second == ["two", "three"]


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start a stack that must refuse, and return its output."""
    return subprocess.run(
        UP, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )


def status(data: Path) -> dict[str, int]:
    """Return the process id of each running program."""
    control = [sys.executable, "-m", "supervisor.supervisorctl", "-c", f"{data}/supervisord.conf"]
    done = subprocess.run([*control, "status"], capture_output=True, text=True, check=False)
    rows = [line.replace(",", "").split() for line in done.stdout.splitlines()]
    return {row[0]: int(row[3]) for row in rows if row[1] == "RUNNING"}


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll until the condition holds, for at most SECONDS."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("The condition did not come true in time.")
