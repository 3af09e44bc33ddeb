"""HTTP: one POST for each CloudEvent; a response 2xx is the confirmation.

With `https://…`, the event is one JSON document (structured mode); with `https-binary://…`, its
attributes are headers, and the body is its data (binary mode). `http` and `http-binary` are for
networks that nobody else can read. Operators choose the address, so it may be an internal one; but
redirects, which the target chooses, are not followed, and neither proxies nor .netrc of the
environment are used.
"""

from __future__ import annotations

import os
import threading
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from uuid import UUID

import requests
from urllib3.exceptions import HTTPError

from eventbook.bridges.envelope import JSON, STRUCTURED, Message
from eventbook.bridges.targets.base import TargetDown
from eventbook.declare.bridges import Bridge

# Requests at once. A batch has at most one event of each subject (translating.py, `waves`), so
# their order does not matter.
CONNECTIONS = 8
# What the client raises when a request fails.
FAILURES = (requests.RequestException, HTTPError, OSError, ValueError)
TIMEOUT = (3.0, 10.0)  # seconds to connect, and to wait for the response
SLOW_SECONDS = 20.0  # after which a batch is broken off, so that the confirmed events are noted
# Responses for which the event itself is at fault. For any other error, it is sent again later.
REFUSALS = {400, 413, 415, 422}
# Printable characters of a header, but those that CloudEvents encodes: space, quote and percent.
PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class HttpTarget:
    """An address to which events are posted."""

    def __init__(self, bridge: Bridge) -> None:
        parts = urlsplit(bridge.url)
        scheme, _, mode = parts.scheme.partition("-")
        self._is_binary = mode == "binary"
        host = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit((scheme, host, parts.path or "/", parts.query, ""))
        self._headers = {"User-Agent": "commonplace-bridge"}
        if bridge.token:
            self._headers["Authorization"] = f"Bearer {bridge.token}"
        elif parts.username:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="post")
        self._local = threading.local()
        self._failed = threading.Event()
        self._end = 0.0  # when the batch is broken off

    def publish(self, messages: Sequence[Message]) -> Mapping[UUID, str]:
        """Post messages, several at once; return why the target refused some for good, by id.

        If the target is down for one, begin no more, so that an outage costs one timeout. Raise
        TargetDown then, with the ids of the confirmed messages.
        """
        self._failed.clear()
        self._end = time.monotonic() + SLOW_SECONDS
        results = self._threads.map(self._post, messages)
        problems = dict(zip((message.id for message in messages), results, strict=True))
        down = {id: text for id, (text, lasting) in problems.items() if text and not lasting}
        if down:
            confirmed = {id for id, (text, _) in problems.items() if not text}
            raise TargetDown(next(iter(down.values())), confirmed)
        return {id: text for id, (text, _) in problems.items() if text}

    def _post(self, message: Message) -> tuple[str, bool]:
        """Post a message; return "", or what is wrong and whether that is the message's fault."""
        if self._failed.is_set():
            return "HTTP: an earlier request failed", False
        if time.monotonic() > self._end:
            return f"HTTP: a batch takes longer than {SLOW_SECONDS:.0f} s", False
        problem, lasting = self._posted(message)
        if problem and not lasting:
            self._failed.set()
        return problem, lasting

    def _posted(self, message: Message) -> tuple[str, bool]:
        headers, body = self._written(message)
        try:
            with self._session().post(
                self._url, body, headers=headers, timeout=TIMEOUT,
                allow_redirects=False, stream=True,
            ) as response:  # fmt: skip
                status = response.status_code
                # A short body is read so that the connection can be used again. The status counts
                # even if the body is broken off, or has another length than the header says.
                with suppress(*FAILURES):
                    if int(response.headers.get("Content-Length", "0") or 0) < 65_536:
                        response.raw.read(65_536)
        except FAILURES as error:
            # Not the error's text, which may have the whole address.
            return f"HTTP: {type(error).__name__}", False
        if 200 <= status < 300:
            return "", False
        return f"The target responded with status {status}.", status in REFUSALS

    def _written(self, message: Message) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of a message."""
        if not self._is_binary:
            return {"Content-Type": STRUCTURED}, message.structured
        headers = {
            f"ce-{name}": quote(value, safe=PLAIN)
            for name, value in message.attributes.items()
            if name != "datacontenttype"
        }
        return headers | {"Content-Type": JSON}, message.data

    def _session(self) -> requests.Session:
        """Return this thread's session, whose connection stays open between requests."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
            # The authorities of an internal target; by default, requests' own.
            self._local.session.verify = os.environ.get("SSL_CERT_FILE") or True
            self._local.session.headers.update(self._headers)
        session: requests.Session = self._local.session
        return session

    def idle(self) -> None:
        """Do nothing: only an event shows whether the target responds."""

    def close(self) -> None:
        """End the threads; their connections close with them."""
        self._threads.shutdown()
