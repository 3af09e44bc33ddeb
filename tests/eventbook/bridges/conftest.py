from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventbook.declare.bridges import Bridge
from tests.harness.nats_server import NatsServer
from tests.harness.processes import kill_group, launch

SEEN = "commonplace.probe.seen.v1"


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


Configure = Callable[..., Bridge]


@pytest.fixture
def configure(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Return a function that configures a bridge here, and for processes that start later."""

    def configured(name: str, url: str, **fields: Any) -> Bridge:
        bridge = Bridge(name=name, url=url, **{"publish": frozenset({SEEN}), **fields})
        settings.BRIDGES = (*settings.BRIDGES, bridge)
        variable = f"BRIDGE_{name.upper()}"
        monkeypatch.setenv(f"{variable}_URL", url)
        monkeypatch.setenv(f"{variable}_PUBLISH", " ".join(bridge.publish))
        monkeypatch.setenv(f"{variable}_CONSUME", " ".join(bridge.consume))
        monkeypatch.setenv(f"{variable}_SUBJECT", bridge.subject)
        return bridge

    settings.BRIDGES = ()
    return configured


class Processes:
    """The processes of bridges that a test runs."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "bridge.log"
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, action: str, name: str) -> subprocess.Popen[bytes]:
        process = launch("bridge", action, name, log=self.log)
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        kill_group(process)
        self.running.remove(process)

    def log_text(self) -> str:
        """Return what the processes logged."""
        return self.log.read_text()


@pytest.fixture
def processes(tmp_path: Path, transactional_db: None) -> Iterator[Processes]:
    found = Processes(tmp_path)
    yield found
    for process in found.running:
        kill_group(process)
