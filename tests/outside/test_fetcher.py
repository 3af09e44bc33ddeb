"""The way out: what is fetched, what is refused, and how soon."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from outside import addresses, errors, networks
from outside.fetcher import HTML, Fetched, Limits, fetch
from tests.outside import hostile
from tests.outside.hostile import REFUSED, Hostile

QUICK = Limits(seconds=1.0, size=1_000_000)
SLACK = 3.0  # seconds of a busy machine; what is slow here is slow for longer


@pytest.fixture(scope="module")
def server() -> Iterator[Hostile]:
    with hostile.running() as running:
        yield running


@pytest.fixture(autouse=True)
def _trusted(server: Hostile, settings: Any) -> None:
    settings.FETCH_TRUSTED = [
        f"{host}:{server.port}" for host in ("127.0.0.1", "rebinding.example")
    ]


def got(server: Hostile, path: str, **options: Any) -> Fetched:
    """Fetch from the server, with short timeouts."""
    return fetch(server.url(path), **{"limits": QUICK, **options})


@pytest.mark.parametrize(
    ("url", "reason"), [(url, reason) for reason, urls in REFUSED.items() for url in urls]
)
def test_what_is_not_public_is_refused_before_anything_is_sent(url: str, reason: str) -> None:
    with pytest.raises(errors.Refused) as refused:
        fetch(url, limits=QUICK)

    assert refused.value.lasting
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://a..b/", "empty part"),
        ("http://./", "empty part"),
        ("http://.example.org/", "empty part"),
        ("http://example.org../", "empty part"),
        (f"http://{'a' * 64}.org/", "more than 63 characters"),
        (f"http://{'a.' * 130}org/", "too long"),
    ],
)
def test_what_is_no_name_of_a_host_is_refused(url: str, reason: str) -> None:
    with pytest.raises(errors.Refused, match=reason):
        addresses.normalized(url)


def test_a_name_may_end_in_a_dot() -> None:
    assert addresses.normalized("http://example.org./") == "http://example.org./"


def test_the_inside_of_a_cloud_is_not_public() -> None:
    assert not networks.is_public(ip_address("168.63.129.16"))
    assert networks.is_public(ip_address("168.63.129.17"))


def test_a_page_comes_with_its_type_and_where_it_was(server: Hostile) -> None:
    found = got(server, "/once", types=HTML)

    assert (found.status, found.type, found.charset) == (200, "text/html", "utf-8")
    assert found.content == hostile.PAGE
    assert found.url == server.url("/page")
    assert found.headers["ETag"] == '"1"'


def test_neither_cookies_nor_credentials_nor_fragments_are_sent(server: Hostile) -> None:
    server.requests.clear()

    got(server, "/page")
    fetch(server.url("/page#part").replace("//", "//name:secret@"), limits=QUICK)

    assert len(server.requests) == 2
    sent = "".join(server.requests).lower()
    assert "cookie" not in sent
    assert "authorization" not in sent
    assert "secret" not in sent
    assert "#part" not in sent
    assert "user-agent: commonplace/" in sent


def test_what_the_server_has_not_changed_is_not_sent_again(server: Hostile) -> None:
    found = got(server, "/unchanged", headers={"If-None-Match": '"1"'})

    assert found.is_unchanged
    assert found.content == b""
    assert 'If-None-Match: "1"' in server.requests[-1]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/endless", errors.TooLarge),
        ("/bomb", errors.TooLarge),
        ("/nested-bomb", errors.TooLarge),
        ("/huge", errors.TooLarge),
        ("/slow-body", errors.TimedOut),
        ("/slow-header", errors.TimedOut),
        ("/silent", errors.TimedOut),
        ("/many-headers", errors.Unreachable),
        ("/no-number", errors.Unreachable),
        ("/broken-off", errors.Unreachable),
        ("/not-gzip", errors.Unreachable),
        ("/not-http", errors.Unreachable),
        ("/nothing", errors.Unreachable),
        ("/loop", errors.TooManyRedirects),
        ("/to-metadata", errors.Refused),
        ("/to-private", errors.Refused),
        ("/to-port", errors.Refused),
        ("/to-file", errors.Refused),
        ("/to-script", errors.Refused),
        ("/to-nowhere", errors.Refused),
        ("/pdf", errors.WrongType),
        ("/untyped", errors.WrongType),
        ("/gone", errors.ErrorStatus),
    ],
)
def test_whatever_a_server_does_ends_soon_with_a_reason(
    server: Hostile, path: str, error: type[errors.FetchFailed]
) -> None:
    began = time.monotonic()

    with pytest.raises(error) as failed:
        got(server, path, types=HTML)

    assert type(failed.value) is error
    assert time.monotonic() - began < QUICK.seconds + SLACK
    assert "127.0.0.1" not in str(failed.value)


def test_a_bomb_is_not_unpacked(server: Hostile) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(errors.TooLarge):
        got(server, "/bomb", limits=Limits(seconds=10, size=1_000_000))

    # The server packs it in this very process, from one copy of 200 MB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_a_server_that_is_busy_says_when_to_come_again(server: Hostile) -> None:
    with pytest.raises(errors.ErrorStatus) as answered:
        got(server, "/busy")

    assert (answered.value.status, answered.value.retry_after) == (429, 120)
    assert not answered.value.lasting


def test_who_asks_first_whether_he_may_is_told_where_a_page_has_moved(server: Hostile) -> None:
    server.requests.clear()

    with pytest.raises(errors.Moved) as moved:
        got(server, "/once", follow_redirects=False)
    with pytest.raises(errors.Refused):
        got(server, "/to-file", follow_redirects=False)

    assert moved.value.url == server.url("/page")
    assert len(server.requests) == 2


def test_of_what_is_not_wanted_the_type_is_known_and_nothing_is_read(server: Hostile) -> None:
    with pytest.raises(errors.WrongType) as wrong:
        got(server, "/film", types=HTML)

    assert (wrong.value.type, wrong.value.size) == ("video/mp4", 99999999999)


def test_a_port_that_nobody_listens_on_is_unreachable(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings.FETCH_TRUSTED = [f"127.0.0.1:{port}"]

    with pytest.raises(errors.Unreachable):
        fetch(f"http://127.0.0.1:{port}/", limits=QUICK)


def test_a_name_is_resolved_once_and_what_it_was_is_connected_to(
    server: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What an attacker's name server does: the first answer is harmless, the next one is not.
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        if host != "rebinding.example":
            return real(host, *rest, **options)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    found = fetch(f"http://rebinding.example:{server.port}/page", limits=QUICK)

    assert (found.status, asked) == (200, ["rebinding.example"])
    assert f"Host: rebinding.example:{server.port}" in server.requests[-1]


def test_a_resolver_that_hangs_costs_no_more_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang(*_: Any, **__: Any) -> None:
        time.sleep(8)
        raise socket.gaierror  # to nobody: the test is over

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()

    with pytest.raises(errors.TimedOut):
        fetch("https://example.org/", limits=QUICK)

    assert time.monotonic() - began < QUICK.seconds + SLACK
