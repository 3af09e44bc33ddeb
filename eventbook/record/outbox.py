"""The outbox: record an event in the same transaction as the change that it describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from eventbook.conf import conf
from eventbook.database.ids import new_id
from eventbook.database.statements import execute
from eventbook.declare.bridges import bridges_by_event
from eventbook.declare.events import DomainEvent, encode, type_of_class
from eventbook.deliveries.states import wake_relay
from eventbook.models import Event, OutboxEntry, Priority
from eventbook.observe import tracing
from eventbook.record.numbering import NUMBERED, VersionConflict, lock_version
from eventbook.record.waiting import SOON_SECONDS, with_zone

__all__ = ["OutsideTransaction", "Priority", "record", "record_with", "recording"]

_open_recording: ContextVar[EventBatch | None] = ContextVar("open_recording", default=None)

# One statement writes the event store's row and the outbox entry that the relay claims. All events
# are in one parameter, so the statement's text is the same for any number of them.
RECORDED = """
    recorded AS (
        INSERT INTO eventbook_event (id, type, version, subject, data, priority, traceparent,
                                  recorded_at, key)
        SELECT id, type, version, subject, data, %s, %s, clock_timestamp(), key
        FROM json_to_recordset(%s::json)
             AS new (id uuid, type text, version smallint, subject text, data jsonb, key text)
        {}
        ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING
        RETURNING id, type, priority, recorded_at
    )
"""
ENTER = """
    INSERT INTO eventbook_outboxentry (event_id, type, priority, recorded_at)
    SELECT id, type, priority, recorded_at FROM recorded
"""
# For each bridge that publishes such events, an entry: the routes are two columns, of event types
# and bridges. Numbered in the order of the events (bridges/entries.py).
BRIDGED = """
    , bridged AS (
        INSERT INTO eventbook_bridgeentry (bridge, event_id)
        SELECT bridge, recorded.id
        FROM recorded JOIN unnest(%s::text[], %s::text[]) AS route (type, bridge) USING (type)
        {}
        ORDER BY recorded.recorded_at, recorded.id
    )
"""
INSERT = f"WITH {RECORDED.format('')} {{bridged}} {ENTER}"
# The same for one numbered event.
INSERT_NUMBERED = f"WITH {RECORDED.format('')} {{bridged}} {NUMBERED} {ENTER}"
# The same for events of which some wait for a time, the wish. A time in the past is none. The relay
# writes the bridges' entries of those that wait, when their time has come.
ENTER_WAITING = f"""
    INSERT INTO eventbook_outboxentry (event_id, type, priority, recorded_at, due_at)
    SELECT id, type, CASE WHEN run_at > recorded_at THEN {OutboxEntry.WAITING} ELSE priority END,
           greatest(recorded_at, run_at), CASE WHEN run_at > recorded_at THEN run_at END
    FROM recorded JOIN wish USING (id)
