"""Metrics: every process adds to them, all answer the same, and nobody's input names a label."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics

from eventbook.declare.bridges import Bridge
from eventbook.declare.handlers import handlers
from eventbook.deliveries.states import CLAIM
from eventbook.models import Delivery, Event, Measure, OutboxEntry, Priority, Process
from eventbook.observe import counters
from eventbook.observe.families import FAMILIES
from eventbook.operate.metrics import collector, snapshot
from eventbook.relay.relay import Relay
from eventbook.testing import without_consumers
from eventbook.work import leases
from eventbook.work.execution import run_deliveries
from eventbook.work.leases import FLUSH_AFTER_SECONDS
from tests.conftest import Drain
from tests.harness.deliveries import expand_only
from tests.harness.processes import Workers, end, killed_on_failure, launch, wait_for
from tests.harness.scraping import Samples, scrape, value
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)

WRITE = {"handler": "probe.write", "queue": "notifications"}


def outcomes(samples: Samples, outcome: str) -> float:
    return value(samples, "deliveries_total", **WRITE, outcome=outcome)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that leases need, left by earlier tests, doesn't flush what these tests count."""
    monkeypatch.setattr(leases, "counters", Idle())


class Idle:
    """A process's counts while it has none."""

    FLUSH_SECONDS = counters.FLUSH_SECONDS

    def flush(self, **_: Any) -> None:
        """Do nothing."""

    def pending(self) -> bool:
        """Return False: nothing was counted."""
        return False


@pytest.fixture
def nothing_left(drain: Drain) -> None:
    """The workers of the session have written what they counted in earlier tests."""
    Measure.objects.all().delete()
    last = [time.monotonic(), 0.0]

    def unchanged() -> bool:
        total = float(sum(Measure.objects.values_list("value", flat=True)))
        if total != last[1]:
            last[:] = [time.monotonic(), total]
        return time.monotonic() > last[0] + FLUSH_AFTER_SECONDS + 0.2

    wait_for(unchanged, seconds=10, what="nothing is left to be counted")
    Measure.objects.all().delete()


def test_what_many_processes_do_is_counted_exactly_once(nothing_left: None, drain: Drain) -> None:
    for number in range(20):
        send(f"good-{number}", f"more-{number}")
    send("bad", behaviour="raise")
    drain()
    counters.flush()

    def counted() -> bool:
        samples = scrape()
        return [outcomes(samples, each) for each in ("done", "retry", "dead")] == [40, 2, 1]

    wait_for(counted, seconds=6, what="the workers wrote it down")
    samples = scrape()
    old = {"queue": "notifications", "le": "10800.0"}
    assert value(samples, "events_recorded_total", type="probe.sent") == 41
    for name in ("delivery_seconds", "queue_wait_seconds"):
        assert value(samples, f"{name}_count", queue="notifications") == 40
        assert value(samples, f"{name}_bucket", **old) == 40
    assert value(samples, "handler_batch_size_sum", handler="probe.write") >= 43
    assert value(samples, "handler_seconds_sum", **WRITE) > 0
    assert value(samples, "messages_published_total", queue="notifications") > 0
    assert value(samples, "dead_letters", queue="notifications") == 1


