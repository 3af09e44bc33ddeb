"""The bridge to a RabbitMQ exchange, on a real server."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from eventbook.bridges.publishing import Publisher
from eventbook.bridges.targets import rabbitmq
from eventbook.bridges.targets.base import TargetDown
from eventbook.models import BridgeEntry, ParkedMessage
from stack.rabbitmq import running
from tests.eventbook.bridges.conftest import SEEN, Configure, Processes
from tests.eventbook.bridges.exchange import Exchange
from tests.eventbook.bridges.load import break_at_random, expected, first_numbers, load
from tests.harness.processes import wait_for
from tests.probe.sending import send


def test_an_event_is_persistent_and_routed_by_its_type(
    transactional_db: None, rabbit: Exchange, configure: Configure
) -> None:
    publisher = Publisher(configure("rabbit", rabbit.url))
    send("a")

    publisher.step()
    publisher.target.close()

    (message,) = rabbit.messages()
    assert message.delivery_info["routing_key"] == SEEN
    assert message.properties["delivery_mode"] == 2
    assert message.properties["content_type"] == "application/cloudevents+json"
    assert message.properties["message_id"].encode() in message.body


def test_a_certificate_must_be_trusted_and_that_of_the_host(
    tmp_path: Path, certificate: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "server", certificate=certificate) as server:
        # Another name for the same address, which the certificate lacks.
        trusted, other = (
            Publisher(configure(name, f"amqps://guest:guest@{host}:{server.tls_port}//"))
            for name, host in (("trusted", "127.0.0.1"), ("other", "127.1"))
        )
        with pytest.raises(TargetDown, match="SSLCertVerificationError"):
            trusted.target.idle()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusted.target.idle()
        with pytest.raises(TargetDown, match="SSLCertVerificationError"):
            other.target.idle()
        trusted.target.close()


def test_a_message_above_the_servers_limit_is_parked(
    transactional_db: None,
    rabbit: Exchange,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rabbitmq, "MAX_BYTES", 1_000)
    publisher = Publisher(configure("rabbit", rabbit.url))
    send("large", behaviour="x" * 1_000)
    send("small")

    publisher.step()
    publisher.target.close()

    assert "larger" in ParkedMessage.objects.get().reason
    assert [event["subject"] for event in rabbit.events()] == ["probes/small"]


def test_both_ends_are_killed_under_load_and_nothing_is_lost_or_out_of_order(
    rabbit: Exchange, configure: Configure, processes: Processes
) -> None:
    configure("rabbit", rabbit.url)
    running = [processes.start("publish", "rabbit")]

    def restart_the_bridge() -> None:
        processes.kill(running.pop())
        running.append(processes.start("publish", "rabbit"))

    def restart_the_server() -> None:
        rabbit.server.kill()
        rabbit.server.start()

    with load() as recorded:
        wait_for(lambda: "bridge.started" in processes.log_text(), seconds=30, what="it starts")
        break_at_random([restart_the_bridge, restart_the_server], times=4, seed=2)
    wait_for(lambda: not BridgeEntry.objects.exists(), seconds=90, what="all is published")

    arrived = rabbit.events()
    assert first_numbers(arrived) == expected(recorded.sent)
    # A bridge that dies repeats at most its last batch, with the same ids.
    repeated = sum(Counter(event["id"] for event in arrived).values()) - recorded.total
    print(f"{recorded.total} events, {repeated} of them twice")  # noqa: T201
    assert repeated <= 500 * 4