"""  # noqa: S608 - put together from constants
WISH = "wish AS (SELECT * FROM unnest(%s::uuid[], %s::timestamptz[]) AS wish (id, run_at))"
INSERT_WAITING = f"WITH {WISH}, {RECORDED.format('')} {{bridged}} {ENTER_WAITING}"
IF_NOW = "JOIN wish USING (id) WHERE run_at IS NULL OR run_at <= recorded_at"
# The same with the statement that makes the change; no event is written if that returns no row.
IF_CHANGED = RECORDED.format("WHERE EXISTS (SELECT FROM change)")
INSERT_WITH = (
    f"WITH change AS ({{}}), {IF_CHANGED} {{bridged}}, entered AS ({ENTER}) SELECT * FROM change"  # noqa: S608
)


class OutsideTransaction(Exception):
    """An event must be recorded inside transaction.atomic(), together with its change."""


@dataclass
class EventBatch:
    """The events sent in one `recording` block, to be written by one statement at its end."""

    priority: Priority
    events: list[dict[str, Any]] = field(default_factory=list)
    # The number of savepoints when the block began.
    savepoints: int = field(default_factory=lambda: len(connection.savepoint_ids))
    # The times that events wait for, by their ids.
    run_at: dict[UUID, datetime] = field(default_factory=dict)
    # An on-commit callback for each event sent in a later savepoint. Django drops the callback if
    # that savepoint is rolled back, and `write` then drops the event.
    callbacks: dict[UUID, Callable[[], None]] = field(default_factory=dict)

    def add(self, event: DomainEvent, key: str | None, run_at: datetime | None = None) -> UUID:
        """Collect an event, and return its new id."""
        known = type_of_class[type(event)]
        id = new_id()
        if run_at is not None:
            self.run_at[id] = with_zone(run_at)
        self.events.append(
            {
                "id": id,
                "type": known.name,
                "version": known.version,
                "subject": event.subject,
                "data": msgspec.Raw(encode(event)),
                "key": key,
            }
        )
        if len(connection.savepoint_ids) > self.savepoints:
            self.callbacks[id] = lambda: None
            transaction.on_commit(self.callbacks[id])
        return id

    def write(self) -> None:
        """Write the collected events, except those of savepoints that were rolled back."""
        if self.callbacks:
            kept = {id(entry[1]) for entry in connection.run_on_commit}
            undone = {event for event, each in self.callbacks.items() if id(each) not in kept}
            self.events = [event for event in self.events if event["id"] not in undone]
        if not self.events:
            return
        with self._span():
            if not self.run_at:
                execute(self._with_bridges(INSERT), self._parameters())
                return
            ids = [event["id"] for event in self.events]
            times = [self.run_at.get(id) for id in ids]
            statement = self._with_bridges(INSERT_WAITING, IF_NOW)
            execute(statement, [ids, times, *self._parameters()])
        wake_relay(min(self.run_at.values()), within=SOON_SECONDS)

    def write_numbered(self, subject: str, number: int) -> None:
        """Write the only event of the batch, with its number."""
        with self._span():
            statement = self._with_bridges(INSERT_NUMBERED)
            execute(statement, [*self._parameters(), subject, number])

    def write_with(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """Run a changing statement, write the events if it returns rows, and return the rows."""
        together = self._with_bridges(INSERT_WITH).replace("{}", statement)
        with self._span():
            return execute(together, [*parameters, *self._parameters()]).rows

    def _span(self) -> AbstractContextManager[tracing.Span]:
        """Return a span for the recording, whose trace the events' deliveries continue."""
        if not tracing.is_on():
            return tracing.NO_SPAN
        types = ", ".join({event["type"]: None for event in self.events})
        attributes: dict[str, tracing.Value] = {"count": len(self.events)}
        if len(self.events) == 1:
            attributes["event"] = str(self.events[0]["id"])
        return tracing.span(f"record {types}", kind="producer", attributes=attributes)

    def _routes(self) -> list[tuple[str, str]]:
        """Return the types of the events that bridges publish, each with one of its bridges."""
        by_event = bridges_by_event(conf.BRIDGES)
        types = {event["type"]: None for event in self.events} if by_event else ()
        return [(type, bridge) for type in types for bridge in by_event.get(type, ())]

    def _with_bridges(self, statement: str, condition: str = "") -> str:
        """Return a statement with the part for bridges, if one publishes any of the events."""
        bridged = BRIDGED.format(condition) if self._routes() else ""
        return statement.replace("{bridged}", bridged)

    def _parameters(self) -> list[Any]:
        events = msgspec.json.encode(self.events).decode()
        parameters = [int(self.priority), tracing.traceparent.get(), events]
        columns = [list(column) for column in zip(*self._routes(), strict=True)]
        return [*parameters, *columns]


