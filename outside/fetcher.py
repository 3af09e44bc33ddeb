"""The fetcher: all requests to addresses that users or pages give go through it.

It guards against requests to internal servers, endless or huge responses, and redirect loops.
"""

from __future__ import annotations

import contextvars
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy

import requests
import urllib3
from django.conf import settings
from requests_hardened.ip_filter import InvalidIPAddress

from outside.addresses import normalized
from outside.connections import FetchSockets, SafeAdapter
from outside.errors import (
    ErrorStatus,
    FetchFailed,
    Moved,
    Refused,
    TimedOut,
    TooLarge,
    TooManyRedirects,
    Unreachable,
    WrongType,
)

REDIRECTS = {301, 302, 303, 307, 308}
MAX_REDIRECTS = 5
CHUNK = 16 * 1024  # bytes
CONNECT_SECONDS = 5.0
CONTENT_TYPE = re.compile(r"[\w.+-]{1,50}/[\w.+-]{1,100}", re.ASCII)
CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([\w.:+-]+)", re.ASCII | re.IGNORECASE)
ANY_TYPE = ("",)  # each content type begins with an empty string
HTML = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a fetch: its total time, and the decompressed size of the response in bytes.

    With `cuts`, a longer response is cut to `size`; otherwise it is refused.
    """

    seconds: float = 15.0
    size: int = 5 * 1024 * 1024
    cuts: bool = False


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A server's response: 200 or 203 with its content, or 304 without."""

    status: int
    url: str  # the last one, after all redirects
    content: bytes
    type: str  # for example `text/html`
    charset: str | None
    headers: Mapping[str, str]

    @property
    def is_unchanged(self) -> bool:
        """Return whether the server says that the content is the one fetched before."""
        return self.status == 304


def fetch(
    url: str,
    *,
    types: Sequence[str] = ANY_TYPE,
    headers: Mapping[str, str] | None = None,
    limits: Limits = Limits(),
    follow_redirects: bool = True,
) -> Fetched:
    """Fetch an address; raise FetchFailed if that fails, with the reason.

    Only http(s) is fetched, from the ports in FETCH_PORTS and from public IP addresses. At each
    redirect too, the host is resolved once, its IP address checked, and exactly that IP address
    connected to. Neither cookies nor credentials are sent.

    `types` are prefixes of wanted content types. Without `follow_redirects`, a redirect raises
    Moved, so that the caller can check robots.txt before it follows.
    """
    url, headers = normalized(url), dict(headers or {})
    return _Fetch(url, tuple(types), headers, limits, follow_redirects).wait()


@dataclass
class _Fetch:
    """One fetch, in its own thread: so the time limit holds even while name resolution hangs."""

    url: str
    types: tuple[str, ...]
    headers: dict[str, str]
    limits: Limits
    follow_redirects: bool
    sockets: FetchSockets = field(default_factory=FetchSockets)
    fetched: Fetched | None = None
    error: FetchFailed | None = None

    def wait(self) -> Fetched:
        """Run the fetch and return its response; raise TimedOut when the time limit has passed."""
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(self.run,), name="fetch", daemon=True)
        thread.start()
        thread.join(self.limits.seconds)
        if thread.is_alive():
            self.sockets.cut()
            raise TimedOut(f"The response was not complete after {self.limits.seconds:g} s.")
        if self.fetched is None:
            raise self.error or Unreachable("The fetch ended without a response.")
        return self.fetched

    def run(self) -> None:
        """Fetch, and keep the response or the error for `wait`; runs in the thread."""
        self.sockets.enter()
        try:
            with session() as http:
                self.fetched = self.follow(http)
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
            # The error's text is left out, because it may contain the whole address.
            self.error = Unreachable(f"No complete response came ({type(error).__name__}).")
        finally:
            self.sockets.close()

    def follow(self, http: requests.Session) -> Fetched:
        """Request the address and follow at most MAX_REDIRECTS redirects."""
        url = self.url
        for _ in range(MAX_REDIRECTS + 1):
            with http.get(
                url,
                headers=self.headers,
                stream=True,
                allow_redirects=False,
                # Longer than the whole time limit, so that `wait` raises TimedOut first.
                timeout=(CONNECT_SECONDS, self.limits.seconds + CONNECT_SECONDS),
            ) as response:
                target = response.headers.get("Location")
                if response.status_code not in REDIRECTS or target is None:
                    return self.read(url, response)
                # `requests` decodes headers as Latin-1; most servers send UTF-8.
                url = normalized(target.encode("latin-1").decode("utf-8", "replace"), base=url)
                if not self.follow_redirects:
                    raise Moved(url)
        raise TooManyRedirects(f"There were more than {MAX_REDIRECTS} redirects.")

    def read(self, url: str, response: requests.Response) -> Fetched:
        """Read a response; raise FetchFailed if it is an error, too long or of an unwanted type."""
        if response.status_code not in (200, 203, 304):
            raise ErrorStatus(response.status_code, _retry_after(response))
        type, charset = _content_type(response)
        content = b""
        if response.status_code != 304:
            if not type.startswith(self.types):
                raise WrongType(type, _size(response))
            content = self._content(response)
        status, headers = response.status_code, response.headers
        return Fetched(
            status=status, url=url, content=content, type=type, charset=charset, headers=headers
        )

    def _content(self, response: requests.Response) -> bytes:
        """Read and decompress the body; cut it at the limit, or raise TooLarge beyond it."""
        limit, cuts, content = self.limits.size, self.limits.cuts, bytearray()
        length = int(response.headers.get("Content-Length") or 0)
        if cuts or length <= limit:
            # In small chunks: a few bytes of a decompression bomb expand to gigabytes.
            for part in response.raw.stream(CHUNK, decode_content=True):
                content += part
                if (length := len(content)) > limit:
                    break
        if length > limit and not cuts:
            raise TooLarge(f"The response is longer than {limit} bytes.")
        return bytes(content[:limit])


class Session(requests.Session):
    """A session that leaves redirects to the caller."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: `requests` would otherwise process the target before it is checked."""
        return None


def session() -> Session:
    """Return a session without cookies, and without proxies or credentials of the environment."""
    http = Session()
    http.trust_env = False
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    contact = f" (+{settings.FETCH_CONTACT})" if settings.FETCH_CONTACT else ""
    agent = f"Commonplace/0.1{contact}"
    http.headers = requests.structures.CaseInsensitiveDict(
        {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    )
    http.mount("http://", SafeAdapter(is_https_proto=False))
    http.mount("https://", SafeAdapter(is_https_proto=True))
    return http


def _content_type(response: requests.Response) -> tuple[str, str | None]:
    """Return the content type, such as `text/html`, or "", and the charset or None."""
    header = response.headers.get("Content-Type", "")
    type, charset = CONTENT_TYPE.match(header.lstrip()), CHARSET.search(header)
    return type[0].lower() if type else "", charset[1] if charset else None


def _size(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "").strip()
    return int(text) if text.isdecimal() and len(text) < 16 else None


def _retry_after(response: requests.Response) -> int | None:
    text = response.headers.get("Retry-After", "").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else None
