"""Numbered events: versions of a subject, and who is first when two transactions meet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction

from eventbook.database import statements
from eventbook.models import Aggregate, BridgeEntry, Event, NumberedEvent, OutboxEntry, Priority
from eventbook.record import outbox
from eventbook.record.numbering import VersionConflict
from eventbook.record.outbox import record, record_with, recording
from tests.harness.interleaving import second_session
from tests.harness.processes import wait_for
from tests.probe.sending import send, soon
from tests.probe.signals import ProbeMoved, ProbeSent, probe_moved, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)


@transaction.atomic
def move(by: int, key: str = "a", **options: Any) -> None:
    probe_moved.send(sender=None, event=ProbeMoved(key=key, by=by), **options)


def numbers(key: str = "a") -> list[tuple[int, int]]:
    """Return the numbers of a probe's events, each with the steps it moved by."""
    found = NumberedEvent.objects.filter(subject=f"probes/{key}").order_by("number")
    return [(each.number, each.event.data["by"]) for each in found]


def version(key: str = "a") -> int:
    return Aggregate.objects.get(pk=f"probes/{key}").number


def test_each_subject_counts_its_numbered_events() -> None:
    move(10)
    move(20)
    move(5, key="b")
    send("a")

    assert numbers() == [(1, 10), (2, 20)]
    assert numbers("b") == [(1, 5)]
    assert NumberedEvent.objects.count() == 3, "probe.sent isn't numbered"
    assert OutboxEntry.objects.count() == 4


def test_an_event_without_a_number_is_recorded_by_the_same_statement_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run: list[str] = []

    def execute(statement: str, parameters: Any) -> Any:
        run.append(statement)
        return statements.execute(statement, parameters)

    monkeypatch.setattr(outbox, "execute", execute)
    with transaction.atomic():
        probe_sent.send(sender=None, event=ProbeSent(key="a"))

    assert run == [outbox.INSERT.replace("{bridged}", "")]
    assert "number" not in run[0]


@pytest.mark.parametrize("commits", [True, False])
def test_the_second_writer_waits_and_gets_the_next_number(commits: bool) -> None:
    with second_session() as other:
        other.do(lambda: move(10))
        with ThreadPoolExecutor(1) as pool:
            moving = pool.submit(in_thread, 20)
            wait_for(someone_waits, seconds=10, what="the second writer waits")
            other.do(lambda: transaction.set_rollback(not commits))
            other.commit()
            moving.result(timeout=10)

    assert numbers() == ([(1, 10), (2, 20)] if commits else [(1, 20)])


@pytest.mark.parametrize("commits", [True, False])
def test_of_two_that_expect_one_version_the_second_fails_if_the_first_commits(
    commits: bool,
) -> None:
    move(1)
    with second_session() as other:
        other.do(lambda: move(10, expected=1))
        with ThreadPoolExecutor(1) as pool:
            moving = pool.submit(in_thread, 20, expected=1)
            wait_for(someone_waits, seconds=10, what="the second writer waits")
            other.do(lambda: transaction.set_rollback(not commits))
            other.commit()
            error = moving.exception(timeout=10)

    if commits:
        assert isinstance(error, VersionConflict)
        assert (error.subject, error.expected, error.actual) == ("probes/a", 1, 2)
    assert numbers() == [(1, 1), (2, 10 if commits else 20)]


def test_many_writers_leave_neither_a_gap_nor_a_double() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(in_thread, range(40)))

    assert [number for number, _ in numbers()] == list(range(1, 41))
    assert version() == 40


def in_thread(by: int, **options: Any) -> None:
    try:
        move(by, **options)
    finally:
        connections.close_all()


def someone_waits() -> bool:
    from tests.harness.interleaving import someone_waits

    return someone_waits()


def test_writers_of_other_subjects_wait_for_nobody() -> None:
    with second_session() as other:
        other.do(lambda: move(10))
        move(20, key="b", expected=0)

    assert numbers("b") == [(1, 20)]


def test_after_a_conflict_the_transaction_goes_on() -> None:
    move(1)
    with transaction.atomic():
        send("before")
        with pytest.raises(VersionConflict, match="probes/a has version 1, not 7: read it again"):
            probe_moved.send(sender=None, event=ProbeMoved(key="a", by=2), expected=7)
        probe_moved.send(sender=None, event=ProbeMoved(key="a", by=3), expected=1)

    assert numbers() == [(1, 1), (2, 3)]
    assert Event.objects.filter(subject="probes/before").exists()


@pytest.mark.parametrize("expected", [-1, 1])
def test_a_subject_without_events_has_version_0(expected: int) -> None:
    with pytest.raises(VersionConflict):
        move(1, expected=expected)
    assert not Event.objects.exists()

    move(1, expected=0)
    assert numbers() == [(1, 1)]


def test_a_rollback_leaves_no_gap() -> None:
    move(1)
    with transaction.atomic():
        with transaction.atomic():
            move(2)
            transaction.set_rollback(True)
        move(3)
    with transaction.atomic():
        move(4)
        transaction.set_rollback(True)
    move(5)

    assert numbers() == [(1, 1), (2, 3), (3, 5)]


def test_in_a_recording_numbers_are_given_at_once_and_the_priority_is_kept() -> None:
    with transaction.atomic(), recording(priority=Priority.BULK):
        for by in (1, 2):
            move(by, expected=by - 1)
        with transaction.atomic():
            move(9)
            transaction.set_rollback(True)

    assert numbers() == [(1, 1), (2, 2)]
    assert set(Event.objects.values_list("priority", flat=True)) == {Priority.BULK}


def test_an_event_with_a_known_key_is_the_same_event_whatever_is_expected() -> None:
    with transaction.atomic():
        first = record(ProbeMoved(key="a", by=1), key="k", expected=0)
    with transaction.atomic():
        second = record(ProbeMoved(key="a", by=1), key="k", expected=0)
        other_subject = record(ProbeMoved(key="b", by=1), key="k")
    move(2, expected=1)

    assert first == second == other_subject
    assert numbers() == [(1, 1), (2, 2)]
    assert version("b") == 0


def test_a_key_that_another_transaction_just_records_takes_no_number() -> None:
    with second_session() as other, ThreadPoolExecutor(1) as pool:
        other.do(lambda: record_key("b"))
        recording_too = pool.submit(closing_key, "a")
        wait_for(someone_waits, seconds=10, what="the second writer waits")
        other.commit()
        recording_too.result(timeout=10)

    assert numbers("b") == [(1, 1)]
    assert (numbers("a"), version("a")) == ([], 0)


@transaction.atomic
def record_key(key: str) -> None:
    record(ProbeMoved(key=key, by=1), key="k")


def closing_key(key: str) -> None:
    try:
        record_key(key)
    finally:
        connections.close_all()


def test_a_numbered_event_has_its_bridges_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "bridges_by_event", lambda _: {"probe.moved": ["one", "two"]})

    move(1)
    move(2)

    assert numbers() == [(1, 1), (2, 2)]
    assert sorted(BridgeEntry.objects.values_list("bridge", flat=True)) == [
        "one",
        "one",
        "two",
        "two",
    ]


@transaction.atomic
def test_what_can_have_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="can't wait"):
        record(ProbeMoved(key="a", by=1), run_at=soon(60))
    with pytest.raises(ValueError, match="Only numbered events"):
        record(ProbeSent(key="a"), expected=0)
    with pytest.raises(ValueError, match="use `send`"):
        record_with("SELECT 1", [], ProbeMoved(key="a", by=1))

    assert not Event.objects.exists()
