"""The walk-through of docs/operating.md, command for command, on a stack under load."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from stack.local_secret import local_secret
from tests.flows.console import Step, fits, steps
from tests.flows.running_stack import RunningStack, is_tests
from tests.harness.processes import ROOT, free_port, wait_for
from tests.harness.tools import tool

DOCUMENT, HEADING = ROOT / "docs" / "operating.md", "## A bad day, step by step"
# What only looks may be repeated until it shows what the document does; what acts is done once.
LOOKS = ("python manage.py doctor", "python manage.py queues status", "promtool query", "curl")
LOOK_SECONDS = 60.0
LOAD = "python -m demo.load --rate 10 --seconds 600 --url http://127.0.0.1:8000"


@pytest.fixture
def prometheus(stack: RunningStack, tmp_path: Path) -> Iterator[str]:
    """A Prometheus with the rules of deploy/, which fire after a second instead of minutes."""
    binary = tool("prometheus", package="prometheus")
    folder = ROOT / "deploy" / "prometheus"
    rules = re.sub(r"for: \d+m", "for: 1s", (folder / "rules.yml").read_text())
    (tmp_path / "rules.yml").write_text(rules)
    settings = (folder / "local.yml").read_text()
    settings = settings.replace("127.0.0.1:9108", f"127.0.0.1:{stack.exporter_port}")
    (tmp_path / "local.yml").write_text(re.sub(r"interval: \d+s", "interval: 1s", settings))
    address = f"127.0.0.1:{free_port()}"
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={tmp_path / 'local.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: answers(f"http://{address}/-/ready"), seconds=30, what="it is ready")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


class Terminal:
    """Where the commands of the document run, with the addresses of this stack in them."""

    def __init__(self, stack: RunningStack, prometheus: str) -> None:
        own = {name: text for name, text in os.environ.items() if not is_tests(name)}
        tools = tool("promtool", package="prometheus").parent
        path = f"{Path(sys.executable).parent}{os.pathsep}{tools}{os.pathsep}{own['PATH']}"
        self.environment = own | {"DATA_DIR": str(stack.data), "PATH": path, "COLUMNS": "100"}
        self.here = {
            "127.0.0.1:8000": f"127.0.0.1:{stack.port}",
            "127.0.0.1:5555": f"127.0.0.1:{stack.flower_port}",
            "127.0.0.1:9090": prometheus,
            "PASSWORD": local_secret(stack.data, "flower_password"),
        }

    def run(self, command: str) -> str:
        """Run a command, and return its output."""
        done = subprocess.run(
            self.adapted(command),
            shell=True,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout or done.stderr

    def adapted(self, command: str) -> str:
        """Return a command of the document, with this stack's addresses."""
        for default, here in self.here.items():
            command = command.replace(default, here)
        return command

    def follow(self, step: Step) -> None:
        """Run a step's command, and assert that it prints what the document shows."""
        deadline = time.monotonic() + (LOOK_SECONDS if step.command.startswith(LOOKS) else 0)
        while not fits(step.expected, printed := self.run(step.command)):
            if time.monotonic() > deadline:
                wanted = "\n".join(step.expected)
                pytest.fail(f"$ {step.command}\nprinted\n{printed}\nand should\n{wanted}")

    @contextmanager
    def load(self) -> Iterator[None]:
        """Run the document's load during the block, and assert that all of it was delivered."""
        _, *arguments = shlex.split(self.adapted(LOAD))
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0
        assert "All arrived in the feeds of 10 readers." in said


def test_an_operator_finds_mends_and_replays_under_load(
    stack: RunningStack, prometheus: str
) -> None:
    terminal = Terminal(stack, prometheus)
    walk = steps(DOCUMENT, HEADING)

    with terminal.load():
        for step in walk:
            terminal.follow(step)

    assert len(walk) >= 15
    stack.wait_until_delivered(seconds=60)
    assert stack.rows(
        "SELECT count(*) FROM eventbook_delivery WHERE state = 'dead' AND handler = 'feeds.fan_out'"
    ) == [(0,)]
    assert (
        len(stack.rows("SELECT FROM eventbook_operation WHERE starts_with(action, 'queue')")) >= 2
    )


def test_an_output_fits_but_for_what_changes() -> None:
    expected = ("queue  depth", "…", "feeds  12 of 3.5 at 2026-01-01 10:00:00 UTC")

    assert fits(expected, "queue   depth\nx\ny\nfeeds 7 of 1 at 2027-02-03 11:12:13 UTC\n")
    assert fits(expected, "queue depth\nfeeds 7 of 1 at 2027-02-03 11:12:13 UTC")
    assert not fits(expected, "queue depth\nfeeds none of 1 at 2027-02-03 11:12:13 UTC")
    assert not fits(expected, "queue depth\nfeeds 7 of 1 at 2027-02-03 11:12:13 UTC\nmore")