def test_a_wait_is_measured_from_the_commit_and_a_run_from_its_beginning() -> None:
    send("waited")
    expand_only()
    Delivery.objects.update(recorded_at="2020-01-01T00:00:00Z")
    before = scrape()

    run_deliveries(handlers["probe.write"], list(Delivery.objects.values_list("id", flat=True)))
    counters.flush()
    after = scrape()

    def added(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert value(before, "queue_oldest_seconds", queue="notifications") > 1e8
    for name in ("delivery_seconds", "queue_wait_seconds"):
        assert added(f"{name}_sum", queue="notifications") > 1e8
    assert added("handler_seconds_sum", **WRITE) < 10


def test_figures_only_grow_and_buckets_add_up(drain: Drain) -> None:
    send("first")
    drain()
    before = scrape()
    send("second")
    drain()
    done = outcomes(before, "done") + 1
    wait_for(lambda: outcomes(scrape(), "done") >= done, seconds=6, what="it is counted")
    after = scrape()

    counted = [key for key in before if key[0].endswith(("_total", "_bucket", "_count", "_sum"))]
    assert len(counted) > 100
    assert [key for key in counted if after[key] < before[key]] == []
    ladders: dict[object, list[tuple[float, float]]] = defaultdict(list)
    for (name, labels), figure in after.items():
        if name.endswith("_bucket"):
            bound = float(dict(labels)["le"])
            rest = frozenset(pair for pair in labels if pair[0] != "le")
            ladders[name.removesuffix("_bucket"), rest].append((bound, figure))
    for (name, rest), ladder in ladders.items():  # type: ignore[misc]
        figures = [figure for _, figure in sorted(ladder)]
        assert figures == sorted(figures)
        assert figures[-1] == after[f"{name}_count", rest]


def test_both_formats_are_read_by_their_parsers(drain: Drain, settings: Any) -> None:
    settings.BRIDGES = (Bridge(name="nats", url="nats://nats.example"),)
    text, kind = snapshot.exposition("application/openmetrics-text; version=1.0.0")

    names = {family.name for family in openmetrics.text_string_to_metric_families(text.decode())}  # type: ignore[no-untyped-call]

    assert "openmetrics" in kind
    counted = {name for name, family in FAMILIES.items() if family.combinations()}
    assert {name.removesuffix("_total") for name in counted} < names
    plain = Client().get("/metrics")
    assert plain["Content-Type"].startswith("text/plain")
    assert b"# TYPE delivery_seconds histogram" in plain.content


def test_a_thousand_hostile_inputs_add_no_label(drain: Drain) -> None:
    before = set(scrape())
    strange = [f'x{number}"}} 1\n{{' for number in range(1_000)]
    Event.objects.bulk_create(
        [Event(type=text, version=1, subject=text, data={}, priority=5) for text in strange]
    )
    OutboxEntry.objects.bulk_create(
        OutboxEntry(event=event, type=event.type, priority=Priority.INTERACTIVE)
        for event in Event.objects.all()
    )
    Measure.objects.bulk_create(
        Measure(metric="deliveries_total", labels=f'{{"queue": "{number}"}}', value=1)
        for number in range(100)
    )

    drain()
    # After the drain: the rows of processes that were not seen lately don't count.
    for number, text in enumerate(strange[:100]):
        Process.objects.create(group=text, host=text, pid=number, release=text, queues=[text])
        Client().get("/metrics", {"name": text}, headers={"Accept": text.split()[0]})
    counters.flush()
    samples = scrape()

    assert value(samples, "events_recorded_total", type="other") == 1_000
    # The workers of the tests serve many queues, and so are of no known group either.
    assert value(samples, "processes", group="other") in (100, 101)
    added = {key for key in samples if key not in before}
    # The row of the tests' worker may have been there before.
    assert {labels for _, labels in added} <= {frozenset({("group", "other")})}


def test_flushes_of_many_at_once_add_up() -> None:
    def work() -> None:
        try:
            for _ in range(50):
                execute_flush()
        finally:
            connection.close()

    def execute_flush() -> None:
        for queue in ("feeds", "events", "notifications"):
            counters.count("messages_published_total", queue=queue)
            counters.observe("delivery_seconds", 0.02, 2, queue=queue)
        counters.flush()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    samples = scrape()
    assert value(samples, "messages_published_total", queue="feeds") == 300
    assert value(samples, "delivery_seconds_bucket", queue="events", le="0.02") == 600
    assert value(samples, "delivery_seconds_sum", queue="events") == pytest.approx(12)


def test_a_flush_that_fails_keeps_its_counts_for_the_next() -> None:
    counters.count("deliveries_swept_total", 3)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [(pid,)] = cursor.fetchall()
    terminate(pid)

    counters.flush()
    assert counters.pending()
    counters.flush()

    assert value(scrape(), "deliveries_swept_total") == 3


def terminate(pid: int) -> None:
    """End our database connection from another one."""

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_begins_with_nothing_counted_and_no_lock_held() -> None:
    counters.count("deliveries_swept_total", 3)

    with counters._memory.lock:
        child = os.fork()
        if not child:
            inherited = counters.pending()
            counters.count("deliveries_swept_total")
            os._exit(inherited or not counters.pending())

    assert os.waitpid(child, 0)[1] == 0
    assert counters.pending()


def test_batches_of_one_second_share_one_flush() -> None:
    for number in range(5):
        send(f"batch-{number}")
    expand_only()
    ids = list(Delivery.objects.filter(handler="probe.write").values_list("id", flat=True))
    began = time.monotonic()

    statements: list[str] = []

    def note(run: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return run(sql, *rest)

    with connection.execute_wrapper(note):
        for id in ids:
            run_deliveries(handlers["probe.write"], [id])

    assert time.monotonic() < began + counters.FLUSH_SECONDS, "too slow to tell anything"
    assert statements.count(counters.FLUSH) == 1
    assert statements.count(CLAIM) == 5


def test_a_worker_that_stops_in_peace_leaves_no_count_behind(
    workers: Workers, transactional_db: None, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with without_consumers("notifications"):
        worker = launch("worker", "notifications", log=log)
        with killed_on_failure(worker):
            wait_for(
                lambda: "worker.started" in log.read_text(), seconds=30, what="the worker is ready"
            )
            before = outcomes(scrape(), "done")
            relay = Relay()
            for number in range(8):
                send(f"peace-{number}")
                relay.step()
            done = Delivery.objects.filter(handler="probe.write", state="done")
            wait_for(
                lambda: relay.step() == 0 and done.count() == 8, seconds=20, what="all are done"
            )

        end(worker)

    assert outcomes(scrape(), "done") == before + 8


def test_after_an_error_no_scrape_gets_only_a_part_of_the_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing() -> Iterator[Metric]:
        raise ZeroDivisionError

    monkeypatch.setattr(snapshot, "READERS", (*collector.READERS, failing))
    cache = snapshot.Snapshot()

    with pytest.raises(ZeroDivisionError):
        cache.collect()
    with pytest.raises(snapshot.MetricsUnavailable):
        cache.collect()
