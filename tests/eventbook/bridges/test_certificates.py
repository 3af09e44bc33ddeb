"""Over TLS, a bridge talks only to the host that its URL names."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from eventbook.bridges.publishing import Publisher
from eventbook.bridges.targets.base import TargetDown
from eventbook.models import BridgeEntry
from tests.eventbook.bridges.conftest import Configure
from tests.harness.nats_server import NatsServer
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)


def certificate(folder: Path, name: str) -> Path:
    """Return a file with a new key and its certificate, for a host or an IP address."""
    key, own, both = (folder / end for end in ("key.pem", "own.pem", "both.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=bridges", "-addext", f"subjectAltName={name}", "-keyout", key, "-out", own],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_bytes(key.read_bytes() + own.read_bytes())
    return both


@contextmanager
def tls_server(file: Path) -> Iterator[tuple[int, list[bool]]]:
    """Run a server that does handshakes only; yield its port, and whether each succeeded."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    handshakes: list[bool] = []

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connected, server_side=True) as secure:
                    handshakes.append(bool(secure.recv(1)))
            except OSError:
                handshakes.append(False)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], handshakes


@pytest.mark.parametrize("scheme", ["amqps", "rediss-streams", "https"])
@pytest.mark.parametrize("is_ours", [True, False])
def test_a_certificate_of_another_host_is_refused(
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    is_ours: bool,
) -> None:
    file = certificate(tmp_path, "IP:127.0.0.1" if is_ours else "DNS:another.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))  # a trusted authority
    with tls_server(file) as (port, handshakes):
        publisher = Publisher(configure("one", f"{scheme}://user:password@127.0.0.1:{port}/0"))
        send("a")

        with pytest.raises(TargetDown):
            publisher.step()
        publisher.target.close()

    assert any(handshakes) is is_ours


@pytest.mark.parametrize("is_ours", [True, False])
def test_nats_begins_with_the_handshake(
    nats: NatsServer,
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_ours: bool,
) -> None:
    file = certificate(tmp_path, "IP:127.0.0.1" if is_ours else "DNS:another.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    settings = tmp_path / "tls.conf"
    settings.write_text(f'tls {{ cert_file: "{file}", key_file: "{file}", handshake_first: auto }}')
    nats.stop()
    nats.options = ["-c", str(settings)]
    nats.start()
    publisher = Publisher(configure("one", nats.url.replace("nats:", "tls:")))
    send("a")

    with nullcontext() if is_ours else pytest.raises(TargetDown):
        publisher.step()
    publisher.target.close()

    assert BridgeEntry.objects.count() == (0 if is_ours else 1)


def test_an_address_for_tls_is_never_used_without(nats: NatsServer, configure: Configure) -> None:
    publisher = Publisher(configure("one", nats.url.replace("nats:", "tls:")))
    send("a")

    with pytest.raises(TargetDown):
        publisher.step()
    publisher.target.close()
