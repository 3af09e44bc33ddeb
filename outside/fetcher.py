"""The only way out of the system to an address that somebody gave."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from django.conf import settings
from requests_hardened.ip_filter import InvalidIPAddress

from outside.addresses import checked
from outside.connections import Line, SafeAdapter
from outside.errors import (
    Answered,
    FetchFailed,
    Moved,
    Refused,
    TooLarge,
    TooManyRedirects,
    TooSlow,
    Unreachable,
    WrongType,
)

REDIRECTS = {301, 302, 303, 307, 308}
MOST_REDIRECTS = 5
CHUNK = 16 * 1024
CONNECT_SECONDS = 5.0
ANY_TYPE = ("",)
HTML = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a fetch may take in all, and how many bytes its answer may have, unpacked."""

    seconds: float = 15.0
    size: int = 5 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A server's answer: 200 with its content, or 304 without."""

    status: int
    url: str  # where the redirects ended
    content: bytes
    type: str  # as `text/html`
    charset: str | None
    headers: Mapping[str, str]

    @property
    def is_unchanged(self) -> bool:
        """Return that what was fetched before is still what the server has."""
        return self.status == 304


def fetch(
    url: str,
    *,
    types: Sequence[str] = ANY_TYPE,
    headers: Mapping[str, str] | None = None,
    limits: Limits = Limits(),
    follow: bool = True,
) -> Fetched:
    """Fetch what is at an address, or raise FetchFailed with the reason.

    Only http(s), to the ports in FETCH_PORTS, and to public addresses: each host is resolved once,
    checked, and connected to at just that address, after each redirect again. Neither cookies nor
    credentials are sent. `types` are the beginnings of content types that are wanted. Without
    `follow`, a redirect raises Moved: for who asks first whether he may go there.
    """
    asked = _Fetch(checked(url), tuple(types), dict(headers or {}), limits, follow)
    return asked.wait()


class _Fetch:
    """One fetch in a thread of its own: even a resolver that hangs costs no more than the limit."""

    def __init__(
        self,
        url: str,
        types: tuple[str, ...],
        headers: dict[str, str],
        limits: Limits,
        follow: bool,
    ) -> None:
        self.url, self.types, self.headers, self.limits = url, types, headers, limits
        self.goes_on = follow
        self.line = Line()
        self.fetched: Fetched | None = None
        self.error: BaseException | None = None

    def wait(self) -> Fetched:
        """Return what came, within the limit."""
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(self.run,), name="fetch", daemon=True)
        thread.start()
        thread.join(self.limits.seconds)
        if thread.is_alive():
            self.line.cut()
            raise TooSlow(f"The answer was not complete after {self.limits.seconds:g} s.")
        if self.fetched is None:
            raise self.error or Unreachable("The fetch ended without an answer.")
        return self.fetched

    def run(self) -> None:
        """Fetch, and keep what came of it."""
        self.line.enter()
        try:
            with session() as out:
                self.fetched = self.follow(out)
        except FetchFailed as error:
            self.error = error
        except InvalidIPAddress:
            self.error = Refused("The address is not on the public internet.")
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:
            # Its text may have the whole address in it.
            self.error = Unreachable(f"No complete answer came ({type(error).__name__}).")
        finally:
            self.line.close()

    def follow(self, out: requests.Session) -> Fetched:
        """Go where redirects lead, as often as is reasonable."""
        url = self.url
        for _ in range(MOST_REDIRECTS + 1):
            with out.get(
                url,
                headers=self.headers,
                stream=True,
                allow_redirects=False,
                # Longer than the whole limit, which is what says that an answer is too slow.
                timeout=(CONNECT_SECONDS, self.limits.seconds + CONNECT_SECONDS),
            ) as response:
                target = response.headers.get("Location")
                if response.status_code not in REDIRECTS or target is None:
                    return self.read(url, response)
                # Bytes as they came; requests reads headers as Latin-1.
                url = checked(target.encode("latin-1").decode("utf-8", "replace"), base=url)
                if not self.goes_on:
                    raise Moved(url)
        raise TooManyRedirects(f"There were more than {MOST_REDIRECTS} redirects.")

    def read(self, url: str, response: requests.Response) -> Fetched:
        """Read an answer, unless it is an error, too long, or of no use."""
        if response.status_code not in (200, 203, 304):
            raise Answered(response.status_code, _retry_after(response))
        type, charset = _content_type(response)
        content = b""
        if response.status_code != 304:
            if not type.startswith(self.types):
                raise WrongType(type, _size(response))
            content = self._content(response)
        return Fetched(
            status=response.status_code,
            url=url,
            content=content,
            type=type,
            charset=charset,
            headers=response.headers,
        )

    def _content(self, response: requests.Response) -> bytes:
        limit, parts, length = self.limits.size, [], 0
        if int(response.headers.get("Content-Length") or 0) > limit:
            raise TooLarge(f"The answer is longer than {limit} bytes.")
        # In small steps: a few bytes of a bomb unpack to gigabytes.
        for part in response.raw.stream(CHUNK, decode_content=True):
            parts.append(part)
            length += len(part)
            if length > limit:
                raise TooLarge(f"The answer is longer than {limit} bytes.")
        return b"".join(parts)


class Session(requests.Session):
    """A session that leaves redirects to its user."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Find none: the package would look at where they lead, before anybody checked."""
        return None


def session() -> Session:
    """Return a session that keeps nothing, and takes nothing from the environment."""
    out = Session()
    out.trust_env = False
    out.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    out.headers = requests.structures.CaseInsensitiveDict(
        {"User-Agent": user_agent(), "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    )
    out.mount("http://", SafeAdapter(is_https_proto=False))
    out.mount("https://", SafeAdapter(is_https_proto=True))
    return out


def user_agent() -> str:
    """Return who fetches, and where to complain."""
    return (
        f"Commonplace/0.1 (+{settings.FETCH_CONTACT})"
        if settings.FETCH_CONTACT
        else "Commonplace/0.1"
    )


def _content_type(response: requests.Response) -> tuple[str, str | None]:
    message = Message()
    message["Content-Type"] = response.headers.get("Content-Type", "")
    charset: Any = message.get_param("charset")
    known = response.headers.get("Content-Type")
    return (message.get_content_type() if known else ""), (
        charset if isinstance(charset, str) else None
    )


def _size(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "").strip()
    return int(text) if text.isdecimal() and len(text) < 16 else None


def _retry_after(response: requests.Response) -> int | None:
    text = response.headers.get("Retry-After", "").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else None
