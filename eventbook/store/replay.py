"""Replay: deliver stored events again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from eventbook.database.statements import execute
from eventbook.declare.events import type_of_name
from eventbook.declare.handlers import Handler, all_handlers, handlers
from eventbook.models import Operation, Priority

STEP = 5_000  # events read in one transaction


class InvalidSelection(Exception):
    """The selection of a replay is too wide, empty, or names an unknown handler or event type."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The selection of a replay: the events that match all given fields, and their handlers.

    A type without a handler selects all handlers of the type. `until` itself is excluded.
    Raise InvalidSelection without handler and type, or if `since` isn't before `until`.
    """

    handler: str = ""
    type: str = ""
    since: datetime | None = None
    until: datetime | None = None
    event: UUID | None = None

    def __post_init__(self) -> None:
        if not (self.handler or self.type):
            raise InvalidSelection("Select a handler, or a type for all handlers of the type.")
        if self.since and self.until and self.since >= self.until:
            raise InvalidSelection("`since` must be before `until`.")

    def selected_handlers(self) -> list[Handler]:
        """Return the selected handlers; raise InvalidSelection if there are none."""
        if self.handler and self.handler not in handlers:
            names = ", ".join(handler.name for handler in all_handlers())
            raise InvalidSelection(
                f"There is no handler {self.handler!r}. The handlers are: {names}."
            )
        if self.type and self.type not in type_of_name:
            names = ", ".join(sorted(type_of_name))
            raise InvalidSelection(f"There is no event type {self.type!r}. The types are: {names}.")
        found = [
            handler
            for handler in all_handlers()
            if (not self.handler or self.handler in handler.names)
            and (not self.type or handler.event_name == self.type)
        ]
        if not found:
            raise InvalidSelection(f"No selected handler takes events of type {self.type!r}.")
        return found


@dataclass
class Progress:
    """A replay's counts for one handler: events read, and what became of each.

    A delivery was created (`new`), reopened (`again`), or left alone because it is `still_open`.
    """

    handler: str
    events: int = 0
    new: int = 0
    again: int = 0
    still_open: int = 0

    def add(self, events: int, new: int, again: int, still_open: int) -> None:
        """Add the counts of one step."""
        self.events += events
        self.new += new
        self.again += again
        self.still_open += still_open


Report = Callable[[Progress], None]

SELECTED = """
    SELECT id FROM eventbook_event
    WHERE type = %(type)s AND id > %(after)s
      AND (%(event)s::uuid IS NULL OR id = %(event)s)
      AND (%(since)s::timestamptz IS NULL OR recorded_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR recorded_at < %(until)s)
      AND NOT EXISTS (SELECT FROM eventbook_outboxentry WHERE event_id = eventbook_event.id)
    ORDER BY id LIMIT %(step)s
    FOR KEY SHARE  -- retention must not delete them meanwhile
"""
# An event with an open delivery, or an open part, is left alone: it will be delivered anyway.
CLASSIFIED = f"""
    WITH selected AS MATERIALIZED ({SELECTED}), known AS (
        SELECT selected.id, count(delivery.id) AS deliveries,
               coalesce(bool_or(delivery.due_at IS NOT NULL), false) AS is_open
        FROM selected LEFT JOIN eventbook_delivery delivery
          ON delivery.event_id = selected.id AND delivery.handler = ANY(%(names)s)
        GROUP BY selected.id
    )
"""  # noqa: S608 - put together from constants
# The last id read, and the counts that Progress.add takes.
TOTALS = """
    SELECT (SELECT id FROM selected ORDER BY id DESC LIMIT 1), count(*),
           count(*) FILTER (WHERE deliveries = 0),
           count(*) FILTER (WHERE deliveries > 0 AND NOT is_open),
           count(*) FILTER (WHERE is_open)
    FROM known
"""
COUNT = CLASSIFIED + TOTALS
# The n-th delivery is due after n / rate seconds, so the pace holds even after the command has
# ended. An event's parts are deleted, since its whole delivery will be split again.
REPLAY = f"""
    {CLASSIFIED}, wanted AS (
        SELECT id, row_number() OVER (ORDER BY id) + %(done)s AS place FROM known WHERE NOT is_open
    ), forgotten AS (
        DELETE FROM eventbook_attempt USING eventbook_delivery part, wanted
        WHERE part.event_id = wanted.id AND part.handler = ANY(%(names)s) AND part.part > 0
          AND eventbook_attempt.delivery_id = part.id
    ), parts AS (
        DELETE FROM eventbook_delivery USING wanted
        WHERE event_id = wanted.id AND handler = ANY(%(names)s) AND part > 0
    ), queued AS (
        INSERT INTO eventbook_delivery AS delivery
            (event_id, handler, queue, state, priority, due_at, recorded_at)
        SELECT id, %(handler)s, %(queue)s, 'queued', %(bulk)s, due_at, due_at
        FROM wanted, LATERAL (
            SELECT now() + coalesce(place / %(rate)s::float, 0) * interval '1 second' AS due_at
        ) AS paced
        ON CONFLICT (event_id, handler, part) DO UPDATE
        SET state = 'queued', queue = excluded.queue, priority = excluded.priority,
            attempts = 0, publications = 0, isolated = false, due_at = excluded.due_at,
            recorded_at = excluded.recorded_at, finished_at = NULL, error = ''
        WHERE delivery.due_at IS NULL
        RETURNING 1
    )
    {TOTALS}
"""  # noqa: S608


def count(selection: Selection) -> list[Progress]:
    """Return the counts that a replay would have, without changing anything."""
    return [_run(selection, handler, COUNT) for handler in selection.selected_handlers()]


def replay(
    selection: Selection, *, actor: str, rate: float | None = None, report: Report = lambda _: None
) -> list[Progress]:
    """Deliver stored events again, and return the counts for each handler.

    This is for a new handler that needs past events, and for one whose effects were lost. Replays
    are bulk work, which interactive work overtakes. `rate` is how many deliveries fall due each
    second; None means all at once. `report` is called with the progress after each step. The replay
    is recorded as an operation of `actor`, whose count is right even after an interruption. Raise
    InvalidSelection for an unknown handler or type, or if no handler is selected.
    """
    selected = selection.selected_handlers()
    details = {name: str(value) for name, value in asdict(selection).items() if value}
    operation = Operation.objects.create(action="replay", actor=actor, details=details)
    return [
        _run(selection, handler, REPLAY, operation=operation, rate=rate, report=report)
        for handler in selected
    ]


def _run(
    selection: Selection,
    handler: Handler,
    statement: str,
    *,
    operation: Operation | None = None,
    rate: float | None = None,
    report: Report = lambda _: None,
) -> Progress:
    """Run COUNT or REPLAY for one handler, STEP events at a time; return the totals.

    Each step's transaction adds the number of replayed deliveries to the operation.
    """
    progress = Progress(handler.name)
    parameters: dict[str, Any] = asdict(selection) | {
        "type": handler.event_name,
        "handler": handler.name,
        "names": handler.names,
        "queue": handler.queue,
        "rate": rate,
        "bulk": Priority.BULK,
        "step": STEP,
        "after": UUID(int=0),
    }
    while parameters["after"] is not None:
        done = parameters["done"] = progress.new + progress.again
        with transaction.atomic():
            ((parameters["after"], *counts),) = execute(statement, parameters, prepare=False).rows
            progress.add(*counts)
            if operation:
                replayed = progress.new + progress.again - done
                Operation.objects.filter(pk=operation.pk).update(count=F("count") + replayed)
        report(progress)
    return progress
