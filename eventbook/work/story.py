"""Logs and traces of a handler's run: the fields of each line logged in it, and its spans.

The run is a span in the trace of its first sampled event. The traces of other events get a span
that links to it; their number is limited, so that a large batch costs no more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import Token
from types import TracebackType
from typing import Any

from structlog.contextvars import bind_contextvars, reset_contextvars

from eventbook.declare.handlers import Handler
from eventbook.observe import tracing
from eventbook.observe.failures import name_of

logger = logging.getLogger(__name__)

# Positions in a row of deliveries.claim.
DELIVERY, EVENT, ATTEMPTS, TRACEPARENT = 0, 1, 8, 9

Row = tuple[Any, ...]


class Story:
    """The logs and spans of one run of a handler on a batch, from claim to settlement."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self._bound: Mapping[str, Token[Any]] = bind_contextvars(
            handler=handler.name, queue=handler.queue
        )
        # Calls outside are logged; atomic handlers' batches are too many, so only at DEBUG.
        self._level = logging.DEBUG if handler.atomic else logging.INFO
        self._trace: Token[str] | None = None
        self._span: AbstractContextManager[tracing.Span] = tracing.NO_SPAN
        self._others: list[str] = []
        self._count = 0
        self._began = 0
        self._failed = ""

    def __enter__(self) -> Story:
        return self

    def begins(self, rows: Sequence[Row]) -> None:
        """Log that a run on these claimed deliveries begins, and open its span."""
        self._began, self._count = time.time_ns(), len(rows)
        about = _about(rows)
        self._bound = {**bind_contextvars(**about), **self._bound}
        if len(rows) == 1:
            self._trace = tracing.traceparent.set(rows[0][TRACEPARENT])
        if tracing.is_on():
            self._begin_span(rows, about)
        logger.log(self._level, "delivery.started")

    def _begin_span(self, rows: Sequence[Row], about: dict[str, Any]) -> None:
        """Open the run's span in the first sampled trace, and keep the others for `__exit__`."""
        sampled = [row[TRACEPARENT] for row in rows if tracing.is_sampled(row[TRACEPARENT])]
        if not sampled:
            return
        first, *self._others = list(dict.fromkeys(sampled))[: tracing.TRACED]
        self._span = tracing.span(
            f"handle {self.handler.name}",
            parent=first,
            kind="consumer",
            links=self._others,
            attributes={"queue": self.handler.queue} | _plain(about),
        )
        self._span.__enter__()

    def waits(self, seconds: float) -> None:
        """Note that a rate limit postponed the delivery by `seconds`."""
        self._failed = "limited"
        tracing.add_event("delivery.limited", {"seconds": seconds})

    def fails(self, error: Exception) -> None:
        """Note that the run failed; the outcome of each delivery is noted elsewhere."""
        self._failed = name_of(error)
        tracing.add_event("batch.failed", {"count": self._count}, failed=self._failed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Log success, end the run's span, add linked spans to other traces, unbind log fields."""
        if error is None and not self._failed and logger.isEnabledFor(self._level):
            seconds = (time.time_ns() - self._began) / 1e9
            logger.log(self._level, "delivery.done", extra={"seconds": round(seconds, 6)})
        run = tracing.traceparent.get()
        self._span.__exit__(kind, error, frames)
        for other in self._others:
            tracing.record_span(
                f"handle {self.handler.name}",
                parent=other,
                kind="consumer",
                links=[run],
                began=self._began,
                ended=time.time_ns(),
                attributes={"queue": self.handler.queue, "count": self._count},
                failed=name_of(error) if error else self._failed,
            )
        if self._trace is not None:
            tracing.traceparent.reset(self._trace)
        reset_contextvars(**self._bound)


def _about(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the log fields of a batch: details of a single delivery, or the count of several."""
    if len(rows) != 1:
        return {"count": len(rows)}
    (row,) = rows
    about = {"delivery": row[DELIVERY], "event_id": row[EVENT], "attempt": row[ATTEMPTS] + 1}
    return about | ({"trace_id": tracing.trace_id(row[TRACEPARENT])} if row[TRACEPARENT] else {})


def _plain(about: dict[str, Any]) -> dict[str, tracing.Value]:
    """Return log fields as span attributes, which can't be UUIDs."""
    return {name: str(value) if name == "event_id" else value for name, value in about.items()}
