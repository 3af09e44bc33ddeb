"""`manage.py queues`: show and control the queues."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import closing
from typing import Any

from celery import current_app
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from eventbook.brokers.broker import BrokerDown, open_broker
from eventbook.brokers.lanes import Kind, kind_of
from eventbook.declare.queues import UnknownQueue, all_policies, policy_of
from eventbook.operate import actions
from eventbook.operate.actions import LIMITS, TooYoung, Waiting
from eventbook.operate.actions.cleaning import FINISHED
from eventbook.operate.management.options import age, limit, positive
from eventbook.operate.queries.delayed import count_delayed
from eventbook.operate.queries.deliveries import (
    ListedState,
    PurgePreview,
    deliveries_of,
    known_queue,
    purge_preview,
)
from eventbook.operate.queries.queues import QueueStatus, queue_status
from eventbook.operate.queries.system import outbox_length, relay_lag_seconds
from eventbook.operate.texts import (
    as_dict,
    as_line,
    confirm,
    limits_of,
    lines_of_pause,
    pause_of,
    preview_lines,
    report,
    table,
)

ACTOR = "command line"
COLUMNS = {
    "queue": "queue",
    "state": "state",
    "depth": "depth",
    "waiting": "waiting",
    "in_progress": "in progress",
    "retrying": "retrying",
    "dead": "dead",
    "oldest_seconds": "oldest s",
    "done": "done 5 min",
    "rate_per_second": "done/s",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
    "workers": "workers",
    "concurrency": "concurrency",
}
ACTIONS = {
    "status": "show the figures of every queue",
    "list": "list a queue's deliveries in one state",
    "pause": "start no more deliveries of a queue; running ones finish, new ones wait",
    "resume": "end a queue's pause, so that its waiting deliveries start",
    "purge": "discard waiting deliveries for good; those that a worker holds are left",
    "retry": "make waiting retries due now",
    "limit": "change how often handlers may call outside services, from the next call on",
    "concurrency": "change how many batches a worker process runs at once",
    "clean": "delete deliveries that were finished long ago",
}


class Command(BaseCommand):
    help = "Show and control the queues."

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="action", required=True)
        actions = {name: subparsers.add_parser(name, help=text) for name, text in ACTIONS.items()}
        for name, action in actions.items():
            action.add_argument("--json", action="store_true", help="as JSON, for programs")
            if name != "status":
                action.add_argument("queue", metavar="QUEUE")
        for name in ("list", "purge", "retry"):
            actions[name].add_argument("--handler", default="", help="for example `feeds.fan_out`")
            actions[name].add_argument("--type", default="", help="event type, as `card.added`")
        for name in ("purge", "retry", "clean"):
            needed = name == "clean"
            actions[name].add_argument("--older-than", type=age, required=needed, help="as 12h, 7d")
        for name in ("limit", "concurrency"):
            text = "back to the number in the queue table"
            actions[name].add_argument("--default", action="store_true", help=text)
        actions["list"].add_argument("--state", choices=list(map(str, ListedState)), required=True)
        actions["list"].add_argument("--limit", type=positive, default=50)
        actions["pause"].add_argument("--reason", default="", help="shown to other operators")
        actions["purge"].add_argument("--yes", action="store_true", help="without asking")
        actions["purge"].add_argument("--dry-run", action="store_true", help="count only")
        actions["limit"].add_argument("--rate", type=limit, help="calls/seconds in all, as 100/60")
        actions["limit"].add_argument("--group", type=limit, help="calls/seconds per group")
        actions["concurrency"].add_argument("number", type=int, nargs="?", metavar="N")
        actions["clean"].add_argument("--state", choices=list(map(str, FINISHED)), default="done")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        try:
            if "queue" in options and not known_queue(options["queue"]):
                policy_of(options["queue"])
            getattr(self, f"do_{options['action']}")(options)
        except (UnknownQueue, TooYoung) as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError(explained(error)) from error

    def do_status(self, options: dict[str, Any]) -> None:
        """Print the figures of every queue, the relay's backlog and the state of the broker."""
        rows = queue_status()
        figures = [dataclasses.asdict(row) for row in rows]
        lag, outbox = relay_lag_seconds(), outbox_length()
        outage = broker_outage()
        delayed, first = count_delayed()
        states = [{"state": "paused" if row.paused else "running"} for row in rows]
        lines = table(COLUMNS, [a | b for a, b in zip(figures, states, strict=True)])
        notes = [line for row in rows if row.paused for line in lines_of_pause(row)]
        found = {
            "queues": figures,
            "relay_lag_seconds": lag,
            "outbox": outbox,
            "delayed": delayed,
            "broker_error": outage,
        }
        if outbox:
            notes.append(f"{outbox} events wait for the relay, the oldest for {lag:.0f} s")
        if first:
            notes.append(f"{delayed} events wait for their time, the first for {first:%F %T %Z}")
        if outage:
            notes.append(
                f"The broker is down ({outage}): work waits in PostgreSQL, nothing is lost"
            )
        self.write(found, *lines, *notes)

    def do_list(self, options: dict[str, Any]) -> None:
        """Print a queue's deliveries in one state."""
        found = deliveries_of(
            options["queue"],
            ListedState(options["state"]),
            handler=options["handler"],
            type=options["type"],
            limit=options["limit"],
        )
        nothing = [f"No deliveries of {options['queue']} are {options['state']}."]
        self.write([as_dict(each) for each in found], *(map(as_line, found) if found else nothing))

    def do_pause(self, options: dict[str, Any]) -> None:
        """Pause a queue and print its state."""
        changed = actions.pause(options["queue"], actor=ACTOR, reason=options["reason"])
        status = status_of(options["queue"])
        text = f"{status.queue} is paused {pause_of(status)}; {status.depth} open"
        self.write({"changed": changed} | dataclasses.asdict(status), text)

    def do_resume(self, options: dict[str, Any]) -> None:
        """End a queue's pause and print its state."""
        changed = actions.resume(options["queue"], actor=ACTOR)
        status = status_of(options["queue"])
        text = f"{status.queue} {'resumed' if changed else 'was not paused'}; {status.depth} open"
        self.write({"changed": changed} | dataclasses.asdict(status), text)

    def do_purge(self, options: dict[str, Any]) -> None:
        """Discard deliveries that no worker holds, retries included; ask first, unless --yes.

        With --dry-run, only count them.
        """
        queue, which = options["queue"], chosen(options)
        if options["dry_run"]:
            preview = purge_preview(which)
            text = f"{preview.would_discard} deliveries of {queue} would be discarded."
            counts = {"would_discard": preview.would_discard, "in_hand": preview.held}
            found = {"queue": queue, "handlers": preview.by_handler, **counts}
            self.write(found, *preview_lines(preview), text)
            return
        if not options["yes"]:
            self.confirm(purge_preview(which))
        purged = actions.purge(which, actor=ACTOR, progress=self.show_progress)
        text = f"{queue}: {purged.discarded} discarded, {purged.held} left to workers"
        self.write({"queue": queue, "discarded": purged.discarded, "in_hand": purged.held}, text)

    def confirm(self, preview: PurgePreview) -> None:
        """Raise CommandError unless the user at the terminal confirms the purge."""
        if not sys.stdin.isatty():
            raise CommandError(
                f"{preview.would_discard} deliveries would be discarded for good: check with"
                " --dry-run, then add --yes."
            )
        for line in preview_lines(preview):
            self.stderr.write(line)
        if not confirm(f"Discard these {preview.would_discard} deliveries for good?"):
            raise CommandError("Nothing was discarded.")

    def do_retry(self, options: dict[str, Any]) -> None:
        """Make waiting retries due now and print how many."""
        count = actions.retry_now(chosen(options), actor=ACTOR, progress=self.show_progress)
        text = f"{options['queue']}: {count} retries are due now"
        self.write({"queue": options["queue"], "retried": count}, text)

    def do_limit(self, options: dict[str, Any]) -> None:
        """Change how often handlers may call outside services, and print the new limits."""
        changes: dict[str, int | None] = dict.fromkeys(LIMITS) if options["default"] else {}
        for name in ("rate", "group"):
            if options[name]:
                changes[f"{name}_limit"], changes[f"{name}_seconds"] = options[name]
        if not changes:
            raise CommandError("Give --rate 100/60 or --group 5/60 (calls/seconds), or --default.")
        actions.tune(options["queue"], actor=ACTOR, changes=changes)
        status = status_of(options["queue"])
        found = {name: getattr(status, name) for name in ("queue", *LIMITS)}
        self.write(found, f"{status.queue}: {limits_of(status)}")

    def do_concurrency(self, options: dict[str, Any]) -> None:
        """Change how many batches a worker process runs at once, and print the number."""
        if (options["number"] is None) is not options["default"]:
            raise CommandError("Give a number, or --default.")
        changes = {"concurrency": options["number"]}
        actions.tune(options["queue"], actor=ACTOR, changes=changes)
        status = status_of(options["queue"])
        text = f"{status.queue}: {status.concurrency} batches at once in each worker process"
        self.write({"queue": status.queue, "concurrency": status.concurrency}, text)

    def do_clean(self, options: dict[str, Any]) -> None:
        """Delete deliveries that were finished long ago, and print how many."""
        found = {name: options[name] for name in ("queue", "state")}
        count = actions.clean(
            **found, older_than=options["older_than"], actor=ACTOR, progress=self.show_progress
        )
        text = f"{options['queue']}: {count} deliveries deleted that were {options['state']}"
        self.write(found | {"deleted": count}, text)

    def write(self, found: Any, *lines: str) -> None:
        """Print `found` as JSON with --json, else the lines."""
        self.stdout.write(report(found, lines, as_json=self.as_json))

    def show_progress(self, count: int) -> None:
        """Show the progress, unless the output goes to a program."""
        if self.stderr.isatty():
            self.stderr.write(f"\r{count} …", ending="")


def chosen(options: dict[str, Any]) -> Waiting:
    """Return the deliveries that the command's filters select."""
    return Waiting(**{name: options[name] for name in ("queue", "handler", "type", "older_than")})


def explained(error: ValidationError) -> str:
    """Return the errors as one line: each option's name with its messages."""
    fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    return " ".join(f"{name} {text}".strip() for name, texts in fields.items() for text in texts)


def broker_outage() -> str:
    """Return why the broker can't be reached, or "" if it can, or if none is used."""
    if kind_of(current_app.conf.broker_url) == Kind.NONE:
        return ""
    try:
        with closing(open_broker()) as broker:
            broker.depths(list(all_policies()))
    except BrokerDown as error:
        return str(error)
    return ""


def status_of(queue: str) -> QueueStatus:
    """Return the figures of one queue, without those of finished deliveries."""
    (status,) = (row for row in queue_status(with_done=False) if row.queue == queue)
    return status
