"""The bridge to NATS JetStream, on a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from eventbook.bridges.publishing import Publisher
from eventbook.bridges.targets.base import TargetDown
from eventbook.models import BridgeEntry, ParkedMessage
from tests.eventbook.bridges.conftest import SEEN, Configure, Processes
from tests.eventbook.bridges.load import break_at_random, expected, load, numbers
from tests.eventbook.bridges.streams import stored
from tests.harness.nats_server import PASSWORD, NatsServer
from tests.harness.processes import end, wait_for
from tests.probe.sending import send


def test_an_event_is_stored_once_under_its_subject(
    transactional_db: None, nats: NatsServer, configure: Configure
) -> None:
    publisher = Publisher(configure("nats", nats.url))
    send("a", "b")
    first = list(BridgeEntry.objects.order_by("id"))

    publisher.step()
    # As after a crash between the confirmation and the deletion of the entries.
    BridgeEntry.objects.bulk_create(first)
    publisher.step()
    publisher.target.close()

    assert [event["subject"] for event in stored(nats)] == ["probes/a", "probes/b"]
    assert {event["type"] for event in stored(nats)} == {SEEN}
    assert not BridgeEntry.objects.exists()


def test_a_password_in_the_url_is_decoded(tmp_path: Path, configure: Configure) -> None:
    server = NatsServer(tmp_path, password="p/a@s:s %41")
    server.start()
    publisher = Publisher(configure("nats", server.url))

    publisher.target.idle()
    server.kill()
    server.password = "another"
    server.start()

    with pytest.raises(TargetDown, match="Authorization Violation"):
        wait_for(publisher.target.idle, seconds=10, what="it is refused")
    publisher.target.close()
    server.stop()


def test_a_message_larger_than_the_server_allows_is_parked(
    transactional_db: None, nats: NatsServer, configure: Configure
) -> None:
    publisher = Publisher(configure("nats", nats.url))
    send("large", behaviour="x" * 2_000_000)
    send("small")

    publisher.step()
    publisher.target.close()

    assert "larger" in ParkedMessage.objects.get().reason
    assert [event["subject"] for event in stored(nats)] == ["probes/small"]


def test_both_ends_are_killed_under_load_and_nothing_is_lost_doubled_or_out_of_order(
    nats: NatsServer, configure: Configure, processes: Processes
) -> None:
    configure("nats", nats.url)
    running = [processes.start("publish", "nats")]

    def restart_the_bridge() -> None:
        processes.kill(running.pop())
        running.append(processes.start("publish", "nats"))

    def restart_the_server() -> None:
        nats.kill()
        nats.start()

    with load() as recorded:
        wait_for(lambda: stored(nats), seconds=30, what="the bridge publishes")
        break_at_random([restart_the_bridge, restart_the_server], times=6, seed=1)
    wait_for(lambda: not BridgeEntry.objects.exists(), seconds=60, what="all is published")

    assert numbers(stored(nats)) == expected(recorded.sent)
    assert recorded.total > 500


def test_a_bridge_catches_up_after_an_outage_and_logs_no_password(
    nats: NatsServer, configure: Configure, processes: Processes
) -> None:
    configure("nats", nats.url)
    nats.kill()
    process: subprocess.Popen[bytes] = processes.start("publish", "nats")
    wait_for(
        lambda: processes.log.exists() and "target_down" in processes.log_text(),
        seconds=30,
        what="the bridge reports the outage",
    )
    for _ in range(10):
        send(*[f"key-{number}" for number in range(500)])
    nats.start()

    wait_for(lambda: not BridgeEntry.objects.exists(), seconds=60, what="it has caught up")
    assert len(stored(nats)) == 5_000
    assert PASSWORD not in processes.log_text()
    assert end(process) == 0
