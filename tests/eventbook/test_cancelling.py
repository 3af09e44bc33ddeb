"""A delayed event is either cancelled or delivered, however cancelling and relays meet."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import pytest
from django.db import connections, transaction

from eventbook.models import Delivery, Event, OutboxEntry
from eventbook.record.outbox import record
from eventbook.relay.expansion import array_parameters, expand_due
from eventbook.relay.relay import Relay
from eventbook.relay.scan_start import ScanStart
from tests.conftest import Drain
from tests.harness.interleaving import second_session
from tests.harness.processes import wait_for
from tests.probe.sending import effects, send_at, soon
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)


def come(**keys: datetime) -> None:
    """Let the time of events come: the relay finds them at its next poll."""
    for key, at in keys.items():
        OutboxEntry.objects.filter(event__key=key).update(due_at=at, recorded_at=at)


def test_a_cancelled_event_never_runs_and_frees_its_key(drain: Drain) -> None:
    send_at("a", soon(3600))

    assert probe_sent.cancel("a")
    assert not probe_sent.cancel("a")
    assert not Event.objects.exists()

    send_at("a", soon(-1))
    drain()
    assert Counter(effects()) == Counter(a=1)
    assert not probe_sent.cancel("a"), "it has been delivered"


def test_only_events_of_the_signal_are_cancelled() -> None:
    send_at("a", soon(3600))
    Event.objects.update(type="other.type")

    assert not probe_sent.cancel("a")
    assert not probe_sent.reschedule("a", run_at=soon(1))
    assert OutboxEntry.objects.count() == 1


def expand() -> int:
    """Do as a relay does with the events whose time has come; return how many it claims."""
    return expand_due(array_parameters(()), ScanStart(), limit=100)[0].total()


@pytest.mark.parametrize("commits", [True, False])
def test_cancelling_waits_for_a_relay_that_is_expanding(commits: bool) -> None:
    send_at("a", soon(3600))
    come(a=soon(-1))
    with second_session() as relay:
        assert relay.do(expand) == 1
        with ThreadPoolExecutor(1) as pool:
            cancelling = pool.submit(closing, partial(probe_sent.cancel, "a"))
            wait_for(someone_waits, seconds=10, what="cancelling waits")
            relay.do(lambda: transaction.set_rollback(not commits))
            relay.commit()
            assert cancelling.result(timeout=10) is not commits

    assert Event.objects.exists() is commits
    assert Delivery.objects.exists() is commits


def closing(work: partial[bool]) -> bool:
    """Run a function in a thread, and close the thread's connection."""
    try:
        return work()
    finally:
        connections.close_all()


def someone_waits() -> bool:
    from tests.harness.interleaving import someone_waits

    return someone_waits()


@pytest.mark.parametrize("commits", [True, False])
def test_a_relay_passes_over_an_event_that_is_being_cancelled(commits: bool) -> None:
    send_at("a", soon(3600))
    come(a=soon(-1))
    with second_session() as canceller:
        assert canceller.do(lambda: probe_sent.cancel("a"))
        assert expand() == 0
        if commits:
            canceller.commit()

    assert expand() == (0 if commits else 1)


def test_a_relay_passes_over_an_event_that_is_being_rescheduled() -> None:
    send_at("a", soon(3600))
    come(a=soon(-1))
    with second_session() as other:
        assert other.do(lambda: probe_sent.reschedule("a", run_at=soon(3600)))
        assert expand() == 0
        other.commit()

    assert expand() == 0
    assert OutboxEntry.objects.count() == 1


def test_a_key_that_is_cancelled_while_it_is_sent_again_is_recorded_anew() -> None:
    send_at("a", soon(3600))
    first = Event.objects.get().pk
    with second_session() as canceller:
        assert canceller.do(lambda: probe_sent.cancel("a"))
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(record_again)
            wait_for(someone_waits, seconds=10, what="sending waits")
            canceller.commit()
            second = sending.result(timeout=10)

    assert Event.objects.get().pk == second != first


def record_again() -> object:
    try:
        with transaction.atomic():
            return record(ProbeSent(key="a"), key="a", run_at=soon(3600))
    finally:
        connections.close_all()


def test_of_many_that_race_with_relays_each_is_either_cancelled_or_runs_once(
    drain: Drain,
) -> None:
    keys = [f"race-{n}" for n in range(100)]
    for key in keys:
        send_at(key, soon(random.uniform(0.05, 1)))

    def step(_: int) -> None:
        relay = Relay()
        try:
            while soon(0) < ends:
                relay.rhythm.due_timer.expire()
                relay.step()
        finally:
            relay.broker.close()
            connections.close_all()

    def cancel(mine: list[str]) -> list[str]:
        try:
            return [key for key in mine if probe_sent.cancel(key)]
        finally:
            connections.close_all()

    ends = soon(1.5)
    with ThreadPoolExecutor(4) as pool:
        relays = [pool.submit(step, n) for n in range(2)]
        cancelled = set(cancel(random.sample(keys, 50)))
        for each in relays:
            each.result(timeout=30)
    drain()

    assert Counter(effects()) == Counter(key for key in keys if key not in cancelled)
    assert Event.objects.count() == 100 - len(cancelled)
