"""The bridge that posts events, to a real web server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from eventbook.bridges.publishing import Publisher
from eventbook.bridges.targets.base import TargetDown
from eventbook.models import BridgeEntry, ParkedMessage
from tests.eventbook.bridges.conftest import Configure, Processes
from tests.eventbook.bridges.load import break_at_random, expected, first_numbers, load
from tests.eventbook.bridges.web import WebServer
from tests.harness.processes import wait_for
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    server = WebServer()
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("scheme", ["http", "http-binary"])
def test_others_can_read_the_event(
    web_server: WebServer, configure: Configure, scheme: str
) -> None:
    publisher = Publisher(configure("web", web_server.url(scheme)))
    send('naïve "key" 100%')
    event_id = BridgeEntry.objects.get().event_id

    publisher.step()
    publisher.target.close()

    key = 'naïve "key" 100%'
    assert web_server.events() == [
        {"id": str(event_id), "subject": f"probes/{key}", "data": {"key": key, "text": "ok"}}
    ]
    headers, _ = web_server.requests[0]
    assert headers["path"] == "/events?of=commonplace"
    assert headers["content-type"].startswith("application/")


def test_a_login_or_token_is_sent(web_server: WebServer, configure: Configure) -> None:
    configured = [
        configure("login", web_server.url(login="user:pass%20word@")),
        configure("token", web_server.url(), token="a-token"),
    ]
    send("a")
    for bridge in configured:
        publisher = Publisher(bridge)
        publisher.step()
        publisher.target.close()

    assert [headers["authorization"] for headers, _ in web_server.requests] == [
        "Basic dXNlcjpwYXNzIHdvcmQ=",
        "Bearer a-token",
    ]
    assert "a-token" not in repr(configured)


def test_an_event_that_the_target_calls_wrong_is_parked(
    web_server: WebServer, configure: Configure
) -> None:
    publisher = Publisher(configure("web", web_server.url()))
    web_server.respond = lambda body: 422 if b"probes/bad" in body else 200
    send("bad", "good")

    publisher.step()
    publisher.target.close()

    assert ParkedMessage.objects.get().reason == "The target responded with status 422."
    assert [event["subject"] for event in web_server.events()] == ["probes/good"]


def test_what_a_slow_target_has_confirmed_is_noted_soon_and_not_sent_again(
    web_server: WebServer, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(body: bytes) -> int:
        time.sleep(0.3)
        return 200

    monkeypatch.setattr("eventbook.bridges.targets.http.SLOW_SECONDS", 0.5)
    publisher = Publisher(configure("web", web_server.url()))
    web_server.respond = respond
    send(*[str(number) for number in range(40)])

    with pytest.raises(TargetDown, match="takes longer"):
        publisher.step()

    assert 0 < len(web_server.requests) == 40 - BridgeEntry.objects.count() < 40
    publisher.target.close()


@pytest.mark.parametrize("length", ["100", "words"])
def test_a_response_whose_body_stalls_confirms_the_event_too(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    monkeypatch.setattr("eventbook.bridges.targets.http.TIMEOUT", (1.0, 0.5))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(b"short")
            time.sleep(1)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        publisher = Publisher(configure("web", f"http://127.0.0.1:{server.server_port}/"))
        send("a")
        publisher.step()
        publisher.target.close()
        server.shutdown()

    assert not BridgeEntry.objects.exists()


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_other_responses_are_an_outage_and_redirects_are_not_followed(
    web_server: WebServer, configure: Configure, status: int
) -> None:
    publisher = Publisher(configure("web", web_server.url()))
    web_server.respond = lambda body: status if b"probes/a" in body else 200
    send("a", "b")

    with pytest.raises(TargetDown, match=f"status {status}"):
        publisher.step()
    publisher.target.close()

    assert BridgeEntry.objects.count() >= 1
    assert "probes/a" not in [event["subject"] for event in web_server.events()]


def test_both_ends_are_stopped_under_load_and_nothing_is_lost_or_out_of_order(
    web_server: WebServer, configure: Configure, processes: Processes
) -> None:
    configure("web", web_server.url())
    running = [processes.start("publish", "web")]

    def restart_the_bridge() -> None:
        processes.kill(running.pop())
        running.append(processes.start("publish", "web"))

    def restart_the_server() -> None:
        web_server.stop()
        web_server.start()

    with load() as recorded:
        wait_for(lambda: web_server.requests, seconds=30, what="the bridge publishes")
        break_at_random([restart_the_bridge, restart_the_server], times=4, seed=4)
    wait_for(lambda: not BridgeEntry.objects.exists(), seconds=90, what="all is published")

    arrived = web_server.events()
    assert first_numbers(arrived) == expected(recorded.sent)
    repeated = sum(Counter(event["id"] for event in arrived).values()) - recorded.total
    print(f"{recorded.total} events, {repeated} of them twice")  # noqa: T201
