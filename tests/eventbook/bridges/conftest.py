from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventbook.declare.bridges import Bridge
from stack.binaries import ProgramMissing
from stack.rabbitmq import RabbitMQ, running
from tests.eventbook.bridges.exchange import Exchange
from tests.harness.nats_server import NatsServer
from tests.harness.processes import kill_group, launch
from tests.harness.redises import ValkeyServer

SEEN = "commonplace.probe.seen.v1"
HAPPENED = "another.thing.happened.v1"
# The fields of a bridge that only consumes.
CONSUME: Any = {"publish": frozenset(), "consume": frozenset({HAPPENED})}


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    try:
        with running(tmp_path_factory.mktemp("rabbitmq")) as server:
            yield server
    except ProgramMissing as error:
        pytest.skip(f"NOT TESTED: RabbitMQ. {error}")


@pytest.fixture
def rabbit(rabbit_server: RabbitMQ) -> Iterator[Exchange]:
    """The exchange, with a new queue of another system that is bound to all events."""
    exchange = Exchange(rabbit_server)
    exchange.bind()
    yield exchange
    exchange.delete()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path)
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
        monkeypatch.setenv(f"{variable}_TOKEN", bridge.token)
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
