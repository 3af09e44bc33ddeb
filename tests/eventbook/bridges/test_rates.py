"""How fast a bridge catches up: `EVENTS=100000 pytest -s tests/eventbook/bridges/test_rates.py`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventbook.bridges.publishing import Publisher
from eventbook.models import BridgeEntry
from tests.eventbook.bridges.conftest import Configure
from tests.eventbook.bridges.web import WebServer
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)
EVENTS = int(os.environ.get("EVENTS", "2000"))
LEAST_RATE = 100  # events a second: a slower bridge would not catch up with a busy day


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    server = WebServer()
    server.start()
    yield server
    server.stop()


URLS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "JetStream": ("nats", lambda server: server.url),
    "RabbitMQ": ("rabbit", lambda server: server.url),
    "Redis Streams": ("valkey", lambda server: server.url("redis-streams")),
    "HTTP": ("web_server", lambda server: server.url()),
}


@pytest.mark.parametrize("name", URLS)
def test_a_backlog_is_published_fast(
    name: str, configure: Configure, request: pytest.FixtureRequest
) -> None:
    fixture, url_of = URLS[name]
    publisher = Publisher(configure("fast", url_of(request.getfixturevalue(fixture))))
    for first in range(0, EVENTS, 1000):
        send(*[str(number) for number in range(first, min(first + 1000, EVENTS))])

    began = time.perf_counter()
    while publisher.step():
        pass
    rate = EVENTS / (time.perf_counter() - began)
    publisher.target.close()

    print(f"{name}: {EVENTS} events, {rate:,.0f} a second")  # noqa: T201
    assert not BridgeEntry.objects.exists()
    assert rate > LEAST_RATE
