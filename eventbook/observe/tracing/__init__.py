"""Traces: the trace that a thread works for, and the spans that it adds to the trace.

A trace is identified by its W3C `traceparent`, which is stored with every event. Without an
exporter in the environment there are no spans, and sdk.py, which uses OpenTelemetry, is not loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from random import getrandbits
from typing import TYPE_CHECKING, Literal, Protocol

from django.core.exceptions import ImproperlyConfigured

from eventbook.conf import conf

if TYPE_CHECKING:
    from eventbook.observe.tracing.sdk import Sdk

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool

# https://www.w3.org/TR/trace-context/#traceparent-header
VALID_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

# The environment variables that name a collector.
COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

# At most this many traces get spans of one batch or one step of the relay: in a backlog nobody
# follows single events, so spans for all would be a waste.
MAX_TRACES = 10

# The trace that this thread works for: the caller's, or that of the event being processed.
traceparent: ContextVar[str] = ContextVar("traceparent", default="")
_sdk: Sdk | None = None


class Span(Protocol):
    """A span that has begun."""

    def set_attributes(self, attributes: Mapping[str, Value], *, name: str = "") -> None:
        """Add attributes to the span, and rename it if a name is given."""

    def fail(self, reason: str) -> None:
        """Mark the span as failed; the reason is an exception's class or another constant."""


class NoSpan:
    """A span that records nothing, for traces that are off or not sampled."""

    def set_attributes(self, attributes: Mapping[str, Value], *, name: str = "") -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


NO_SPAN: AbstractContextManager[Span] = nullcontext(NoSpan())


def prepare() -> None:
    """Load OpenTelemetry if an exporter is set; call it once in a process, before it forks."""
    global _sdk  # noqa: PLW0603 - a process has one, or none
    if _sdk is None and _turned_on_in(os.environ):
        from eventbook.observe.tracing.sdk import Sdk

        service = os.environ.get("OTEL_SERVICE_NAME") or conf.PROCESS_NAME
        _sdk = Sdk(service=service, release=conf.RELEASE)


def _turned_on_in(environment: Mapping[str, str]) -> bool:
    """Return whether the environment turns traces on; raise ImproperlyConfigured if invalid."""
    # By OpenTelemetry's own variables; its SDK reads the rest of them by itself.
    named = any(environment.get(name) for name in COLLECTORS)
    exporter = environment.get("OTEL_TRACES_EXPORTER") or ("otlp" if named else "none")
    if exporter not in ("otlp", "none"):
        raise ImproperlyConfigured(f"OTEL_TRACES_EXPORTER={exporter}: set it to otlp or none.")
    return exporter == "otlp" and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"


def is_on() -> bool:
    """Return whether this process records spans."""
    return _sdk is not None


def span(
    name: str,
    *,
    parent: str = "",
    kind: Kind = "internal",
    links: Sequence[str] = (),
    attributes: Mapping[str, Value] | None = None,
) -> AbstractContextManager[Span]:
    """Record the block as a span, in the trace of `parent` or else the current one.

    Whether a trace is sampled is decided where it begins; in others, a span costs nothing. `links`
    are traceparents of other traces that the block works for. Attributes must be ids, numbers or
    constants. Of an exception, only the class is recorded.
    """
    if _sdk is None:
        return NO_SPAN
    parent = parent or traceparent.get()
    if parent and kind != "server" and not is_sampled(parent):
        return NO_SPAN
    return _sdk.recording(_sdk.start(name, parent, kind, links, attributes or {}))


def record_span(
    name: str,
    *,
    parent: str,
    began: int,
    ended: int,
    kind: Kind = "internal",
    links: Sequence[str] = (),
    attributes: Mapping[str, Value] | None = None,
    failed: str = "",
) -> None:
    """Record a span that is over; its times are nanoseconds since 1970."""
    if _sdk is not None:
        span = _sdk.start(name, parent, kind, links, attributes or {}, began=began)
        _sdk.finish(span, ended, failed)


def add_event(
    name: str, attributes: Mapping[str, Value] | None = None, *, failed: str = ""
) -> None:
    """Add an event to the current span; with a reason in `failed`, also mark the span as failed."""
    if _sdk is not None:
        _sdk.add_event(name, attributes or {}, failed)


def headers() -> dict[str, str]:
    """Return the headers with which an outside service continues the current trace."""
    present = traceparent.get()
    return {"traceparent": present} if present else {}


def end() -> None:
    """Send the remaining spans, when the process ends."""
    if _sdk is not None:
        _sdk.end()


def valid_traceparent(header: str) -> str:
    """Return the value of a caller's header if it is a valid traceparent, else ""."""
    return header if VALID_TRACEPARENT.fullmatch(header) else ""


def new_traceparent() -> str:
    """Return the traceparent of a new trace that is not sampled: it has an id, but no spans."""
    return f"00-{getrandbits(128) or 1:032x}-{getrandbits(64) or 1:016x}-00"


def is_sampled(parent: str) -> bool:
    """Return whether the spans of a trace are recorded."""
    return parent[-1:] in "13579bdf" and parent != ""


def trace_id(parent: str) -> str:
    """Return the trace id of a traceparent."""
    return parent[3:35]
