"""Spans by OpenTelemetry's SDK, configured by its own environment variables (OTEL_…).

This module is loaded before a process forks, so that its children share the memory. The first span
of each process starts the thread that sends spans.
"""

from __future__ import annotations

import atexit
import multiprocessing.util
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

import billiard.util
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from eventbook.observe import tracing
from eventbook.observe.failures import name_of
from eventbook.observe.tracing import Kind, Value

# How long a process that ends waits for the collector.
END_SECONDS = 3.0
# The interval between two sends. It is short because Celery kills its child processes: spans that
# they have not sent are lost.
SEND_MILLISECONDS = 1000


class Recording:
    """A span that has begun, by OpenTelemetry."""

    def __init__(self, span: trace.Span) -> None:
        self.span = span

    def set_attributes(self, attributes: Mapping[str, Value], *, name: str = "") -> None:
        """Add attributes to the span, and rename it if a name is given."""
        self.span.set_attributes(attributes)
        if name:
            self.span.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark the span as failed."""
        self.span.set_attribute("error.type", reason)
        self.span.set_status(Status(StatusCode.ERROR))


class Sdk:
    """The connection of one process to the collector."""

    def __init__(self, *, service: str, release: str) -> None:
        self.service, self.release = service, release

    @cached_property
    def tracer(self) -> trace.Tracer:
        """Return the tracer; the first access starts the thread that sends, in this process."""
        ours = {
            "service.name": self.service,
            "service.instance.id": f"{self.service}-{os.getpid()}",
        }
        if self.release:
            ours["service.version"] = self.release
        self.exporter = OTLPSpanExporter()
        self.provider = TracerProvider(resource=Resource.create(ours), shutdown_on_exit=False)
        delay = float(os.environ.get("OTEL_BSP_SCHEDULE_DELAY", SEND_MILLISECONDS))
        self.provider.add_span_processor(
            BatchSpanProcessor(self.exporter, schedule_delay_millis=delay)
        )
        # Three kinds of processes end in three ways: the interpreter, its children by
        # multiprocessing, and Celery's by billiard.
        atexit.register(self.end)
        multiprocessing.util.Finalize(None, self.end, exitpriority=0)
        billiard.util.Finalize(None, self.end, exitpriority=0)
        return self.provider.get_tracer("commonplace.events", self.release)

    def start(
        self,
        name: str,
        parent: str,
        kind: Kind,
        links: Sequence[str],
        attributes: Mapping[str, Value],
        *,
        began: int | None = None,
    ) -> trace.Span:
        """Return a new span, which began now or at `began` (nanoseconds since 1970)."""
        return self.tracer.start_span(
            name,
            context=_context(parent),
            kind=SpanKind[kind.upper()],
            links=[Link(_remote(link)) for link in links],
            attributes=attributes,
            start_time=began,
        )

    @contextmanager
    def recording(self, span: trace.Span) -> Iterator[Recording]:
        """Make a span the current one during the block, and end it after the block."""
        recording = Recording(span)
        token = tracing.traceparent.set(_traceparent(span.get_span_context()))
        attached = context.attach(trace.set_span_in_context(span))
        try:
            yield recording
        except BaseException as error:
            recording.fail(name_of(error))
            raise
        finally:
            context.detach(attached)
            tracing.traceparent.reset(token)
            span.end()

    def finish(self, span: trace.Span, ended: int, failed: str) -> None:
        """End a span at `ended` (nanoseconds since 1970), as failed if there is a reason."""
        if failed:
            Recording(span).fail(failed)
        span.end(ended)

    def add_event(self, name: str, attributes: Mapping[str, Value], failed: str) -> None:
        """Add an event to the current span; with a reason in `failed`, mark the span as failed."""
        span = trace.get_current_span()
        span.add_event(name, attributes)
        if failed:
            Recording(span).fail(failed)

    def end(self) -> None:
        """Send the remaining spans, or give up after END_SECONDS."""
        if "tracer" not in self.__dict__:
            return
        timeout = threading.Timer(END_SECONDS, self.exporter.shutdown)
        timeout.daemon = True
        timeout.start()
        self.provider.shutdown()
        timeout.cancel()


def _context(parent: str) -> context.Context:
    # Only the parent counts: the thread's current span may belong to earlier work.
    if not parent:
        return context.Context()
    return trace.set_span_in_context(trace.NonRecordingSpan(_remote(parent)), context.Context())


def _remote(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def _traceparent(span: SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
