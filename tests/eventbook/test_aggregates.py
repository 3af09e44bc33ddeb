"""A subject's state, rebuilt from its numbered events: now, in the past, and from a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from eventbook.declare.events import Recorded
from eventbook.models import Aggregate, Event, NumberedEvent, Snapshot
from eventbook.record.numbering import VersionConflict
from eventbook.store import aggregates
from eventbook.store.aggregates import Fold, HistoryPruned, rebuild, snapshot
from eventbook.store.replay import Selection, replay
from eventbook.store.retention import prune
from tests.conftest import Drain
from tests.harness.interleaving import second_session
from tests.probe.sending import send
from tests.probe.signals import ProbeMoved, probe_moved

pytestmark = pytest.mark.django_db(transaction=True)

SUBJECT = "probes/a"


@dataclass(frozen=True)
class Way:
    place: int = 0
    steps: list[int] = field(default_factory=list)


def walk(way: Way, recorded: Recorded[ProbeMoved]) -> Way:
    by = recorded.event.by
    return Way(way.place + by, [*way.steps, by])


WAY = Fold(name="probe.way", version=1, state=Way, apply=walk)


def refuse(way: Way, recorded: Recorded[ProbeMoved]) -> Way:
    raise AssertionError(f"{recorded} was read.")


# Finds out whether a rebuild reads events.
IDLE = replace(WAY, apply=refuse)


@transaction.atomic
def move(*steps: int, **options: Any) -> None:
    for by in steps:
        probe_moved.send(sender=None, event=ProbeMoved(key="a", by=by), **options)


def forget_numbers() -> None:
    """Leave the events as a release recorded them that didn't number their type."""
    NumberedEvent.objects.all().delete()
    Aggregate.objects.all().delete()


def test_the_state_is_made_of_all_events_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "PAGE", 2)
    assert rebuild(SUBJECT, WAY) == aggregates.Rebuilt(Way(), 0, None)
    move(10, -3, 5, 1, 2)
    send("a")

    found = rebuild(SUBJECT, WAY)

    assert (found.state, found.version) == (Way(15, [10, -3, 5, 1, 2]), 5)
    assert found.time == Event.objects.filter(type="probe.moved").latest("id").recorded_at


def test_a_decision_about_an_older_state_is_refused() -> None:
    move(10)
    seen = rebuild(SUBJECT, WAY)
    move(20, expected=seen.version)

    with pytest.raises(VersionConflict):
        move(30, expected=seen.version)
    assert rebuild(SUBJECT, WAY).state.steps == [10, 20]


def test_events_of_another_open_transaction_do_not_count_yet() -> None:
    move(1)
    with second_session() as other:
        other.do(lambda: move(2))
        assert rebuild(SUBJECT, WAY).state.steps == [1]
        other.commit()

    assert rebuild(SUBJECT, WAY).state.steps == [1, 2]


def test_events_of_an_older_version_are_upcast() -> None:
    move(1, 2)
    Event.objects.update(version=1, data={"key": "a", "steps": 7})

    assert rebuild(SUBJECT, WAY).state.steps == [7, 7]


def times() -> list[datetime]:
    """Let the events be a minute apart, and return their times."""
    start = timezone.now() - timedelta(hours=1)
    found = []
    for each in NumberedEvent.objects.order_by("number"):
        found.append(start + timedelta(minutes=each.number))
        Event.objects.filter(pk=each.event_id).update(recorded_at=found[-1])
    return found


def test_a_state_of_the_past() -> None:
    move(1, 2, 3)
    first, second, third = times()

    def steps(as_of: datetime) -> list[int]:
        return rebuild(SUBJECT, WAY, as_of=as_of).state.steps

    assert steps(first - timedelta(seconds=1)) == []
    assert steps(first) == [1]
    assert steps(second + timedelta(seconds=1)) == [1, 2]
    assert steps(third) == steps(timezone.now()) == [1, 2, 3]


def test_a_rebuild_starts_at_the_snapshot() -> None:
    move(1, 2)
    taken = snapshot(SUBJECT, WAY)
    assert rebuild(SUBJECT, IDLE) == taken

    move(3)
    Event.objects.filter(data__by=1).update(data={"key": "a", "by": 100})

    assert rebuild(SUBJECT, WAY).state == Way(6, [1, 2, 3])
    assert snapshot(SUBJECT, WAY).version == Snapshot.objects.get().number == 3


def test_a_snapshot_of_another_fold_or_version_is_not_used() -> None:
    move(1, 2)
    snapshot(SUBJECT, WAY)

    for other in (replace(IDLE, name="probe.other"), replace(IDLE, version=2)):
        with pytest.raises(AssertionError, match="was read"):
            rebuild(SUBJECT, other)


