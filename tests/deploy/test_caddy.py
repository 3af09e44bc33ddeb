"""The Caddyfile is valid, and holds what it says before a real web process."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from accounts.models import User
from config.settings import WEB
from imports.limits import IMPORT_BYTES
from tests.harness.processes import ROOT, free_port, wait_for
from tests.harness.web import Client, WebProcess
from tests.library import token_of
from tests.server.slow.clients import LOGIN, Slow, head, post

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = (ROOT / "deploy/systemd/Caddyfile").read_text()
CADDY = shutil.which("caddy")
# Debian has it; where it is not installed, only the file is read.
needs_caddy = pytest.mark.skipif(CADDY is None, reason="apt-get install caddy")


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    running = WebProcess(tmp_path_factory.mktemp("caddy") / "web.log", BODY_GRACE_SECONDS="2")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def site(web: WebProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The site behind our Caddyfile, without TLS."""
    folder: Path = tmp_path_factory.mktemp("caddy-home")
    port = free_port()
    here = TEXT.replace("library.example.org {", f"http://127.0.0.1:{port} {{")
    here = here.replace("127.0.0.1:8080", f"127.0.0.1:{web.port}")
    here = here.replace("{\n\tservers", "{\n\tadmin off\n\tservers", 1)
    (folder / "Caddyfile").write_text(here)
    home = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with (folder / "caddy.log").open("wb") as log:
        running = subprocess.Popen(
            [str(CADDY), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"],
            env=home, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for(lambda: listens(port), seconds=20, what="Caddy listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_its_limits_are_those_of_the_server() -> None:
    assert f"max_size {IMPORT_BYTES // 1024**2 + 1}MiB" in TEXT
    assert f"max_header_size {WEB.head_bytes // 1024}KB" in TEXT
    assert f"read_header {WEB.head_seconds:g}s" in TEXT


@needs_caddy
def test_the_site_answers_while_logins_behind_it_send_nothing(site: str, web: WebProcess) -> None:
    behind = Behind(int(site.rpartition(":")[2]))
    with Slow(behind) as slow:  # type: ignore[arg-type]
        for _ in range(10):
            slow.open(post(LOGIN, "Content-Length: 2000000") + b"{")
            slow.open(post(LOGIN, "Content-Length: 16000") + b"{")
            slow.open(post(LOGIN, "Transfer-Encoding: chunked") + b"1\r\n{\r\n")
            slow.open(head("/"), reads=False)

        answers = [httpx.get(f"{site}/robots.txt", timeout=5) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert httpx.get(f"{site}/healthz").status_code == 404


class Behind:
    """The port of the proxy, for clients that attack it."""

    def __init__(self, port: int) -> None:
        self.port = port


@needs_caddy
def test_bodies_that_are_too_large_are_refused_and_files_and_streams_pass(
    site: str, alice: User
) -> None:
    token = token_of(alice)
    headers = {"Authorization": f"Token {token}"}

    login = httpx.post(f"{site}{LOGIN}", content=b" " * 20_000)
    card = httpx.post(f"{site}/api/v1/cards/", content=b" " * 2_000_000, headers=headers)
    file = httpx.post(
        f"{site}/api/v1/imports/", files={"file": bytes(3_000_000)}, headers=headers, timeout=20
    )

    for answer in (login, card):
        assert answer.status_code == 413
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert file.status_code == 202, file.text
    with Client(Behind(int(site.rpartition(":")[2])), token):  # type: ignore[arg-type]
        pass
