"""What the relay adds to the traces of the events that it relays, if there are any."""

from __future__ import annotations

import time
from collections.abc import Sequence

from events import tracing
from events.deliveries import Pending
from events.sql import execute

# Of a step: so many of its events are looked at, and so many traces tell of it. A backlog, in which
# nobody follows single events, costs no more than that.
LOOKED_AT = 100
TRACED = 10

FIND = """
    SELECT id, type, traceparent FROM events_event
    WHERE id = ANY(%s) AND traceparent ~ '[13579bdf]$' LIMIT %s
"""


def relayed(
    pending: Sequence[Pending], expanding_since: int | None, publishing_since: int, failed: str = ""
) -> None:
    """Tell of deliveries that were made, if they were, and then published until now.

    Times are in nanoseconds since 1970; it takes a statement, after the work is done.
    """
    if not tracing.is_on() or not pending:
        return
    ended = time.time_ns()
    wanted = list(dict.fromkeys(delivery.event_id for delivery in pending[:LOOKED_AT]))
    for id, type, traceparent in execute(FIND, [wanted, TRACED]).rows:
        attributes: dict[str, tracing.Value] = {"event_id": str(id), "count": len(pending)}
        if expanding_since is not None:
            tracing.happened(
                f"expand {type}",
                parent=traceparent,
                began=expanding_since,
                ended=publishing_since,
                attributes=attributes,
            )
        for delivery in pending:
            if delivery.event_id == id:
                tracing.happened(
                    f"publish {delivery.handler}",
                    parent=traceparent,
                    kind="producer",
                    began=publishing_since,
                    ended=ended,
                    attributes=attributes | {"delivery": delivery.id, "again": delivery.swept},
                    failed=failed,
                )
