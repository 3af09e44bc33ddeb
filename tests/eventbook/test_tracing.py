from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker

from eventbook.models import Event
from eventbook.observe import tracing
from tests.harness.observed import Observed, SpanRecord, observing
from tests.harness.processes import ROOT, wait_for

CALLER = "b7ad6b7169203331"
HANDLED = "handle probe.write"


@pytest.fixture(scope="module")
def observed(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Observed]:
    limits = {"FEEDS_GROUP_LIMIT": "60", "FEEDS_GROUP_SECONDS": "20"}
    with observing(tmp_path_factory.mktemp("observed"), django_db_blocker, **limits) as running:
        yield running


def test_one_trace_from_the_request_to_the_call_outside(
    observed: Observed,
) -> None:
    trace = send(observed, "key=outside&token=x")

    spans = {span.name: span for span in wait_for_spans(observed, trace, 8)}

    record, outside = spans["record probe.sent"], spans["POST outside"]
    assert spans["GET probe/"].parent == CALLER
    assert record.parent == spans["GET probe/"].id
    assert {name for name, span in spans.items() if span.parent == record.id} == {
        "expand probe.sent", "publish probe.call", "publish probe.write",
        "handle probe.call", "handle probe.write",
    }  # fmt: skip
    assert outside.parent == spans["handle probe.call"].id
    # The service outside is told the span of the call, and continues the trace.
    (call,) = observed.collector.calls
    assert call["traceparent"] == f"00-{trace}-{outside.id}-01"
    assert {span.process for span in spans.values()} == {"web", "relay", "worker"}
    assert not any(span.failed for span in spans.values())


def test_each_attempt_is_a_span_that_says_how_it_ended(
    observed: Observed,
) -> None:
    trace = send(observed, "key=poison&behaviour=raise")

    spans = wait_for_spans(observed, trace, 18)

    attempts = [span for span in spans if span.name == "handle probe.write"]
    assert [span.attributes["attempt"] for span in attempts] == [1, 2, 3]
    assert all(span.failed for span in attempts)
    assert {span.attributes["error.type"] for span in attempts} == {
        "tests.probe.behaviours.Refused"
    }
    assert [span.events[-1] for span in attempts] == [
        "delivery.retry", "delivery.retry", "delivery.dead",
    ]  # fmt: skip


def test_a_batch_is_in_the_traces_of_its_events_linked_to_each_other(
    observed: Observed,
) -> None:
    with observed.frozen("relay"):
        traces = [send(observed, f"key=batch-{number}") for number in range(3)]

    runs = [
        next(span for span in wait_for_spans(observed, trace, 8) if span.name == HANDLED)
        for trace in traces
    ]

    run, *others = sorted(runs, key=lambda span: -len(span.links))
    assert [span.attributes["count"] for span in runs] == [3, 3, 3]
    assert len(run.links) == 2
    assert [span.links for span in others] == [[run.id], [run.id]]


def test_a_backlog_is_told_of_in_a_few_spans(observed: Observed) -> None:
    trace = send(observed, "key=backlog&count=60")

    wait_for(lambda: names(observed, trace)["handle probe.call"] == 60, seconds=20, what="all done")

    # The request recorded sixty events: the relay tells of ten, and a batch of itself.
    assert names(observed, trace)["expand probe.sent"] == tracing.MAX_TRACES
    assert names(observed, trace)["publish probe.write"] == tracing.MAX_TRACES
    assert names(observed, trace)[HANDLED] <= 2


def test_a_rate_limit_that_puts_a_delivery_off_is_in_the_trace(observed: Observed) -> None:
    trace = send(observed, "key=limited&count=61")

    def put_off() -> list[SpanRecord]:
        spans = [s for s in observed.collector.of_trace(trace) if s.name == "handle probe.call"]
        return [span for span in spans if span.events == ["delivery.limited"]]

    wait_for(put_off, seconds=20, what="of 61 calls one is put off")

    assert len(put_off()) == 1
    assert not put_off()[0].failed


