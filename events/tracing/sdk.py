"""Spans by OpenTelemetry's SDK, configured by its own environment variables (OTEL_…).

Loaded before a process forks, so that its children share the memory; the thread that sends is
started by the first span of each process.
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

from events import tracing
from events.failures import name_of
from events.tracing import Kind, Value

# A collector that doesn't answer keeps no process from ending.
END_SECONDS = 3.0
# Celery ends its children without a word: what they had not sent by then is lost.
SEND_MILLISECONDS = 1000


class Recording:
    """A span in the making."""

    def __init__(self, span: trace.Span) -> None:
        self.span = span

    def tell(self, attributes: Mapping[str, Value], *, name: str = "") -> None:
        """Add attributes, and give it a better name."""
        self.span.set_attributes(attributes)
        if name:
            self.span.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark it as failed."""
        self.span.set_attribute("error.type", reason)
        self.span.set_status(Status(StatusCode.ERROR))


class Sdk:
    """One process's way to the collector."""

    def __init__(self, *, service: str, release: str) -> None:
        self.service, self.release = service, release

    @cached_property
    def tracer(self) -> trace.Tracer:
        """Start the thread that sends, in the process that asks first."""
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
        # Ways in which processes end: the interpreter's, its children's, and those of Celery's.
        atexit.register(self.end)
        multiprocessing.util.Finalize(None, self.end, exitpriority=0)
        billiard.util.Finalize(None, self.end, exitpriority=0)
        return self.provider.get_tracer("commonplace.events", self.release)

    @contextmanager
    def span(
        self,
        name: str,
        parent: str,
        kind: Kind,
        links: Sequence[str],
        attributes: Mapping[str, Value],
    ) -> Iterator[Recording]:
        """Make a span of the block."""
        span = self._start(name, parent, kind, links, attributes)
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

    def happened(
        self,
        name: str,
        parent: str,
        kind: Kind,
        links: Sequence[str],
        times: tuple[int, int],
        attributes: Mapping[str, Value],
        failed: str,
    ) -> None:
        """Make a span of what is past."""
        span = self._start(name, parent, kind, links, attributes, began=times[0])
        if failed:
            Recording(span).fail(failed)
        span.end(times[1])

    def _start(
        self,
        name: str,
        parent: str,
        kind: Kind,
        links: Sequence[str],
        attributes: Mapping[str, Value],
        *,
        began: int | None = None,
    ) -> trace.Span:
        return self.tracer.start_span(
            name,
            context=_context(parent),
            kind=SpanKind[kind.upper()],
            links=[Link(_remote(link)) for link in links],
            attributes=attributes,
            start_time=began,
        )

    def note(self, name: str, attributes: Mapping[str, Value], failed: str) -> None:
        """Note something in the present span."""
        span = trace.get_current_span()
        span.add_event(name, attributes)
        if failed:
            Recording(span).fail(failed)

    def end(self) -> None:
        """Send what was not sent yet, if that is soon done."""
        if "tracer" not in self.__dict__:
            return
        impatient = threading.Timer(END_SECONDS, self.exporter.shutdown)
        impatient.daemon = True
        impatient.start()
        self.provider.shutdown()
        impatient.cancel()


def _context(parent: str) -> context.Context:
    # From nothing but the parent: what a thread did before is no cause of this.
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
