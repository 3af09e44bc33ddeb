"""Checks of the bridges: whether each is valid, runs, keeps up, and has parked no message."""

from __future__ import annotations

from collections.abc import Iterator

from eventbook.bridges.kinds import place_of
from eventbook.bridges.validity import problems
from eventbook.conf import conf
from eventbook.declare.bridges import Bridge
from eventbook.operate.diagnosis.finding import Finding, duration
from eventbook.operate.queries.bridges import BridgeStatus, bridge_processes, bridge_status

LAG_SECONDS = 60


def findings() -> Iterator[Finding]:
    """Yield findings for each bridge that is configured, or was and left something behind."""
    configured: dict[str, Bridge] = {bridge.name: bridge for bridge in conf.BRIDGES}
    processes = bridge_processes() if configured else {}
    for status in bridge_status():
        if bridge := configured.get(status.name):
            yield from _bridge(bridge, status, processes)
        elif status.depth:
            yield _abandoned(status)
        if status.parked:
            yield _parked(status)


def _bridge(bridge: Bridge, status: BridgeStatus, processes: dict[str, int]) -> Iterator[Finding]:
    subject = f"bridge {bridge.name}"
    for problem in problems(bridge):
        yield Finding.bad(subject, problem, "Correct its environment variables (docs/bridges.md).")
    for duty, types in (("publish", bridge.publish), ("consume", bridge.consume)):
        if types and not processes.get(f"{duty} {bridge.name}"):
            advice = f"Start one: `manage.py bridge {duty} {bridge.name}`."
            yield Finding.bad(subject, f"no process runs that can {duty}", advice)
    if not bridge.publish and not bridge.consume:
        advice = "List types in its PUBLISH or CONSUME variable (docs/bridges.md)."
        yield Finding.bad(subject, "it neither publishes nor consumes a type of events", advice)
    elif not bridge.publish:
        yield Finding.ok(subject, f"reads from {place_of(bridge)}")
    elif status.lag_seconds > LAG_SECONDS:
        waited = f"{status.depth} events wait, the oldest for {duration(status.lag_seconds)}"
        advice = (
            f"Repair {place_of(bridge)}; then the bridge goes on by itself. Its log says what"
            " the target responds."
        )
        yield Finding.bad(subject, waited, advice)
    else:
        yield Finding.ok(subject, f"{status.depth} events wait for {place_of(bridge)}")


def _abandoned(status: BridgeStatus) -> Finding:
    """Return the finding of a bridge that is no longer configured, but has entries."""
    return Finding.bad(
        f"bridge {status.name}",
        f"it is not configured, but {status.depth} events wait for it, and are kept",
        f"Configure it again (docs/bridges.md), or `manage.py bridge forget {status.name}`.",
    )


def _parked(status: BridgeStatus) -> Finding:
    advice = (
        f"Find the cause: `manage.py bridge parked {status.name}`. Repair it, then"
        f" `manage.py bridge replay {status.name}` or `manage.py bridge discard {status.name}`."
    )
    return Finding.bad(f"parked of bridge {status.name}", f"{status.parked} messages", advice)
