"""Events that wait for their time: delivered then, once; or cancelled, and never delivered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from eventbook.database.statements import execute
from eventbook.declare.queues import all_policies
from eventbook.models import Delivery, Event, Operation, OutboxEntry, Priority
from eventbook.operate.audit import audit
from eventbook.operate.queries.delayed import count_delayed
from eventbook.operate.queries.processes import processes
from eventbook.operate.queries.system import outbox_length, relay_lag_seconds
from eventbook.record.outbox import recording
from eventbook.relay import due
from eventbook.relay.expansion import array_parameters, expand_due
from eventbook.relay.expansion import expand as expand_other
from eventbook.relay.scan_start import ScanStart
from eventbook.store import retention
from eventbook.store.replay import Selection, replay
from eventbook.testing import relay_once
from tests.conftest import Drain
from tests.eventbook.conftest import Staff
from tests.harness.plans import entries_read
from tests.harness.processes import Workers, end, kill_group, killed_on_failure, launch, wait_for
from tests.probe.models import Effect
from tests.probe.sending import effects, send, send_at, soon, states
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)


def lateness() -> list[float]:
    """Return by how many seconds each delivery was done after its event's time, sorted."""
    done = Delivery.objects.filter(handler="probe.write", state="done")
    times = done.values_list("recorded_at", "finished_at")
    return sorted((end - at).total_seconds() for at, end in times if end)


def come(**keys: datetime) -> None:
    """Let the time of events come: the relay finds them at its next poll."""
    for key, at in keys.items():
        OutboxEntry.objects.filter(event__key=key).update(due_at=at, recorded_at=at)


@pytest.fixture
def relay(workers: Workers, tmp_path: Path) -> Iterator[None]:
    """A relay process."""
    process = launch("relay", log=tmp_path / "relay.log")
    with killed_on_failure(process):
        send("first")
        wait_for(lambda: states()["done"] == 1, seconds=30, what="the relay runs")
        Delivery.objects.all().delete()
        Effect.objects.all().delete()
        yield
    end(process, seconds=10)


def test_an_event_is_delivered_at_its_time_and_not_before(relay: None) -> None:
    send_at("b", soon(1.5))
    send_at("a", soon(0.5))

    wait_for(lambda: len(effects()) == 2, seconds=10, what="both are delivered")

    late = lateness()
    assert late[0] >= 0, "it ran before its time"
    assert late[-1] < 0.5
    assert Counter(effects()) == Counter(a=1, b=1)


def test_events_survive_a_restart_of_everything(workers: Workers, tmp_path: Path) -> None:
    for n in range(20):
        send_at(f"at-{n}", soon(3 + n / 10))
    send_at("while away", soon(0.1))

    for _ in range(3):
        process = launch("relay", log=tmp_path / "relay.log")
        with killed_on_failure(process):
            wait_for(processes, seconds=20, what="the relay runs")
        kill_group(process)
    workers.stop()
    workers.start()
    process = launch("relay", log=tmp_path / "relay.log")
    with killed_on_failure(process):
        wait_for(lambda: states()["done"] == 21, seconds=30, what="all are delivered")
    end(process, seconds=10)

    assert set(Counter(effects()).values()) == {1}
    assert len(effects()) == 21


def test_a_time_in_the_past_is_now(drain: Drain) -> None:
    send_at("a", soon(-86_400))
    assert OutboxEntry.objects.get().priority == Priority.INTERACTIVE

    drain()

    assert Counter(effects()) == Counter(a=1)


def test_a_time_without_a_zone_or_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        send_at("a", datetime(2030, 1, 1, 7))  # noqa: DTZ001
    with pytest.raises(ValueError, match="out of range"):
        send_at("a", datetime.max.replace(tzinfo=ZoneInfo("America/New_York")))

    assert Event.objects.count() == 0


def test_a_block_may_mix_events_that_wait_with_others(drain: Drain) -> None:
    with transaction.atomic(), recording(priority=Priority.BULK):
        probe_sent.send(sender=None, event=ProbeSent(key="now"))
        probe_sent.send(sender=None, event=ProbeSent(key="later"), run_at=soon(3600))
        probe_sent.send(sender=None, event=ProbeSent(key="past"), run_at=soon(-3600))

    drain()
    assert Counter(effects()) == Counter(now=1, past=1)

    OutboxEntry.objects.update(due_at=soon(-1))
    drain()
    assert Counter(effects()) == Counter(now=1, past=1, later=1)
    assert set(Delivery.objects.values_list("priority", flat=True)) == {Priority.BULK}


def test_the_same_key_is_the_same_event_at_its_first_time() -> None:
    send_at("a", first := soon(3600))
    send_at("a", soon(1))

    assert OutboxEntry.objects.get().due_at == first


