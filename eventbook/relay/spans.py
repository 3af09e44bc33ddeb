"""The relay's spans in the traces of the events that it relays."""

from __future__ import annotations

import time
from collections.abc import Sequence

from eventbook.database.statements import execute
from eventbook.deliveries.states import Pending
from eventbook.observe import tracing

MAX_CHECKED = 100  # deliveries of one step whose events are checked for a trace
# The last digit of a traceparent is odd if the trace is sampled (W3C Trace Context).
FIND = """
    SELECT id, type, traceparent FROM eventbook_event
    WHERE id = ANY(%s) AND traceparent ~ '[13579bdf]$' LIMIT %s
"""


def record_spans(
    pending: Sequence[Pending], expanding_since: int | None, publishing_since: int, failed: str = ""
) -> None:
    """Add spans for the expansion and the publishing of these deliveries to their events' traces.

    Times are in nanoseconds since 1970. Publishing ends now; without `expanding_since` there was no
    expansion. `failed` is the class of the exception, if publishing failed. At most MAX_TRACES
    events get spans. Call this after the work is done, since it needs a query.
    """
    if not tracing.is_on() or not pending:
        return
    ended = time.time_ns()
    wanted = list(dict.fromkeys(delivery.event_id for delivery in pending[:MAX_CHECKED]))
    for id, type, traceparent in execute(FIND, [wanted, tracing.MAX_TRACES]).rows:
        attributes: dict[str, tracing.Value] = {"event_id": str(id), "count": len(pending)}
        if expanding_since is not None:
            tracing.record_span(
                f"expand {type}",
                parent=traceparent,
                began=expanding_since,
                ended=publishing_since,
                attributes=attributes,
            )
        for delivery in pending:
            if delivery.event_id == id:
                tracing.record_span(
                    f"publish {delivery.handler}",
                    parent=traceparent,
                    kind="producer",
                    began=publishing_since,
                    ended=ended,
                    attributes=attributes | {"delivery": delivery.id, "again": delivery.swept},
                    failed=failed,
                )
