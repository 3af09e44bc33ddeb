"""`manage.py bridge`: exchange events with other systems, and operate such bridges."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Collection
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from eventbook.bridges.consuming import Consumer
from eventbook.bridges.publishing import Publisher
from eventbook.bridges.validity import problems
from eventbook.conf import conf
from eventbook.declare.bridges import Bridge
from eventbook.models import ParkedMessage
from eventbook.observe.presence import register_process
from eventbook.operate import actions
from eventbook.operate.management.options import positive
from eventbook.operate.queries.bridges import bridge_status
from eventbook.operate.texts import confirm

logger = logging.getLogger(__name__)

ACTIONS = {
    "publish": "publish events to the bridge's target, until a signal ends it",
    "consume": "take in events from the bridge's target, until a signal ends it",
    "status": "show each bridge's backlog and parked messages",
    "parked": "show parked messages: those that the bridge could not pass on",
    "replay": "pass parked messages on again",
    "discard": "delete parked messages for good",
    "forget": "delete the backlog of a bridge that will not publish it",
}
OPERATOR = "command line"


class Command(BaseCommand):
    help = "Run a bridge to another system, or operate it."
    requires_system_checks = []  # `migrate` has run them for this release.

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in ACTIONS.items():
            action = actions.add_parser(name, help=text)
            if name != "status":
                action.add_argument("name", help="BRIDGE_NATS_URL configures the bridge `nats`")
            if name in ("parked", "status"):
                action.add_argument("--json", action="store_true", help="as JSON, for programs")
            if name == "parked":
                action.add_argument("--limit", type=positive, default=50)
            if name in ("replay", "discard"):
                action.add_argument("ids", nargs="*", type=int, metavar="ID")
                action.add_argument("--all", action="store_true", help="all parked messages")
            if name in ("discard", "forget"):
                action.add_argument("--yes", action="store_true", help="without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])(options)

    def publish(self, options: dict[str, Any]) -> None:
        bridge = valid(options["name"])
        require_types(bridge, bridge.publish, "PUBLISH")
        run(bridge, Publisher(bridge))

    def consume(self, options: dict[str, Any]) -> None:
        bridge = valid(options["name"])
        require_types(bridge, bridge.consume, "CONSUME")
        run(bridge, Consumer(bridge))

    def status(self, options: dict[str, Any]) -> None:
        found = bridge_status()
        if options["json"]:
            self.stdout.write(json.dumps([vars(each) for each in found], indent=2))
            return
        for each in found:
            self.stdout.write(
                f"{each.name}  {each.depth} wait, the oldest for {each.lag_seconds:.0f} s"
                f"  {each.parked} parked"
            )
        if not found:
            self.stdout.write("No bridge is configured.")

    def parked(self, options: dict[str, Any]) -> None:
        found = ParkedMessage.objects.filter(bridge=options["name"]).order_by("-pk")
        rows = [as_dict(message) for message in found[: options["limit"]]]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            self.stdout.write(f"{row['id']}  {row['parked_at']}  {row['what']}  {row['reason']}")
        if not rows:
            self.stdout.write("No parked messages.")

    def replay(self, options: dict[str, Any]) -> None:
        try:
            count = actions.replay_parked(options["name"], chosen(options), actor=OPERATOR)
        except LookupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"replay: {count} parked messages")

    def discard(self, options: dict[str, Any]) -> None:
        ids = chosen(options)
        require_confirmation("Discard these parked messages for good?", options)
        count = actions.discard_parked(options["name"], ids, actor=OPERATOR)
        self.stdout.write(f"discard: {count} parked messages")

    def forget(self, options: dict[str, Any]) -> None:
        require_confirmation("Delete the backlog of this bridge for good?", options)
        count = actions.forget_bridge(options["name"], actor=OPERATOR)
        self.stdout.write(f"forget: {count} events that {options['name']} had yet to publish")


def valid(name: str) -> Bridge:
    """Return the bridge of this name; raise CommandError if none is configured, or wrongly."""
    bridges: dict[str, Bridge] = {bridge.name: bridge for bridge in conf.BRIDGES}
    if name not in bridges:
        known = ", ".join(bridges) or "none"
        raise CommandError(
            f"No bridge {name!r} is configured. Configured: {known} (docs/bridges.md)."
        )
    if found := list(problems(bridges[name])):
        raise CommandError(f"Bridge {name}: {'; '.join(found)}.")
    return bridges[name]


def require_types(bridge: Bridge, types: Collection[str], direction: str) -> None:
    """Raise CommandError if a bridge has no types of events in a direction."""
    if not types:
        variable = f"BRIDGE_{bridge.name.upper().replace('-', '_')}_{direction}"
        raise CommandError(f"{variable} lists no integration event (docs/bridges.md).")


def run(bridge: Bridge, process: Publisher | Consumer) -> None:
    """Run a bridge's process until a signal ends it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: process.stop())
    presence = register_process("bridge", process.vitals)
    logger.info("bridge.started", extra={"bridge": bridge.name})
    process.run()
    presence.stop()
    logger.info("bridge.stopped", extra={"bridge": bridge.name})


def chosen(options: dict[str, Any]) -> list[int] | None:
    """Return the ids that the user gave, or None for all; raise CommandError if neither."""
    if not options["ids"] and not options["all"]:
        raise CommandError("Give ids, or --all.")
    return options["ids"] or None


def require_confirmation(question: str, options: dict[str, Any]) -> None:
    """Raise CommandError unless the user confirms; a script, without a terminal, need not."""
    if not options["yes"] and sys.stdin.isatty() and not confirm(question):
        raise CommandError("Nothing was changed.")


def as_dict(message: ParkedMessage) -> dict[str, Any]:
    """Return a parked message as a dict for JSON, without its body."""
    return {
        "id": message.pk,
        "what": f"event {message.event_id}" if message.event_id else f"{len(message.body)} bytes",
        "reason": message.reason,
        "parked_at": message.parked_at.isoformat(timespec="seconds"),
    }
