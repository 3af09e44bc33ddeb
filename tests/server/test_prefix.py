"""The site below a path of a host, behind a proxy that takes the prefix off, or leaves it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from accounts.models import User
from tests.harness.web import WebProcess
from tests.library import save_many, token_of

pytestmark = pytest.mark.django_db(transaction=True)
PREFIX = "/library"
PASSWORD = "a long password 1"


class Proxy(BaseHTTPRequestHandler):
    """A proxy that passes on what is below the prefix, and nothing else."""

    web: WebProcess
    strips: bool

    def do_GET(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404)
            return
        path = self.path.removeprefix(PREFIX) if self.strips else self.path
        size = int(self.headers.get("Content-Length", "0"))
        with httpx.stream(
            self.command, self.web.url + path, headers=list(self.headers.items()),
            content=self.rfile.read(size), timeout=10,
        ) as answer:  # fmt: skip
            self.send_response(answer.status_code)
            for name, value in answer.headers.multi_items():
                if name not in {"transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            for piece in answer.iter_raw():
                self.wfile.write(piece)
                self.wfile.flush()
                if b"retry: " in piece:
                    break

    do_POST = do_GET  # noqa: N815 - the name that the library calls

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    log = tmp_path_factory.mktemp("prefix") / "web.log"
    running = WebProcess(log, URL_PREFIX=PREFIX)
    yield running
    running.stop()


@pytest.fixture(params=["strips", "keeps"])
def site(request: pytest.FixtureRequest, web: WebProcess) -> Iterator[str]:
    """The address of the site, at the proxy."""
    handler = type("Handler", (Proxy,), {"web": web, "strips": request.param == "strips"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
        server.shutdown()


def test_the_api_links_to_itself_below_the_prefix(site: str, alice: User) -> None:
    save_many(alice, 3)
    headers = {"Authorization": f"Token {token_of(alice)}"}

    page = httpx.get(f"{site}/api/v1/cards/?page_size=2", headers=headers).json()
    rest = httpx.get(page["next"], headers=headers).json()
    added = httpx.post(f"{site}/api/v1/cards/", json={"type": "NOTE", "text": "."}, headers=headers)
    schema = httpx.get(f"{site}/api/schema/?format=json").json()

    assert page["next"].startswith(f"{site}/api/v1/cards/?")
    assert len(rest["results"]) == 1
    assert added.status_code == 201
    assert f"{PREFIX}/api/v1/cards/" in addresses(schema)


def addresses(schema: dict[str, Any]) -> set[str]:
    """Return the addresses of the operations, as a client of the schema makes them."""
    base = schema.get("servers", [{"url": ""}])[0]["url"].rstrip("/")
    return {base + path for path in schema["paths"]}


def test_the_stream_opens_below_the_prefix(site: str, alice: User) -> None:
    headers = {"Authorization": f"Token {token_of(alice)}"}

    answer = httpx.get(f"{site}/api/v1/stream/", headers=headers, timeout=20)

    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.text.startswith("retry: ")


def test_pages_and_the_admin_work_below_the_prefix(site: str) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    with httpx.Client(follow_redirects=True, timeout=20) as browser:
        for path in ("/", "/api/docs/", "/admin/", "/robots.txt", "/healthz", "/readyz"):
            page = browser.get(site + path)

            assert page.status_code == 200, path
            host = site.removesuffix(PREFIX)
            for link in re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text):
                assert link.startswith(f"{PREFIX}/"), (path, link)
                if not link.endswith("/metrics"):
                    linked = browser.get(host + link.replace("&amp;", "&"))
                    assert linked.status_code == 200, link
        assert "Disallow: /library/api/" in browser.get(f"{site}/robots.txt").text

        login = browser.get(f"{site}/admin/")
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', login.text)
        form = {
            "username": "root", "password": PASSWORD, "csrfmiddlewaretoken": token,
            "next": f"{PREFIX}/admin/",
        }  # fmt: skip
        index = browser.post(str(login.url), data=form, headers={"Referer": str(login.url)})

    assert str(index.url) == f"{site}/admin/"
    assert f'href="{PREFIX}/admin/cards/card/"' in index.text
