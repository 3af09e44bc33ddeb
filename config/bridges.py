"""The bridges to other systems, each configured by environment variables (docs/bridges.md).

`BRIDGE_NATS_URL` configures a bridge `nats`. `BRIDGE_NATS_PUBLISH` and `BRIDGE_NATS_CONSUME` list
the integration events that leave and that come in. Without them, nothing crosses the bridge.
`BRIDGE_NATS_SUBJECT` replaces the default place in the target, for example `library.{type}`.
`BRIDGE_NATS_TOKEN` is a bearer token, for HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured

from eventbook import Bridge

PREFIX = "BRIDGE_"
ENDINGS = {"URL", "PUBLISH", "CONSUME", "SUBJECT", "TOKEN"}


def load(environment: Mapping[str, str]) -> tuple[Bridge, ...]:
    """Return the bridges that environment variables configure, by name.

    Raise ImproperlyConfigured for a variable that looks misspelt: a bridge without some of its
    events would not be noticed.
    """
    names = set()
    for variable in filter(lambda variable: variable.startswith(PREFIX), environment):
        name, _, ending = variable.removeprefix(PREFIX).rpartition("_")
        if not name or name != name.upper() or ending not in ENDINGS:
            raise ImproperlyConfigured(
                f"{variable} is no variable of a bridge: they are BRIDGE_NAME_URL, _PUBLISH,"
                " _CONSUME, _SUBJECT and _TOKEN, with NAME in capitals (docs/bridges.md)."
            )
        url = f"{PREFIX}{name}_URL"
        if url not in environment and environment[variable].strip():
            raise ImproperlyConfigured(f"{variable} is set, but not {url} (docs/bridges.md).")
        if environment.get(url, "").strip():
            names.add(name)
    return tuple(_bridge(name, environment) for name in sorted(names))


def _bridge(name: str, environment: Mapping[str, str]) -> Bridge:
    return Bridge(
        name=name.lower().replace("_", "-"),
        url=environment[f"BRIDGE_{name}_URL"].strip(),
        publish=frozenset(_words(environment.get(f"BRIDGE_{name}_PUBLISH", ""))),
        consume=frozenset(_words(environment.get(f"BRIDGE_{name}_CONSUME", ""))),
        subject=environment.get(f"BRIDGE_{name}_SUBJECT", "").strip(),
        token=environment.get(f"BRIDGE_{name}_TOKEN", "").strip(),
    )


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
