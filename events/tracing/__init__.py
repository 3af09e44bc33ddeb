"""Traces: which trace a process is working for, and the spans that it adds to it.

A trace goes by its W3C `traceparent`, which is stored with every event. With no exporter named in
the environment there are no spans, and nothing of OpenTelemetry is imported: sdk.py alone knows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from random import getrandbits
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from events.tracing.sdk import Sdk

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool

# https://www.w3.org/TR/trace-context/#traceparent-header
WELL_FORMED = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

# Where the environment names a collector.
COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

# What this thread works for: the caller's trace, or that of the event in hand.
traceparent: ContextVar[str] = ContextVar("traceparent", default="")
_sdk: Sdk | None = None


class Span(Protocol):
    """A span that has begun."""

    def tell(self, attributes: Mapping[str, Value], *, name: str = "") -> None:
        """Add attributes, and give it a better name."""

    def fail(self, reason: str) -> None:
        """Mark it as failed; the reason is a class, or another constant."""


class _Nothing:
    """What stands in for a span that nobody asked for."""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        pass

    def tell(self, attributes: Mapping[str, Value], *, name: str = "") -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


NOTHING = _Nothing()


def prepare() -> None:
    """Load what traces need, if an exporter is named; once a process, before it forks."""
    global _sdk  # noqa: PLW0603 - a process has one, or none
    if _sdk is None and _are_wanted(os.environ):
        from events.tracing.sdk import Sdk

        service = os.environ.get("OTEL_SERVICE_NAME") or settings.PROCESS_NAME
        _sdk = Sdk(service=service, release=settings.RELEASE)


def _are_wanted(environment: Mapping[str, str]) -> bool:
    # As OpenTelemetry's own variables say, which its SDK reads by itself.
    named = any(environment.get(name) for name in COLLECTORS)
    exporter = environment.get("OTEL_TRACES_EXPORTER") or ("otlp" if named else "none")
    if exporter not in ("otlp", "none"):
        raise ImproperlyConfigured(f"OTEL_TRACES_EXPORTER={exporter}: set it to otlp, or to none.")
    return exporter == "otlp" and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"


def is_on() -> bool:
    """Return whether there are spans at all."""
    return _sdk is not None


def span(
    name: str,
    *,
    parent: str = "",
    kind: Kind = "internal",
    links: Sequence[str] = (),
    attributes: Mapping[str, Value] | None = None,
) -> AbstractContextManager[Span]:
    """Make a span of the block, in the parent's trace or else the present one.

    Whether a trace is kept is decided where it begins: what is in a trace that isn't costs nothing.
    Links are traceparents of other traces that the block works for too. Say what happened in
    attributes of ids, numbers and constants; an exception leaves its class alone.
    """
    if _sdk is None:
        return NOTHING
    parent = parent or traceparent.get()
    if parent and kind != "server" and not is_sampled(parent):
        return NOTHING
    return _sdk.span(name, parent, kind, links, attributes or {})


def happened(
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
    """Make a span of what is past: its times are in nanoseconds since 1970."""
    if _sdk is not None:
        _sdk.happened(name, parent, kind, links, (began, ended), attributes or {}, failed)


def note(name: str, attributes: Mapping[str, Value] | None = None, *, failed: str = "") -> None:
    """Note in the present span that something happened, and that it failed by that."""
    if _sdk is not None:
        _sdk.note(name, attributes or {}, failed)


def headers() -> dict[str, str]:
    """Return the headers by which an outside service continues the present trace."""
    present = traceparent.get()
    return {"traceparent": present} if present else {}


def end() -> None:
    """Send what was not sent yet, when the process ends."""
    if _sdk is not None:
        _sdk.end()


def well_formed(header: str) -> str:
    """Return a caller's traceparent, or nothing if it is none."""
    return header if WELL_FORMED.fullmatch(header) else ""


def new_traceparent() -> str:
    """Begin a trace of which nothing is kept but its id."""
    return f"00-{getrandbits(128) or 1:032x}-{getrandbits(64) or 1:016x}-00"


def is_sampled(parent: str) -> bool:
    """Return whether the spans of a trace are kept."""
    return parent[-1:] in "13579bdf" and parent != ""


def trace_id(parent: str) -> str:
    """Return the id by which a trace is found."""
    return parent[3:35]