def test_a_snapshot_is_not_used_for_a_moment_before_it() -> None:
    move(1, 2)
    first, second = times()
    snapshot(SUBJECT, WAY)

    assert rebuild(SUBJECT, WAY, as_of=first).state.steps == [1]
    assert rebuild(SUBJECT, IDLE, as_of=second).state.steps == [1, 2]


def test_an_older_release_replaces_no_snapshot_of_a_newer_one() -> None:
    move(1)
    snapshot(SUBJECT, replace(WAY, version=2))
    move(2)
    snapshot(SUBJECT, WAY)

    assert (Snapshot.objects.get().version, Snapshot.objects.get().number) == (2, 1)
    snapshot(SUBJECT, replace(WAY, version=2))
    assert (Snapshot.objects.get().version, Snapshot.objects.get().number) == (2, 2)


def test_a_snapshot_of_a_transaction_that_is_rolled_back_is_gone() -> None:
    move(1)
    with transaction.atomic():
        move(2)
        snapshot(SUBJECT, WAY)
        transaction.set_rollback(True)

    assert not Snapshot.objects.exists()
    assert rebuild(SUBJECT, WAY).state.steps == [1]


def test_no_snapshot_of_a_subject_without_events() -> None:
    assert snapshot(SUBJECT, WAY).version == 0
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize("more", [(), (3,)])
def test_older_events_of_a_type_that_was_not_numbered_get_numbers_by_time(
    more: tuple[int, ...],
) -> None:
    move(1, 2)
    forget_numbers()
    send("a")
    earlier = timezone.now() - timedelta(hours=1)
    Event.objects.filter(data__by=2).update(recorded_at=earlier)

    move(*more)

    assert rebuild(SUBJECT, WAY).state.steps == [2, 1, *more]
    move(9, expected=2 + len(more))


def test_an_event_that_a_process_of_an_older_release_records_gets_the_next_number() -> None:
    move(1, 2)
    snapshot(SUBJECT, WAY)
    latest = Event.objects.order_by("id").last()
    assert latest is not None
    Event.objects.create(
        type=latest.type, version=1, subject=SUBJECT, data={"steps": 3, "key": "a"}, priority=5
    )

    assert rebuild(SUBJECT, WAY).state.steps == [1, 2, 3]
    assert rebuild(SUBJECT, WAY).version == 3


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_without_one_of_its_events_there_is_no_state(missing: int) -> None:
    move(1, 2, 3)
    *_, last = times()
    Event.objects.filter(pk=NumberedEvent.objects.get(number=missing).event_id).delete()

    for as_of in (None, last + timedelta(days=1)):
        with pytest.raises(HistoryPruned, match=f"Event {missing} of probes/a is no longer stored"):
            rebuild(SUBJECT, WAY, as_of=as_of)


def test_a_snapshot_stands_for_events_that_are_no_longer_stored() -> None:
    move(1, 2)
    first, _ = times()
    snapshot(SUBJECT, WAY)
    Event.objects.all().delete()
    move(3)

    assert rebuild(SUBJECT, WAY).state.steps == [1, 2, 3]
    with pytest.raises(HistoryPruned):
        rebuild(SUBJECT, WAY, as_of=first)
    with pytest.raises(HistoryPruned):
        rebuild(SUBJECT, replace(WAY, version=2))


def test_retention_keeps_numbered_events_and_deletes_the_others(
    drain: Drain, settings: Any
) -> None:
    settings.KEEP_EVENTS_DAYS = 0.000001
    move(1, 2)
    send("a")
    drain()
    Event.objects.update(recorded_at=timezone.now() - timedelta(days=2))

    assert prune()["events"] == 1
    assert rebuild(SUBJECT, WAY).state.steps == [1, 2]


def test_retention_keeps_events_whose_type_became_numbered_or_is_gone(
    drain: Drain, settings: Any
) -> None:
    settings.KEEP_EVENTS_DAYS = 0.000001
    move(1, 2)
    drain()
    Event.objects.update(recorded_at=timezone.now() - timedelta(days=2))
    NumberedEvent.objects.filter(number=2).delete()
    Event.objects.filter(data__by=1).update(type="probe.removed")

    prune()

    assert Event.objects.count() == 2


def test_a_replay_delivers_the_events_again_and_changes_no_number(drain: Drain) -> None:
    move(1, 2)
    drain()
    before = list(NumberedEvent.objects.order_by("number").values())

    (progress,) = replay(Selection(type="probe.moved"), actor="test")
    drain()

    assert progress.again == 2
    assert list(NumberedEvent.objects.order_by("number").values()) == before
    assert rebuild(SUBJECT, WAY).state.steps == [1, 2]
