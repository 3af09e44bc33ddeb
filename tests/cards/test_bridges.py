"""A card goes out over two bridges, and an event of each comes in and is handled once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from eventbook.models import BridgeEntry, Delivery, Event
from tests.conftest import Drain
from tests.eventbook.bridges.conftest import Configure, Processes
from tests.eventbook.bridges.exchange import Exchange
from tests.eventbook.bridges.others import OverNats, OverRabbit, event
from tests.eventbook.bridges.streams import stored
from tests.harness.nats_server import NatsServer
from tests.harness.processes import end, wait_for
from tests.library import PAGE

PUBLISHED = "commonplace.card.published.v1"
CHANGED = "commonplace.page.changed.v1"


@pytest.fixture
def bridged(
    nats: NatsServer,
    rabbit: Exchange,
    configure: Configure,
    processes: Processes,
) -> list[subprocess.Popen[bytes]]:
    """Run the four processes of two bridges, in both directions."""
    types = {"publish": frozenset({PUBLISHED}), "consume": frozenset({CHANGED})}
    for name, url in (("nats", nats.url), ("rabbit", rabbit.url)):
        configure(name, url, **types)
    running = [
        processes.start(action, name)
        for name in ("nats", "rabbit")
        for action in ("publish", "consume")
    ]
    wait_for(
        lambda: processes.log.exists() and processes.log_text().count("bridge.started") == 4,
        seconds=60,
        what="the bridges run",
    )
    return running


def test_a_card_is_seen_once_on_each_and_an_event_of_each_is_handled_once(
    bridged: list[subprocess.Popen[bytes]],
    nats: NatsServer,
    rabbit: Exchange,
    drain: Drain,
    alice: Any,
    client_of: Callable[[Any], APIClient],
) -> None:
    response = client_of(alice).post(
        "/api/v1/cards/", {"type": "URL", "url": PAGE, "title": "A page"}
    )
    client_of(alice).post(
        "/api/v1/cards/", {"type": "NOTE", "text": "secret", "visibility": "PRIVATE"}
    )
    wait_for(lambda: not BridgeEntry.objects.exists(), seconds=30, what="all is published")

    seen = {
        "card_id": response.json()["id"],
        "card_type": "URL",
        "curator": "alice",
        "title": "A page",
        "url": PAGE,
    }
    (on_nats,), (on_rabbit,) = stored(nats), rabbit.events()
    assert on_nats == on_rabbit
    assert on_nats["type"] == PUBLISHED
    assert on_nats["data"] == seen

    for other in (OverNats(nats), OverRabbit(rabbit)):
        name = type(other).__name__
        changed = event(name, 1, type=CHANGED) | {"data": {"url": f"{PAGE}?utm_source=x"}}
        other.send([changed, changed])
    requested = Event.objects.filter(type="page.expired")
    wait_for(lambda: requested.count() == 2, seconds=30, what="both are taken in")
    drain()

    handled = Delivery.objects.filter(handler="metadata.fetch_again", state="done")
    assert handled.count() == 2
    assert requested.count() == 2
    assert [end(process) for process in bridged] == [0, 0, 0, 0]
