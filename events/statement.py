"""Handlers whose effects are one statement: a small batch takes one round trip, not six.

The deliveries are claimed, worked and done by a single statement, which is a transaction of its
own. The handler's function is still there for what is large, old or in parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from events.envelope import ALL_KEYS
from events.sql import execute

WORK = """
    WITH claimed AS MATERIALIZED (
        SELECT delivery.id, event.id AS event_id, event.recorded_at AS time,
               '{first}'::bigint AS first, {after}::bigint AS after, {fields},
               date_part('epoch', greatest(statement_timestamp() - delivery.recorded_at, '0'))
        FROM events_delivery AS delivery JOIN events_event AS event ON event.id = delivery.event_id
        WHERE delivery.id = ANY(%(ids)s) AND delivery.handler = ANY(%(handlers)s)
          AND delivery.state = 'queued' AND delivery.part = 0 AND delivery.ready_at IS NULL
          AND event.version = %(version)s AND event.data ?& %(fields)s::text[] AND {small}
        ORDER BY delivery.id FOR UPDATE OF delivery SKIP LOCKED
    ), effects AS ({effects}), done AS (
        UPDATE events_delivery
        SET state = 'done', due_at = NULL, finished_at = clock_timestamp(), error = ''
        FROM claimed WHERE events_delivery.id = claimed.id
    )
    SELECT id, date_part FROM claimed
"""


@dataclass(frozen=True)
class Statement:
    """The effects of a handler on few events, as SQL that reads them from the table `claimed`.

    That has the columns event_id, time, `first` and `after` (the range of all keys), and `fields`
    of the events' data with their types in SQL. `small` is a condition on `event.data` which keeps
    out what `split` might split.
    """

    effects: str
    fields: Mapping[str, str]
    small: str = "true"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def sql(self) -> str:
        """Return the whole statement."""
        columns = [
            f"(event.data->>'{name}')::{type} AS {name}" for name, type in self.fields.items()
        ]
        return WORK.format(
            first=ALL_KEYS.first,
            after=ALL_KEYS.after,
            fields=", ".join(columns),
            small=self.small,
            effects=self.effects,
        )

    def work(
        self, ids: Sequence[int], *, handlers: Sequence[str], version: int
    ) -> dict[int, float]:
        """Do what it can of a handler's deliveries; return how old each was, in seconds.

        What is not among them is done already, in other hands, or not for this statement.
        """
        parameters = {
            "ids": list(ids),
            "handlers": list(handlers),
            "version": version,
            "fields": list(self.fields),
        }
        return dict(execute(self.sql, parameters | dict(self.parameters)).rows)
