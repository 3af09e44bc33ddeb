"""The bridges to other systems, each configured by environment variables (docs/bridges.md).

`BRIDGE_NATS_URL` configures a bridge `nats`. `BRIDGE_NATS_PUBLISH` and `BRIDGE_NATS_CONSUME` list
the integration events that leave and that come in. Without them, nothing crosses the bridge.
`BRIDGE_NATS_SUBJECT` replaces the default place in the target, for example `library.{type}`.
`BRIDGE_NATS_TOKEN` is a bearer token, for HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping

from eventbook import Bridge

PREFIX, URL = "BRIDGE_", "_URL"


def load(environment: Mapping[str, str]) -> tuple[Bridge, ...]:
    """Return the bridges that environment variables configure, by name."""
    found = [
        name.removeprefix(PREFIX).removesuffix(URL)
        for name, text in environment.items()
        if name.startswith(PREFIX) and name.endswith(URL) and text.strip()
    ]
    return tuple(_bridge(name, environment) for name in sorted(found))


def _bridge(name: str, environment: Mapping[str, str]) -> Bridge:
    return Bridge(
        name=name.lower().replace("_", "-"),
        url=environment[f"BRIDGE_{name}_URL"].strip(),
        publish=frozenset(_words(environment.get(f"BRIDGE_{name}_PUBLISH", ""))),
        consume=frozenset(_words(environment.get(f"BRIDGE_{name}_CONSUME", ""))),
        subject=environment.get(f"BRIDGE_{name}_SUBJECT", ""),
        token=environment.get(f"BRIDGE_{name}_TOKEN", ""),
    )


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
