"""Handlers whose effects are one SQL statement: a small batch takes one round trip, not six.

One statement claims the deliveries, applies the effects, and marks the deliveries as done, all in
its own transaction. The handler's function still runs large batches, parts, retries, and events of
an older version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from eventbook.database.statements import Parameters, execute, insert_new
from eventbook.declare.events import ALL_KEYS, SMALL_BATCH, KeyRange

CLAIM_RUN_FINISH = """
    WITH claimed AS MATERIALIZED (
        SELECT delivery.id, event.id AS event_id, event.recorded_at AS time,
               '{first}'::bigint AS first, {after}::bigint AS after, {fields},
               date_part('epoch', greatest(statement_timestamp() - delivery.recorded_at, '0'))
                   AS age
        FROM eventbook_delivery AS delivery
        JOIN eventbook_event AS event ON event.id = delivery.event_id
        WHERE delivery.id = ANY(%(ids)s) AND delivery.handler = ANY(%(handlers)s)
          AND delivery.state = 'queued' AND delivery.part = 0 AND delivery.ready_at IS NULL
          AND event.version = %(version)s AND event.data ?& %(fields)s::text[] AND {small}
        ORDER BY delivery.id FOR UPDATE OF delivery SKIP LOCKED
    ), effects AS ({effects}), done AS (
        UPDATE eventbook_delivery
        SET state = 'done', due_at = NULL, finished_at = clock_timestamp(), error = ''
        FROM claimed WHERE eventbook_delivery.id = claimed.id
    )
    SELECT id, age FROM claimed
"""


@dataclass(frozen=True)
class Statement:
    """The effects of a handler on few events, as SQL that reads the events from `claimed`.

    The table `claimed` has the columns event_id, time, `first` and `after` (the range of all keys),
    and one for each of `fields`: a field of the events' data, with its SQL type. `small` is an SQL
    condition on `event.data` that excludes each event which `split` might split.
    """

    effects: str
    fields: Mapping[str, str]
    small: str = "true"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def sql(self) -> str:
        """Return the whole statement: claim, effects, and done."""
        fields = self.fields.items()
        columns = [f"(event.data->>'{name}')::{type} AS {name}" for name, type in fields]
        return CLAIM_RUN_FINISH.format(
            first=ALL_KEYS.first,
            after=ALL_KEYS.after,
            fields=", ".join(columns),
            small=self.small,
            effects=self.effects,
        )

    def run(self, ids: Sequence[int], *, handlers: Sequence[str], version: int) -> dict[int, float]:
        """Run the statement; return the age in seconds of each delivery that it did, by id.

        Deliveries missing from the result are done already, locked by another worker, or not fit
        for the statement. `version` is the current version of the event type.
        """
        parameters = {
            "ids": list(ids),
            "handlers": list(handlers),
            "version": version,
            "fields": list(self.fields),
        }
        return dict(execute(self.sql, parameters | dict(self.parameters)).rows)


def insert_batch(parameters: Parameters, ranges: Sequence[KeyRange], *, few: str, many: str) -> int:
    """Insert the rows of a batch of events that are not there yet, and return how many.

    `few` and `many` are INSERT statements with the same effects that end in ON CONFLICT DO NOTHING:
    `few` is for a small batch (up to SMALL_BATCH events). `ranges` are the key ranges of the
    events: a range that is not all keys is a part of a large event, and has many rows too.
    """
    is_small = len(ranges) <= SMALL_BATCH
    has_parts = any(keys != ALL_KEYS for keys in ranges)
    return insert_new(few if is_small else many, parameters, many=not is_small or has_parts)
