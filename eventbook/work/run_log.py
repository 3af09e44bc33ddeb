"""Logs and traces of a handler's run: the fields of each line logged in it, and its spans.

The run is a span in the trace of its first sampled event. The traces of other events get a span
that links to it. At most MAX_TRACES traces get a span, however large the batch.
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
from eventbook.deliveries.states import Claimed
from eventbook.observe import tracing
from eventbook.observe.failures import name_of

logger = logging.getLogger(__name__)


class RunLog:
    """The log lines and spans of one run of a handler on a batch, from claim to settlement."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self._bound: Mapping[str, Token[Any]] = bind_contextvars(
            handler=handler.name, queue=handler.queue
        )
        # Runs with effects outside the database are logged at INFO; the others are too many.
        self._level = logging.DEBUG if handler.atomic else logging.INFO
        self._trace: Token[str] | None = None
        self._span: AbstractContextManager[tracing.Span] = tracing.NO_SPAN
        self._linked_traces: list[str] = []
        self._count = 0
        self._began = time.time_ns()
        self._postponed = False
        self._error = ""  # the class of the handler's exception

    def __enter__(self) -> RunLog:
        return self

    def started(self, batch: Sequence[Claimed]) -> None:
        """Log that a run on these deliveries has started, and open its span."""
        self._began, self._count = time.time_ns(), len(batch)
        fields = _fields(batch)
        self._bound = {**bind_contextvars(**fields), **self._bound}
        if len(batch) == 1:
            self._trace = tracing.traceparent.set(batch[0].traceparent)
        if tracing.is_on():
            self._open_span(batch, fields)
        logger.log(self._level, "delivery.started")

    def _open_span(self, batch: Sequence[Claimed], fields: dict[str, Any]) -> None:
        """Open the run's span in the first sampled trace, and keep the others for `__exit__`."""
        traces = [each.traceparent for each in batch if tracing.is_sampled(each.traceparent)]
        if not traces:
            return
        first, *self._linked_traces = list(dict.fromkeys(traces))[: tracing.MAX_TRACES]
        self._span = tracing.span(
            f"handle {self.handler.name}",
            parent=first,
            kind="consumer",
            links=self._linked_traces,
            attributes={"queue": self.handler.queue} | _attributes(fields),
        )
        self._span.__enter__()

    def postponed(self, seconds: float) -> None:
        """Note that a rate limit postponed the delivery by `seconds`."""
        self._postponed = True
        tracing.add_event("delivery.limited", {"seconds": seconds})

    def failed(self, error: Exception) -> None:
        """Note that the run failed; the new state of each delivery is logged where it is set."""
        self._error = name_of(error)
        tracing.add_event("batch.failed", {"count": self._count}, failed=self._error)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Log success, end the run's span, add linked spans to other traces, unbind log fields."""
        self._error = name_of(error) if error else self._error
        if not (self._error or self._postponed) and logger.isEnabledFor(self._level):
            seconds = (time.time_ns() - self._began) / 1e9
            logger.log(self._level, "delivery.done", extra={"seconds": round(seconds, 6)})
        run = tracing.traceparent.get()
        self._span.__exit__(kind, error, frames)
        for trace in self._linked_traces:
            tracing.record_span(
                f"handle {self.handler.name}",
                parent=trace,
                kind="consumer",
                links=[run],
                began=self._began,
                ended=time.time_ns(),
                attributes={"queue": self.handler.queue, "count": self._count},
                failed=self._error,
            )
        if self._trace is not None:
            tracing.traceparent.reset(self._trace)
        reset_contextvars(**self._bound)


def _fields(batch: Sequence[Claimed]) -> dict[str, Any]:
    """Return the log fields of a batch: details of a single delivery, or the count of several."""
    if len(batch) != 1:
        return {"count": len(batch)}
    (one,) = batch
    fields = {"delivery": one.id, "event_id": one.event_id, "attempt": one.attempts + 1}
    return fields | ({"trace_id": tracing.trace_id(one.traceparent)} if one.traceparent else {})


def _attributes(fields: dict[str, Any]) -> dict[str, tracing.Value]:
    """Return log fields as span attributes, which can't be UUIDs."""
    return {name: str(value) if name == "event_id" else value for name, value in fields.items()}