def test_a_trace_that_its_caller_does_not_keep_costs_nothing(
    observed: Observed,
) -> None:
    trace = send(observed, "key=unsampled", sampled=False)

    wait_for(
        lambda: [line for line in observed.lines("worker", "delivery.done") if of(line, trace)],
        seconds=10,
        what="it is delivered, in its trace",
    )
    assert observed.collector.of_trace(trace) == []


def test_a_request_without_a_trace_begins_one(observed: Observed) -> None:
    httpx.get(f"{observed.url}/probe/?key=root").raise_for_status()
    traceparent = Event.objects.get(data__key="root").traceparent

    spans = wait_for_spans(observed, tracing.trace_id(traceparent), 8)

    assert [span.name for span in spans if not span.parent] == ["GET probe/"]
    assert tracing.is_sampled(traceparent)


def test_without_a_trace_all_that_comes_of_a_request_has_one_id(
    transactional_db: None, client: Client
) -> None:
    answer = client.post(
        "/api/v1/auth/register/",
        {"username": "alice", "email": "alice@example.org", "password": "reads-a-lot-of-it"},
        content_type="application/json",
        headers={"X-Request-ID": "caller-7"},
    )

    assert (answer.status_code, answer["X-Request-ID"]) == (201, "caller-7")
    (recorded,) = Event.objects.values_list("traceparent", flat=True)
    assert tracing.valid_traceparent(recorded)
    assert recorded.endswith("-00")
    assert tracing.traceparent.get() == ""


@pytest.mark.parametrize("header", ["", "a b", "x" * 65, "alice@example.org", "line\nbreak"])
def test_a_request_id_that_could_be_anything_is_replaced(
    transactional_db: None, client: Client, header: str
) -> None:
    answer = client.get("/healthz", headers={"X-Request-ID": header})

    assert len(answer["X-Request-ID"]) == 32
    assert answer["X-Request-ID"] != header


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    ],
)
def test_what_is_no_traceparent_is_not_taken(header: str) -> None:
    assert tracing.valid_traceparent(header) == ""
    assert tracing.valid_traceparent(tracing.new_traceparent())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
    ],
)
def test_traces_are_switched_on_by_opentelemetrys_own_variables(
    environment: dict[str, str], expected: bool
) -> None:
    assert tracing._turned_on_in(environment) is expected


def test_without_an_exporter_neither_it_nor_sentry_is_loaded() -> None:
    script = (
        "import django, sys; django.setup();"
        "import server.wsgi, eventbook.relay.relay, kombu.transport.redis;"
        "print([name for name in sys.modules if name.startswith("
        "('opentelemetry.exporter', 'opentelemetry.sdk.trace', 'sentry_sdk', 'google'))])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def send(observed: Observed, query: str, *, sampled: bool = True) -> str:
    """Request a probe as a client with its own trace, and return the trace's id."""
    trace = tracing.trace_id(tracing.new_traceparent())
    header = f"00-{trace}-{CALLER}-{'01' if sampled else '00'}"
    answer = httpx.get(f"{observed.url}/probe/?{query}", headers={"traceparent": header})
    assert answer.status_code == 201
    return trace


def wait_for_spans(observed: Observed, trace: str, count: int) -> list[SpanRecord]:
    """Wait for exactly this many spans of a trace, and return them."""
    wait_for(
        lambda: len(observed.collector.of_trace(trace)) >= count,
        seconds=20,
        what=f"{count} spans of a trace",
    )
    spans = observed.collector.of_trace(trace)
    assert len(spans) == count, names(observed, trace)
    return sorted(spans, key=lambda span: int(span.attributes.get("attempt", 0)))


def names(observed: Observed, trace: str) -> Counter[str]:
    return Counter(span.name for span in observed.collector.of_trace(trace))


def of(line: dict[str, Any], trace: str) -> bool:
    return bool(line.get("trace_id") == trace)
