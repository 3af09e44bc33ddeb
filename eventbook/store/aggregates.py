"""Rebuild the state of a subject from its numbered events, now or as of a past moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from django.db import transaction

from eventbook.database.ids import first_id_at
from eventbook.database.statements import execute
from eventbook.declare.events import Recorded, decode, numbered_types
from eventbook.models import Aggregate
from eventbook.record.numbering import lock_version, number_older
from eventbook.store.history import CLOCK_ERROR, MILLISECOND, HistoryPruned

__all__ = ["Fold", "HistoryPruned", "Rebuilt", "rebuild", "snapshot"]

S = TypeVar("S")
PAGE = 1_000  # events read by one query

EVENTS = """
    SELECT number, type, version, data::text, event.id, recorded_at, priority
    FROM eventbook_numberedevent AS numbered JOIN eventbook_event AS event ON event.id = event_id
    WHERE numbered.subject = %s AND number > %s
    ORDER BY number LIMIT %s
"""
# One row, if an event has no number: its type became numbered later, or a process of an older
# release recorded it.
UNNUMBERED = """
    SELECT 1 FROM eventbook_event AS event
    WHERE subject = %s AND type = ANY(%s) AND id >= %s
      AND NOT EXISTS (SELECT FROM eventbook_numberedevent AS numbered
                      WHERE numbered.subject = event.subject AND event_id = event.id)
    LIMIT 1
"""
SNAPSHOT = """
    SELECT state::text, number, recorded_at FROM eventbook_snapshot
    WHERE subject = %(subject)s AND fold = %(fold)s AND version = %(version)s
      AND (%(before)s::timestamptz IS NULL OR recorded_at < %(before)s)
"""
# An older release, or a slower process, doesn't replace a newer snapshot.
SAVE = """
    INSERT INTO eventbook_snapshot AS known (subject, fold, version, number, recorded_at, state)
    VALUES (%s, %s, %s, %s, %s, %s::jsonb)
    ON CONFLICT (subject, fold) DO UPDATE
    SET version = excluded.version, number = excluded.number, recorded_at = excluded.recorded_at,
        state = excluded.state
    WHERE (known.version, known.number) < (excluded.version, excluded.number)
"""


@dataclass(frozen=True, kw_only=True)
class Fold(Generic[S]):
    """How a subject's state is made: `apply` returns the state after one more event.

    `state()` is the state before the first event. The class must be one that msgspec reads and
    writes as JSON, for snapshots. Raise `version` when `apply` or the class changes; snapshots of
    another version are not used.
    """

    name: str
    version: int
    state: type[S]
    apply: Callable[[S, Recorded[Any]], S]


@dataclass(frozen=True)
class Rebuilt(Generic[S]):
    """The state after a subject's first `version` events, the last of them recorded at `time`."""

    state: S
    version: int
    time: datetime | None


def rebuild(subject: str, fold: Fold[S], *, as_of: datetime | None = None) -> Rebuilt[S]:
    """Return a subject's state after its last event, or after the last one up to `as_of`.

    Events of older versions are upcast. If the fold has a snapshot, start there. Events that have
    no number yet get one (`number_older`). Raise HistoryPruned if an event is missing, and the
    errors of `decode` for an event that this release can't read.
    """
    before = as_of + MILLISECOND if as_of else None
    start = _last_snapshot(subject, fold, before)
    _number_new(subject, since=start.time)
    last = Aggregate.objects.values_list("number", flat=True).filter(pk=subject).first() or 0
    state, version, time = start.state, start.version, start.time
    for number, recorded in _events(subject, after=version):
        if number != version + 1:
            raise _missing(subject, version + 1)
        if before and recorded.time >= before:
            return Rebuilt(state, version, time)
        state, version, time = fold.apply(state, recorded), number, recorded.time
    if version < last:
        raise _missing(subject, version + 1)
    return Rebuilt(state, version, time)


def snapshot(subject: str, fold: Fold[S]) -> Rebuilt[S]:
    """Rebuild a subject's state, and store it, so that later rebuilds start there."""
    rebuilt = rebuild(subject, fold)
    if rebuilt.version:
        state = msgspec.json.encode(rebuilt.state).decode()
        row = [subject, fold.name, fold.version, rebuilt.version, rebuilt.time, state]
        execute(SAVE, row)
    return rebuilt


def _last_snapshot(subject: str, fold: Fold[S], before: datetime | None) -> Rebuilt[S]:
    """Return the state of the fold's snapshot, or the first state if there is no such snapshot."""
    parameters = {
        "subject": subject,
        "fold": fold.name,
        "version": fold.version,
        "before": before,
    }
    for state, number, time in execute(SNAPSHOT, parameters).rows:
        return Rebuilt(msgspec.json.decode(state, type=fold.state), number, time)
    return Rebuilt(fold.state(), 0, None)


def _number_new(subject: str, since: datetime | None) -> None:
    """Give numbers to events recorded after `since` that have none."""
    first = first_id_at(since - CLOCK_ERROR) if since else UUID(int=0)
    if execute(UNNUMBERED, [subject, numbered_types(), first]).rows:
        with transaction.atomic():
            lock_version(subject)
            number_older(subject)


def _events(subject: str, after: int) -> Iterator[tuple[int, Recorded[Any]]]:
    """Yield a subject's events after a number, each with its own."""
    while rows := execute(EVENTS, [subject, after, PAGE]).rows:
        for number, type, version, data, id, time, priority in rows:
            yield number, Recorded(id, time, priority, decode(type, version, data))
            after = number


def _missing(subject: str, number: int) -> HistoryPruned:
    return HistoryPruned(
        f"Event {number} of {subject} is no longer stored, and no snapshot has it."
    )
