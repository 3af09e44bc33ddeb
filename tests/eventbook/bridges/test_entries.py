"""Which events wait for a bridge, and in which order it reads them."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from eventbook.bridges import entries
from eventbook.database.ids import first_id_at
from eventbook.models import BridgeEntry, Event
from eventbook.operate.actions import cancel_delayed
from eventbook.record.outbox import recording
from eventbook.store import retention
from eventbook.testing import relay_once
from tests.eventbook.bridges.conftest import Configure
from tests.harness.processes import wait_for
from tests.probe.sending import send, send_large
from tests.probe.signals import ProbeSent, probe_sent

URL = "nats://127.0.0.1:1"


def waiting(bridge: str) -> list[str]:
    """Return the subjects of the events that wait for a bridge, in order."""
    ids = [entry.event_id for entry in entries.read(bridge, 10_000)]
    subjects = {event.pk: event.subject for event in Event.objects.all()}
    return [subjects[id].removeprefix("probes/") for id in ids]


def test_without_a_bridge_nothing_is_written(transactional_db: None, settings: Any) -> None:
    settings.BRIDGES = ()

    send("a")

    assert not BridgeEntry.objects.exists()


def test_each_bridge_that_publishes_the_event_gets_an_entry(
    transactional_db: None, configure: Configure
) -> None:
    configure("one", URL)
    configure("two", URL)
    configure("silent", URL, publish=frozenset())

    send("a", "b")
    send_large("other", 1)  # no translation

    assert waiting("one") == waiting("two") == ["a", "b"]
    assert set(BridgeEntry.objects.values_list("bridge", flat=True)) == {"one", "two"}


def test_a_rollback_leaves_no_entry(transactional_db: None, configure: Configure) -> None:
    configure("one", URL)

    with transaction.atomic():
        send("a")
        transaction.set_rollback(True)

    assert not BridgeEntry.objects.exists()


def test_a_statement_that_changes_nothing_leaves_no_entry(
    transactional_db: None, configure: Configure
) -> None:
    configure("one", URL)

    probe_sent.send_with("SELECT 1 WHERE %s", [False], sender=None, event=ProbeSent(key="no"))
    probe_sent.send_with("SELECT 1 WHERE %s", [True], sender=None, event=ProbeSent(key="yes"))

    assert waiting("one") == ["yes"]


def test_an_event_with_a_key_that_was_recorded_before_leaves_no_entry(
    transactional_db: None, configure: Configure
) -> None:
    configure("one", URL)

    for _ in range(2):
        with transaction.atomic():
            probe_sent.send(sender=None, event=ProbeSent(key="a"), key="once")

    assert waiting("one") == ["a"]


def test_events_of_one_statement_are_in_the_order_in_which_they_were_sent(
    transactional_db: None, configure: Configure
) -> None:
    configure("one", URL)
    keys = [str(number) for number in range(2_000)]

    with transaction.atomic(), recording():
        for key in keys:
            probe_sent.send(sender=None, event=ProbeSent(key=key))

    assert waiting("one") == keys


def test_a_delayed_event_gets_its_entry_when_its_time_has_come(
    transactional_db: None, configure: Configure
) -> None:
    configure("one", URL)
    now = timezone.now()
    soon = now + timedelta(seconds=1.5)

    def relayed() -> bool:
        relay_once()
        return len(waiting("one")) > 2

    with transaction.atomic(), recording():
        for key, time in (("past", now), ("none", None), ("soon", soon)):
            probe_sent.send(sender=None, event=ProbeSent(key=key), run_at=time)

    assert waiting("one") == ["past", "none"]
    wait_for(relayed, seconds=10, what="its time comes")
    assert waiting("one") == ["past", "none", "soon"]


def test_a_delayed_event_that_is_cancelled_gets_none(
    transactional_db: None, configure: Configure
) -> None:
    configure("one", URL)
    with transaction.atomic():
        later = timezone.now() + timedelta(hours=1)
        probe_sent.send(sender=None, event=ProbeSent(key="a"), run_at=later)

    cancel_delayed([event.pk for event in Event.objects.all()], actor="test")

    assert not BridgeEntry.objects.exists()


def test_an_event_that_commits_late_is_not_skipped(
    transactional_db: None, configure: Configure
) -> None:
    configure("one", URL)
    recorded, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        with transaction.atomic():
            send("early")
            recorded.set()
            go_on.wait(10)
        connection.close()

    thread = threading.Thread(target=slowly)
    thread.start()
    recorded.wait(10)
    send("late")
    first = entries.read("one", 10)
    entries.delete([entry.id for entry in first])
    go_on.set()
    thread.join()

    assert len(first) == 1
    assert waiting("one") == ["early"]


def test_one_process_publishes_for_a_bridge_at_a_time(
    transactional_db: None, configure: Configure
) -> None:
    configure("one", URL)
    results: list[bool] = []

    def another() -> None:
        results.append(entries.lock("one"))
        connection.close()

    def run_another() -> bool:
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()
        return results[-1]

    assert entries.lock("one")
    assert not run_another()
    connection.close()
    wait_for(run_another, seconds=5, what="the lock ends with its session")


def test_the_event_of_an_entry_is_kept(transactional_db: None, configure: Configure) -> None:
    configure("one", URL)
    old = timezone.now() - timedelta(days=1000)
    for key, bridge in (("kept", "one"), ("pruned", "")):
        event = Event.objects.create(
            id=first_id_at(old), type="probe.sent", version=1, subject=key, data={}, priority=5,
            recorded_at=old,
        )  # fmt: skip
        old += timedelta(seconds=1)
        if bridge:
            BridgeEntry.objects.create(bridge=bridge, event=event)

    retention.prune()

    assert list(Event.objects.values_list("subject", flat=True)) == ["kept"]
