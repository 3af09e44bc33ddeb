"""Checks of a bridge's configuration."""

from __future__ import annotations

from collections.abc import Iterator

from eventbook.bridges.kinds import UnknownKind, require_kind, url_problem
from eventbook.declare.bridges import Bridge, integration_types, receivers


def problems(bridge: Bridge) -> Iterator[str]:
    """Yield what is wrong with a bridge's configuration, as text without secrets."""
    if problem := url_problem(bridge.url):
        yield problem
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
