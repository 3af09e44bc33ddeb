"""A target that is stuck delays no other bridge, and its own process says so."""

from __future__ import annotations

import socket
import time

from eventbook.models import BridgeEntry, Process
from tests.eventbook.bridges.conftest import Configure, Processes
from tests.eventbook.bridges.streams import stored
from tests.harness.nats_server import NatsServer
from tests.harness.processes import wait_for
from tests.probe.sending import send


def test_a_target_that_accepts_and_never_responds_delays_no_other(
    nats: NatsServer, configure: Configure, processes: Processes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure("stuck", f"amqp://127.0.0.1:{silent.getsockname()[1]}//")
        configure("nats", nats.url)
        for name in ("stuck", "nats"):
            processes.start("publish", name)
        wait_for(
            lambda: processes.log.exists() and "bridge.target_down" in processes.log_text(),
            seconds=60,
            what="the stuck target is noticed",
        )
        began = time.monotonic()
        for _ in range(20):
            send(*[f"key-{number}" for number in range(100)])

        waiting = BridgeEntry.objects.filter(bridge="nats")
        wait_for(lambda: not waiting.exists(), seconds=30, what="the other bridge has published")
        seconds = time.monotonic() - began

    assert len(stored(nats)) == 2_000
    assert BridgeEntry.objects.filter(bridge="stuck").count() == 2_000
    assert seconds < 15
    in_trouble = Process.objects.filter(trouble__contains="not respond: RabbitMQ: TimeoutError")
    wait_for(in_trouble.exists, seconds=10, what="its process says so")
    assert [process.queues for process in Process.objects.exclude(trouble="")] == [
        ["publish stuck"]
    ]
