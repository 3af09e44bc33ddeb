"""Checks of a bridge's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from eventbook.bridges.kinds import UnknownKind, require_kind, url_problem
from eventbook.declare.bridges import Bridge, integration_types, receivers

# The parameters of URLs by scheme; HTTP's are the target's.
PARAMETERS = {
    "amqp": {"exchange"},
    "amqps": {"exchange"},
    "redis-streams": {"maxlen"},
    "rediss-streams": {"maxlen"},
}


def problems(bridge: Bridge) -> Iterator[str]:
    """Yield what is wrong with a bridge's configuration, as text without secrets."""
    if problem := url_problem(bridge.url):
        yield problem
    else:
        yield from _wrong_parameters(bridge.url)
    for types, known, direction in (
        (bridge.publish, integration_types.keys(), "publish"),
        (bridge.consume, receivers.keys(), "consume"),
    ):
        if unknown := sorted(types - known):
            names = ", ".join(sorted(known)) or "none"
            yield f"it can't {direction} {', '.join(unknown)}: this release knows {names}"
        if types:
            try:
                require_kind(bridge, direction)
            except UnknownKind as error:
                yield str(error)
    if bridge.url.startswith("http-listen:") and not bridge.token:
        yield "it has no token, so everybody could send events"
    if bridge.subject and "{type}" not in bridge.subject and not bridge.url.startswith("redis"):
        yield "its subject has no {type}, so consumers could not select events"


def _wrong_parameters(url: str) -> Iterator[str]:
    """Yield what is wrong with the query of a valid URL."""
    parts = urlsplit(url)
    given = parse_qs(parts.query, keep_blank_values=True)
    if parts.scheme.startswith("http"):
        return
    if unknown := sorted(given.keys() - PARAMETERS.get(parts.scheme, set())):
        yield f"its URL has unknown parameters: {', '.join(unknown)}"
    if not all(text.isdecimal() and int(text) for text in given.get("maxlen", [])):
        yield "maxlen in its URL is no number above 0"