def record(
    event: DomainEvent,
    *,
    key: str | None = None,
    run_at: datetime | None = None,
    expected: int | None = None,
) -> UUID:
    """Record an event in the outbox, and return its id.

    If an event with this `key` was recorded before, record nothing and return the first one's id.
    With `run_at`, its handlers get the event at that time; if it has passed, at once (waiting.py).
    `expected` is for numbered events: see `_record_numbered`. Inside `recording`, other events
    without a key are written at the end of the block. Raise ValueError for a `run_at` without a
    time zone, and OutsideTransaction if no transaction is open: otherwise a crash could lose the
    event of a committed change, or leave the event of a change that was rolled back.
    """
    _require_transaction(f"{type(event).__name__} was sent")
    block = _open_recording.get()
    if type_of_class[type(event)].numbered:
        return _record_numbered(event, key, run_at, expected)
    if expected is not None:
        raise ValueError("Only numbered events have an `expected` version.")
    if block is not None and key is None:
        return block.add(event, None, run_at)
    single = EventBatch(block.priority if block else Priority.INTERACTIVE)
    id = single.add(event, key, run_at)
    if key is None:
        single.write()
        return id
    found: UUID | None = None
    while found is None:  # again, if the event with this key was cancelled in between
        single.write()
        found = _id_of(key)
    return found


def _record_numbered(
    event: DomainEvent, key: str | None, run_at: datetime | None, expected: int | None
) -> UUID:
    """Record an event with the next number of its subject, at once, and return its id.

    Until the transaction ends, others that record a numbered event of the subject wait. Raise
    VersionConflict if the subject's version isn't the `expected` one; the transaction can go on. An
    event whose `key` is known has its number: it is the same event, whatever is expected. Raise
    ValueError for `run_at`: a number says what has happened, and a waiting event can be cancelled.
    """
    if run_at is not None:
        raise ValueError("A numbered event can't wait for `run_at`.")
    subject = event.subject
    while True:
        version = lock_version(subject)
        if key is not None and (found := _id_of(key)):
            return found
        if expected is not None and expected != version:
            raise VersionConflict(subject, expected, version)
        block = _open_recording.get()
        single = EventBatch(block.priority if block else Priority.INTERACTIVE)
        id = single.add(event, key)
        single.write_numbered(subject, version + 1)
        # If another transaction recorded the key meanwhile, nothing was written: return that event.
        if key is None or _id_of(key) == id:
            return id


def _id_of(key: str) -> UUID | None:
    """Return the id of the event with this key, if there is one."""
    return Event.objects.values_list("pk", flat=True).filter(key=key).first()


def record_with(statement: str, parameters: Sequence[Any], event: DomainEvent) -> list[Any]:
    """Run a changing statement, record the event if it returned a row, and return its rows.

    The statement must end in RETURNING. Change and recording are one SQL statement, so no
    transaction needs to be open. Raise ValueError for a numbered event.
    """
    if type_of_class[type(event)].numbered:
        raise ValueError("A numbered event needs a lock before it is recorded: use `send`.")
    block = _open_recording.get()
    single = EventBatch(block.priority if block else Priority.INTERACTIVE)
    single.add(event, None)
    return single.write_with(statement, parameters)


def _require_transaction(done: str) -> None:
    if not connection.in_atomic_block:
        raise OutsideTransaction(
            f"{done} outside a transaction. "
            "Do so inside transaction.atomic(), together with the change that the event describes."
        )


@contextmanager
def recording(*, priority: Priority = Priority.INTERACTIVE) -> Iterator[None]:
    """Record all events sent in the block with this priority, by one statement at its end.

    Events with a key, and numbered ones, are recorded at once. If the block raises, the others are
    dropped; so are all events of a savepoint that is rolled back. Raise OutsideTransaction if no
    transaction is open: a transaction that began in the block would commit before the events are
    written.
    """
    _require_transaction("A recording was begun")
    block = EventBatch(priority)
    token = _open_recording.set(block)
    try:
        yield
    finally:
        _open_recording.reset(token)
    block.write()
