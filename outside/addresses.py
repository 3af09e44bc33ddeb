"""The rules for which URLs may be fetched."""

from __future__ import annotations

import ada_url
from django.conf import settings

from outside.errors import Refused

MAX_LENGTH = 4096
MAX_HOST_LENGTH = 253
MAX_LABEL_LENGTH = 63
DEFAULT_PORTS = {"http:": 80, "https:": 443}
NOT_AN_ADDRESS = "This is not a web address; it should look like https://example.org/page."


def normalized(url: str, *, base: str | None = None) -> str:
    """Return the normalized form of a URL; raise Refused for one that must not be fetched.

    Normalization follows https://url.spec.whatwg.org/ and drops user name, password and fragment. A
    relative URL is resolved against `base`. The host's IP address is checked later, at connection.
    """
    if len(url) > MAX_LENGTH:
        raise Refused(f"The address is longer than {MAX_LENGTH} characters.")
    try:
        parsed = ada_url.URL(url, base) if base else ada_url.URL(url)
    except ValueError:
        raise Refused(NOT_AN_ADDRESS) from None
    if parsed.protocol not in DEFAULT_PORTS:
        raise Refused("Only http and https addresses are fetched.")
    if problem := problem_of_host(parsed.hostname.removesuffix(".")):
        raise Refused(problem)
    parsed.username = parsed.password = ""
    del parsed.hash
    port = _port(parsed)
    if port not in settings.FETCH_PORTS and not is_trusted(parsed.hostname, port):
        raise Refused(f"Nothing is fetched from port {port}.")
    return str(parsed.href)


def origin(url: str) -> tuple[str, int]:
    """Return the host and port of a normalized http(s) address."""
    parsed = ada_url.URL(url)
    return parsed.hostname, _port(parsed)


def _port(parsed: ada_url.URL) -> int:
    return int(parsed.port or DEFAULT_PORTS[parsed.protocol])


def is_trusted(host: str, port: int) -> bool:
    """Return whether FETCH_TRUSTED lists this host and port, of an operator's local service."""
    return f"{host}:{port}" in settings.FETCH_TRUSTED


def problem_of_host(name: str) -> str:
    """Return why a name that the URL standard accepts is not a valid host name, or ""."""
    if len(name) > MAX_HOST_LENGTH:
        return "The address has a host name that is too long."
    labels = name.split(".")
    if name.startswith("[") or all(0 < len(label) <= MAX_LABEL_LENGTH for label in labels):
        return ""
    return (
        "The address has a host name with an empty part, or with one of more than "
        f"{MAX_LABEL_LENGTH} characters, between its dots."
    )
