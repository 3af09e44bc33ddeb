"""Texts for operators: figures and deliveries, in the admin, for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from eventbook.models import Delivery, QueueControl
from eventbook.operate.queries.deliveries import PurgePreview
from eventbook.operate.queries.queues import QueueStatus
from eventbook.operate.queries.schedules import ScheduleStatus


def report(found: Any, lines: Iterable[str], *, as_json: bool) -> str:
    """Return the result of a command, as JSON for programs or as lines of text."""
    return json.dumps(found, indent=2, cls=DjangoJSONEncoder) if as_json else "\n".join(lines)


def confirm(question: str) -> bool:
    """Ask the user at the terminal a yes-or-no question; return whether the reply was yes."""
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table: its titles, then a line for each row.

    `columns` maps a key of the rows to its title. The first column is aligned left, others right.
    """
    cells = [list(columns.values())]
    cells += [["–" if row[name] is None else str(row[name]) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        _, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([row[0].ljust(widths[0]), *rest])


def pause_of(status: QueueStatus | QueueControl | ScheduleStatus) -> str:
    """Return since when a queue or schedule is paused, by which operator and why."""
    since = f"since {status.paused_at:%F %T %Z} by {status.paused_by}"
    return f"{since}: {status.reason}" if status.reason else since


def lines_of_pause(status: QueueStatus) -> Iterator[str]:
    """Yield the lines that describe a queue's pause and how to end it."""
    yield f"{status.queue} is paused {pause_of(status)}"
    if status.restored:
        yield "    The pause came with the backup from which this database was restored."
    yield f"    To resume it: manage.py queues resume {status.queue}"


def limits_of(status: QueueStatus) -> str:
    """Return how often a queue's handlers may call outside services, as text."""
    limits = [f"{status.rate_limit} in {status.rate_seconds} s"] if status.rate_limit else []
    if status.group_limit:
        limits.append(f"per group {status.group_limit} in {status.group_seconds} s")
    return ", ".join(limits) or "no limit"


def preview_lines(preview: PurgePreview) -> list[str]:
    """Return lines that count the deliveries a purge would discard, by handler, or leave."""
    lines = [f"{count:>9}  {handler}" for handler, count in preview.by_handler.items()]
    if preview.held:
        lines.append(f"{preview.held:>9}  held by workers: left as they are")
    return lines


def as_dict(delivery: Delivery) -> dict[str, Any]:
    """Return the fields of a delivery that commands print as JSON."""
    return {
        "id": delivery.pk,
        "queue": delivery.queue,
        "handler": delivery.handler,
        "event": delivery.event_id,
        "type": delivery.event.type,
        "state": delivery.state,
        "priority": delivery.priority,
        "attempts": delivery.attempts,
        "recorded_at": delivery.recorded_at,
        "due_at": delivery.due_at,
        "finished_at": delivery.finished_at,
        "error": delivery.error,
    }


def as_line(delivery: Delivery) -> str:
    """Return a delivery as one line of text."""
    parts = [delivery.pk, delivery.handler, delivery.event.type, delivery.event_id]
    parts.append(f"recorded {delivery.recorded_at:%F %T}")
    if delivery.due_at:
        parts.append(f"due {delivery.due_at:%F %T}")
    if delivery.attempts:
        parts.append(f"{delivery.attempts} attempts")
    if delivery.error:
        parts.append(last_line(delivery.error))
    return "  ".join(str(part)[:120] for part in parts)


def last_line(error: str) -> str:
    """Return the last line of a traceback: the exception's class and message."""
    return (error.strip().splitlines() or [""])[-1]