def test_a_rescheduled_event_runs_at_its_new_time_only(relay: None) -> None:
    send_at("later", soon(0.7))
    send_at("sooner", soon(3600))
    assert probe_sent.reschedule("later", run_at=(new := soon(1.5)))
    assert probe_sent.reschedule("sooner", run_at=soon(0.2))

    wait_for(lambda: len(effects()) == 2, seconds=10, what="both are delivered")

    assert Counter(effects()) == Counter(later=1, sooner=1)
    assert Delivery.objects.filter(event__key="later", finished_at__gte=new).count() == 2
    assert not probe_sent.reschedule("later", run_at=soon(1))


def test_nobody_takes_a_waiting_event_for_missed(drain: Drain) -> None:
    send_at("a", soon(3600))
    ago = timezone.now() - timedelta(minutes=8)
    Event.objects.update(recorded_at=ago)

    drain()
    retention.prune()
    replay(Selection(handler="probe.write"), actor="test")
    relay_once()

    assert {rule: n for rule, n in audit().items() if n and "follower" not in rule} == {}
    assert (outbox_length(), relay_lag_seconds()) == (0, 0)
    assert count_delayed()[0] == 1
    assert (Event.objects.count(), Delivery.objects.count()) == (1, 0)


def test_the_command_lists_cancels_and_reschedules() -> None:
    send_at("a", soon(3600))
    send_at("b", soon(7200))

    def run(*arguments: str) -> str:
        call_command("delayed", *arguments, stdout=(output := StringIO()))
        return output.getvalue()

    listed = json.loads(run("list", "--json"))
    assert [(each["key"], each["type"]) for each in listed] == [
        ("a", "probe.sent"),
        ("b", "probe.sent"),
    ]
    assert "probes/a  a\n" in run("list")
    assert run("cancel", "a") == "cancel: 1 events\n"
    assert run("reschedule", "b", "--at", "2040-01-01T07:00:00") == "reschedule: 1 events\n"
    assert OutboxEntry.objects.get().due_at == datetime(2040, 1, 1, 7, tzinfo=UTC)
    with pytest.raises(CommandError, match="No delayed event has the key a"):
        run("cancel", "a", "b")
    actions = list(Operation.objects.order_by("id").values_list("action", "count"))
    assert actions == [("delayed.cancel", 1), ("delayed.reschedule", 1)]
    call_command("queues", "status", stdout=(status := StringIO()))
    assert "1 events wait for their time, the first for 2040-01-01 07:00:00" in status.getvalue()


def test_the_admin_cancels_and_runs_now(staff: Staff, drain: Drain) -> None:
    send_at("a", soon(3600))
    send_at("b", soon(3600))
    path = "/admin/eventbook/outboxentry/"
    ids = {key: str(id) for key, id in Event.objects.values_list("key", "id")}
    reader = staff("rita", "view_outboxentry")
    browser = staff("olga", "view_outboxentry", "operate_deliveries")

    assert "probes/a" in reader.get(path).content.decode()
    for who, action, key in ((reader, "cancel", "a"), (browser, "run_now", "b")):
        who.post(path, {"action": action, "_selected_action": [ids[key]], "post": "yes"})
    drain()
    assert Counter(effects()) == Counter(b=1)

    asked = browser.post(path, {"action": "cancel", "_selected_action": [ids["a"]]})
    assert "Yes, discard 1" in asked.content.decode()
    browser.post(path, {"action": "cancel", "_selected_action": [ids["a"]], "post": "yes"})
    assert not OutboxEntry.objects.exists()


WAITING = """
    INSERT INTO eventbook_event (id, type, version, subject, data, priority, traceparent)
    SELECT gen_random_uuid(), 'probe.sent', 1, '', '{}', 5, '' FROM generate_series(1, 20000)
"""
ENTRIES = """
    INSERT INTO eventbook_outboxentry (event_id, type, priority, recorded_at, due_at)
    SELECT id, type, 0, due_at, due_at
    FROM eventbook_event, LATERAL (SELECT now() + interval '1 hour') AS later (due_at)
"""


def test_very_many_events_that_wait_cost_nobody_anything() -> None:
    for statement in (WAITING, ENTRIES, "ANALYZE eventbook_outboxentry"):
        execute(statement, prepare=False)
    send_at("due", soon(3600))
    come(due=soon(-1))
    arrays = array_parameters(())

    def look_ahead() -> None:
        assert (due.seconds_to_next(list(all_policies())) or 0) > 60

    for work in (
        look_ahead,
        outbox_length,
        relay_lag_seconds,
        lambda: expand_other(arrays, ScanStart(), limit=100, bulk_limit=100),
        lambda: expand_due(arrays, ScanStart(), limit=100),
    ):
        with transaction.atomic():
            before = entries_read("eventbook_outboxentry")
            work()
            assert entries_read("eventbook_outboxentry") - before < 20
