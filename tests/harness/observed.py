"""Run the project's processes with full logs, traces and error reports, and collect those."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pytest_django import DjangoDbBlocker

from tests.harness.processes import ROOT, environment, free_port, kill_group, wait_for

PROGRAMS = {
    "web": "python -m server",
    "relay": "python manage.py relay",
    "worker": "python manage.py worker notifications feeds events",
}
READY = {"web": "web.started", "relay": "relay.started", "worker": "worker.started"}


@dataclass
class SpanRecord:
    """A span that the collector received, as plain Python values."""

    name: str
    process: str
    trace_id: str
    id: str
    parent: str
    kind: str
    failed: bool
    attributes: dict[str, Any]
    events: list[str]
    links: list[str]


@dataclass
class Collector:
    """An HTTP server that acts as OTLP collector, as Sentry, and as an outside service."""

    spans: list[SpanRecord] = field(default_factory=list)
    envelopes: list[bytes] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # of all traces and reports

    def __post_init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._request_handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.dsn = self.url.replace("http://", "http://public@") + "/1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()

    def of_trace(self, trace_id: str) -> list[SpanRecord]:
        """Return the received spans of one trace."""
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    def reports(self) -> list[dict[str, Any]]:
        """Return the error reports sent to Sentry."""
        items = [json.loads(lines[2]) for e in list(self.envelopes) if (lines := e.split(b"\n"))]
        return [item for item in items if "logentry" in item or "exception" in item]

    def store(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Store the content of one request, by its path."""
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                process = _plain(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    self.spans += [_span_record(span, process) for span in scope.spans]
            self.bodies.append(str(request).encode())
        elif path.endswith("/envelope/"):
            self.envelopes.append(body)
            self.bodies.append(body)
        else:
            self.calls.append({name.lower(): text for name, text in headers.items()})

    def _request_handler(self) -> type[BaseHTTPRequestHandler]:
        """Return the request handler class, bound to this server."""
        collector = self

        class RequestHandler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.store(self.path, dict(self.headers), body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Write no access log."""

        return RequestHandler


class Observed:
    """A web process, a relay and a worker, on the test database and their own broker database."""

    programs = PROGRAMS

    def __init__(self, folder: Path, more: Mapping[str, str]) -> None:
        self.folder, self.more, self.collector = folder, more, Collector()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._running = ExitStack()
        self._running.callback(self.collector.close)

    def start(self) -> None:
        """Start the processes, and wait until all are ready."""
        for name, command in PROGRAMS.items():
            self.launch(name, command, **self.more)
        for name, word in READY.items():
            wait_for(lambda: word in self.log(name), seconds=40, what=f"{name} is ready")  # noqa: B023

    def stop(self) -> None:
        """Stop all processes at once with SIGTERM, and wait for them."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        self._running.close()

    def launch(self, name: str, command: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a process with full logs and traces; `stop` ends it too."""
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [Path(sys.executable).parent / command.split(maxsplit=1)[0], *command.split()[1:]],
                cwd=ROOT,
                env=self.environment(name) | more,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._running.callback(end, process)
        self.processes[name] = process
        return process

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Suspend a process (SIGSTOP) during the block."""
        self.processes[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes[name].send_signal(signal.SIGCONT)

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment variables of a process."""
        return environment() | {
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            # Separate queues, which no other worker of the tests consumes.
            "REDIS_URL": settings.BROKER_URL.replace("virtual_host=0", "virtual_host=1"),
            "PROCESS_NAME": name,
            "RELEASE": "2026.1",
            "LOG_JSON": "1",
            "LOG_LEVEL": "DEBUG",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "SENTRY_DSN": self.collector.dsn,
            "OUTSIDE_URL": f"{self.collector.url}/outside",
            "ALLOWED_HOSTS": "127.0.0.1",
            "WEB_PORT": str(self.port),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def log(self, name: str) -> str:
        """Return the whole log of a process."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def lines(self, name: str, message: str = "") -> list[dict[str, Any]]:
        """Return the parsed lines of a process's log, optionally only those with one message."""
        made = [json.loads(line) for line in self.log(name).splitlines() if line]
        return [line for line in made if message in ("", line["event"])]


@contextmanager
def observing(folder: Path, blocker: DjangoDbBlocker, **more: str) -> Iterator[Observed]:
    """Run the processes for the tests of a module, and empty the database after they ended.

    Not after each test, because the running relay and worker lock the tables.
    """
    with blocker.unblock():
        running = Observed(folder, more)
        try:
            running.start()
            yield running
        finally:
            running.stop()
            call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


def end(process: subprocess.Popen[bytes]) -> None:
    """Wait until a stopping process has ended, and kill what is left of it after 15 seconds."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=15)
    kill_group(process)


def _span_record(span: Span, process: str) -> SpanRecord:
    """Convert a span from OTLP."""
    return SpanRecord(
        name=span.name,
        process=process,
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        failed=span.status.code == 2,
        attributes=_plain(span.attributes),
        events=[event.name for event in span.events],
        links=[link.span_id.hex() for link in span.links],
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}
