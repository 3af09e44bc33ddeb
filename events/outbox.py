"""The outbox: where an event is recorded, in the transaction of the change that it tells of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from events import tracing
from events.envelope import Subject, encode, type_of_class
from events.ids import new_id
from events.models import Event, Priority
from events.sql import execute

__all__ = ["OutsideTransaction", "Priority", "record", "record_with", "recording"]

_open_recording: ContextVar[Recording | None] = ContextVar("open_recording", default=None)

# One statement for both tables: the event store's row, and the entry that the relay claims. One
# parameter holds all events, so that the statement is the same however many they are.
RECORDED = """
    recorded AS (
        INSERT INTO events_event (id, type, version, subject, data, priority, traceparent,
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
    INSERT INTO events_outboxentry (event_id, type, priority, recorded_at)
    SELECT id, type, priority, recorded_at FROM recorded
"""
INSERT = f"WITH {RECORDED.format('')} {ENTER}"
# The same together with the change that an event tells of, if that touches a row.
IF_CHANGED = RECORDED.format("WHERE EXISTS (SELECT FROM change)")
INSERT_WITH = f"WITH change AS ({{}}), {IF_CHANGED}, entered AS ({ENTER}) SELECT * FROM change"  # noqa: S608


class OutsideTransaction(Exception):
    """A domain signal must be sent inside transaction.atomic(), with the change it tells of."""


@dataclass
class Recording:
    """The events of one block, to be written together."""

    priority: Priority
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event: Subject, key: str | None) -> UUID:
        """Take the event in and return the id it gets."""
        known = type_of_class[type(event)]
        id = new_id()
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
        return id

    def write(self) -> None:
        """Write what was taken in, with one statement."""
        if self.events:
            with self._span():
                execute(INSERT, self._parameters())

    def write_with(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """Write it with a statement that changes something, and return its rows."""
        together = INSERT_WITH.replace("{}", statement)
        with self._span():
            return execute(together, [*parameters, *self._parameters()]).rows

    def _span(self) -> AbstractContextManager[tracing.Span]:
        # Everything that comes of the events is done in this span's trace.
        if not tracing.is_on():
            return tracing.NOTHING
        types = ", ".join({event["type"]: None for event in self.events})
        attributes: dict[str, tracing.Value] = {"count": len(self.events)}
        if len(self.events) == 1:
            attributes["event"] = str(self.events[0]["id"])
        return tracing.span(f"record {types}", kind="producer", attributes=attributes)

    def _parameters(self) -> list[Any]:
        events = msgspec.json.encode(self.events).decode()
        return [int(self.priority), tracing.traceparent.get(), events]


def record(event: Subject, *, key: str | None = None) -> UUID:
    """Record an event in the outbox, and return its id.

    An event with a `key` that was recorded before is that event: nothing is recorded again, and
    the answer is the id of the first. Raises OutsideTransaction unless a transaction is open: an
    event that does not commit with its change would tell of something that never happened, or be
    lost.
    """
    if not connection.in_atomic_block:
        raise OutsideTransaction(
            f"{type(event).__name__} was sent outside a transaction. "
            "Send the signal inside transaction.atomic(), together with the change it tells of."
        )
    block = _open_recording.get()
    if block is not None and key is None:
        return block.add(event, None)
    single = Recording(block.priority if block else Priority.INTERACTIVE)
    id = single.add(event, key)
    single.write()
    return id if key is None else Event.objects.values_list("pk", flat=True).get(key=key)


def record_with(statement: str, parameters: Sequence[Any], event: Subject) -> list[Any]:
    """Run a statement that changes something, and records an event if it touched a row.

    Both are one statement, so that no transaction needs to be open. It ends in RETURNING; its rows
    are the answer.
    """
    block = _open_recording.get()
    single = Recording(block.priority if block else Priority.INTERACTIVE)
    single.add(event, None)
    return single.write_with(statement, parameters)


@contextmanager
def recording(*, priority: Priority = Priority.INTERACTIVE) -> Iterator[None]:
    """Record all events sent in the block with one statement at its end."""
    block = Recording(priority)
    token = _open_recording.set(block)
    try:
        yield
    finally:
        _open_recording.reset(token)
    block.write()
