"""What stands between Flower and a browser: a reverse proxy, and a provider of OAuth logins."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port of the loopback interface during the block; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def proxy_to(target: str) -> type[BaseHTTPRequestHandler]:
    """Return the handler of a reverse proxy, which passes the client's address on."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = dict(self.headers) | {"X-Forwarded-For": "203.0.113.7"}
            answer = httpx.get(f"{target}{self.path}", headers=headers)
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Location", "WWW-Authenticate"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None:
            """Write no access log."""

    return Proxy


class IdentityProvider(BaseHTTPRequestHandler):
    """A provider at which everybody is who they say."""

    def do_GET(self) -> None:
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self._answer({"email": bearer, "email_verified": True})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        assert (form["client_id"], form["client_secret"]) == ("flower", "known-to-both")
        # The code of this provider is the address itself, and so is the token.
        self._answer({"access_token": form["code"], "token_type": "Bearer"})

    def _answer(self, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Write no access log."""


def log_in(browser: httpx.Client, email: str) -> httpx.Response:
    """Log in to Flower as this person: follow its redirect to the provider, and the one back."""
    sent = browser.get("/flower/")
    assert urlsplit(sent.headers["Location"]).path.endswith("/login")
    to_provider = browser.get(sent.headers["Location"])
    asked = parse_qs(urlsplit(to_provider.headers["Location"]).query)
    back = {"code": email, "state": asked["state"][0]}
    return browser.get(urlsplit(asked["redirect_uri"][0]).path, params=back)
