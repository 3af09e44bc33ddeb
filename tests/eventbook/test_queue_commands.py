"""What `manage.py queues` shows, gives up, retries and deletes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from eventbook.declare.handlers import handlers
from eventbook.declare.queues import policy_of
from eventbook.deliveries import states as deliveries
from eventbook.models import Attempt, Delivery, Event, Lease, Operation, Process, QueueControl
from eventbook.operate import actions
from eventbook.operate.actions import Waiting, operations
from eventbook.operate.diagnosis import Finding, work
from tests.eventbook.conftest import QUEUE
from tests.harness.processes import without_a_broker
from tests.probe.sending import send, states_in

pytestmark = pytest.mark.django_db(transaction=True)


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("queues", *arguments, stdout=out)
    return out.getvalue()


def answer(*arguments: str) -> Any:
    return json.loads(printed(*arguments, "--json"))


def test_a_pause_that_came_with_a_backup_is_told_with_what_to_do() -> None:
    actions.pause("feeds", actor="alice", reason="the index is rebuilt")
    before = found_by_the_doctor("queue feeds")
    # A restored database has other numbers (tests/faults/test_restore.py restores one).
    QueueControl.objects.filter(queue="feeds").update(paused_in="1/2")

    text = printed("status")
    after = found_by_the_doctor("queue feeds")

    assert (before.well, after.well) == (True, False)
    assert "the backup from which this database was restored" in after.text
    for said in (after.text + after.advice, text):
        assert "by alice" in said
        assert "manage.py queues resume feeds" in said
    assert "the backup from which this database was restored" in text
    actions.resume("feeds", actor="bob")
    assert found_by_the_doctor("queue feeds").well


def found_by_the_doctor(subject: str) -> Finding:
    (found,) = [each for each in work.findings(has_broker=True) if each.subject == subject]
    return found


def test_status_tells_what_runs_waits_and_is_paused(six: list[int]) -> None:
    Process.objects.create(group="feed-worker", host="h", pid=1, release="r", queues=["feeds"])
    gone = Process.objects.create(
        group="feed-worker", host="h", pid=2, release="r", queues=["feeds"]
    )
    Process.objects.filter(pk=gone.pk).update(seen_at=timezone.now() - timedelta(seconds=20))
    Delivery.objects.filter(id=six[0]).update(state="retry")
    Delivery.objects.filter(id=six[1]).update(state="done", due_at=None, finished_at=timezone.now())
    until = timezone.now() + timedelta(minutes=1)
    Lease.objects.create(
        handler="probe.write", queue=QUEUE, worker="w", deliveries=six[1:3], expires_at=until
    )
    printed("pause", "feeds", "--reason", "the mail host is down")

    rows = {row["queue"]: row for row in answer("status")["queues"]}

    mine, other = rows[QUEUE], rows["feeds"]
    fields = ("depth", "waiting", "retrying", "in_progress", "done", "paused")
    assert [mine[name] for name in fields] == [5, 3, 1, 1, 1, False]
    assert [other[name] for name in fields] == [6, 6, 0, 0, 0, True]
    # Of both, the workers of the tests may have told that they are there.
    assert other["workers"] == mine["workers"] + 1
    assert mine["rate_per_second"] == pytest.approx(1 / 60, abs=0.05)
    assert (other["paused_by"], other["reason"]) == ("command line", "the mail host is down")
    assert (mine["oldest_seconds"] > 0, other["oldest_seconds"]) == (True, 0)
    assert "by command line: the mail host is down" in printed("status")


def test_status_names_an_outage_and_what_waits_for_the_relay() -> None:
    well = answer("status")
    with transaction.atomic():
        Event.objects.all().delete()
    send("waits")
    found = json.loads(without_a_broker("queues", "status", "--json").stdout)
    text = without_a_broker("queues", "status").stdout

    assert well["broker_error"] == ""
    assert found["outbox"] == 1
    assert "refused" in found["broker_error"]
    assert "1 events wait for the relay" in text
    assert "The broker is down (" in text


def test_percentiles_are_right_to_half_a_percent(six: list[int]) -> None:
    now = timezone.now()
    for place, id in enumerate(six):
        Delivery.objects.filter(id=id).update(
            state="done", due_at=None, finished_at=now, recorded_at=now - timedelta(seconds=place)
        )

    (row,) = (row for row in answer("status")["queues"] if row["queue"] == QUEUE)

    assert row["p50_ms"] == pytest.approx(2_000, rel=0.005)
    assert row["p95_ms"] == row["p99_ms"] == pytest.approx(5_000, rel=0.005)


def test_each_kind_of_delivery_is_listed(six: list[int]) -> None:
    until = timezone.now() + timedelta(minutes=1)
    Lease.objects.create(
        handler="probe.write", queue=QUEUE, worker="w", deliveries=six[:1], expires_at=until
    )
    Delivery.objects.filter(id=six[1]).update(state="retry", error="Refused: b")
    finished = {"due_at": None, "finished_at": timezone.now()}
    for id, state in zip(six[2:5], ("done", "dead", "discarded"), strict=True):
        Delivery.objects.filter(id=id).update(state=state, **finished)

    kinds = ("active", "retrying", "done", "dead", "discarded", "waiting")
    found = [[row["id"] for row in answer("list", QUEUE, "--state", kind)] for kind in kinds]

    assert found == [[id] for id in six]
    assert answer("list", QUEUE, "--state", "waiting", "--handler", "probe.none") == []
    assert len(answer("list", "feeds", "--state", "waiting", "--type", "probe.sent")) == 6
    assert "Refused: b" in printed("list", QUEUE, "--state", "retrying")


def test_what_waits_is_listed_as_it_will_be_taken(six: list[int]) -> None:
    first = answer("list", QUEUE, "--state", "waiting", "--limit", "5")

    assert [row["id"] for row in first] == six[:5]
    assert [row["priority"] for row in first] == [5, 5, 5, 5, 1]


def test_pausing_twice_keeps_who_did_it_first(six: list[int]) -> None:
    first = answer("pause", QUEUE, "--reason", "look")
    again = answer("pause", QUEUE, "--reason", "look closer")
    resumed = answer("resume", QUEUE)

    assert (first["changed"], again["changed"], resumed["changed"]) == (True, False, True)
    assert (first["paused_at"], "look closer") == (again["paused_at"], again["reason"])
    assert (resumed["paused"], resumed["reason"]) == (False, "")
    acts = Operation.objects.order_by("id").values_list("action", "count")
    assert list(acts) == [("queue.pause", 1), ("queue.pause", 0), ("queue.resume", 1)]


@pytest.mark.parametrize("act", [actions.purge, actions.retry_now])
def test_an_action_on_a_selection_that_is_empty_by_now_changes_nothing(
    six: list[int], act: Callable[..., object]
) -> None:
    later = timezone.now() + timedelta(hours=1)
    Delivery.objects.filter(id__in=six).update(state="retry", due_at=later)
    before = list(Delivery.objects.order_by("id").values("id", "state", "due_at"))

    act(Waiting(among=Delivery.objects.filter(queue="gone")), actor="test")

    assert list(Delivery.objects.order_by("id").values("id", "state", "due_at")) == before


def test_a_purge_leaves_what_is_in_hand_and_says_so(in_hand: list[int]) -> None:
    looked = answer("purge", QUEUE, "--dry-run")
    purged = answer("purge", QUEUE, "--yes")

    # A lock can't be seen before it is met.
    assert (looked["would_discard"], looked["in_hand"]) == (4, 2)
    assert looked["handlers"] == {"probe.write": 4}
    # The handlers of the preview are not those of what was discarded.
    assert purged == {"queue": QUEUE, "discarded": 3, "in_hand": 3}
    left = Delivery.objects.filter(queue=QUEUE, due_at__isnull=False).order_by("id")
    assert list(left.values_list("id", flat=True)) == in_hand
    assert states_in("feeds") == Counter(queued=6)
    act = Operation.objects.get()
    assert (act.action, act.actor, act.count) == ("queue.purge", "command line", 3)


@pytest.mark.parametrize(
    ("filters", "discarded"),
    [
        (["--handler", "probe.write"], 6),
        (["--handler", "probe.call"], 0),
        (["--type", "probe.sent"], 6),
        (["--type", "probe.spread"], 0),
        (["--older-than", "0s"], 6),
        (["--older-than", "1h"], 2),
        (["--older-than", "3d"], 0),
    ],
)
def test_a_purge_takes_what_fits_all_filters(
    six: list[int], filters: list[str], discarded: int
) -> None:
    old = timezone.now() - timedelta(hours=2)
    Delivery.objects.filter(id__in=six[:2]).update(recorded_at=old)

    assert answer("purge", QUEUE, "--yes", *filters)["discarded"] == discarded
    assert states_in(QUEUE)["discarded"] == discarded


def test_without_a_terminal_a_purge_wants_to_be_sure(six: list[int]) -> None:
    with pytest.raises(CommandError, match="6 deliveries would be discarded for good: check with"):
        printed("purge", QUEUE)

    assert states_in(QUEUE) == Counter(queued=6)


@pytest.mark.parametrize(("said", "left"), [("y", 0), ("", 6), ("n", 6)])
def test_on_a_terminal_a_purge_asks(
    six: list[int], monkeypatch: pytest.MonkeyPatch, said: str, left: int
) -> None:
    asked: list[str] = []

    def reply(question: str) -> str:
        asked.append(question)
        return said

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", reply)

    try:
        printed("purge", QUEUE)
    except CommandError as error:
        assert str(error) == "Nothing was discarded."  # noqa: PT017 - one of the cases

    assert asked == ["Discard these 6 deliveries for good? [y/N] "]
    assert states_in(QUEUE)["queued"] == left


def test_an_act_that_is_interrupted_is_written_down_as_far_as_it_came(
    six: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "BATCH", 2)

    def interrupt(count: int) -> None:
        if count == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        actions.purge(Waiting(queue=QUEUE), actor="test", progress=interrupt)

    assert states_in(QUEUE) == Counter(discarded=4, queued=2)
    assert Operation.objects.get().count == 4


def test_a_discarded_delivery_is_passed_over_when_its_message_comes(
    six: list[int],
) -> None:
    actions.purge(Waiting(queue=QUEUE), actor="test")

    with transaction.atomic():
        assert deliveries.claim(handlers["probe.write"], six) == []


def test_retries_become_due_but_turns_under_a_limit_stay(six: list[int]) -> None:
    later = timezone.now() + timedelta(hours=1)
    Delivery.objects.filter(id__in=six[:3]).update(state="retry", due_at=later)
    Delivery.objects.filter(id=six[2]).update(error=deliveries.RATE_LIMITED)

    assert answer("retry", QUEUE, "--handler", "probe.call")["retried"] == 0
    assert answer("retry", QUEUE)["retried"] == 2

    still = Delivery.objects.filter(state="retry", due_at__gt=timezone.now())
    assert list(still.values_list("id", flat=True)) == [six[2]]
    acts = Operation.objects.order_by("id").values_list("action", "count")
    assert list(acts) == [("queue.retry", 0), ("queue.retry", 2)]


def test_only_what_ended_so_long_ago_is_cleaned(six: list[int]) -> None:
    long_ago = timezone.now() - timedelta(days=8)
    ends = {"done": six[:2], "dead": six[2:3], "discarded": six[3:4]}
    for state, ids in ends.items():
        Delivery.objects.filter(id__in=ids).update(state=state, due_at=None, finished_at=long_ago)
    Delivery.objects.filter(id=six[1]).update(finished_at=timezone.now() - timedelta(hours=2))
    for id in six[:3]:
        Attempt.objects.create(delivery_id=id, number=1, worker="w", error="e")

    assert answer("clean", QUEUE, "--older-than", "7d")["deleted"] == 1
    assert states_in(QUEUE) == Counter(done=1, dead=1, discarded=1, queued=2)
    assert answer("clean", QUEUE, "--older-than", "7d", "--state", "dead")["deleted"] == 1
    assert answer("clean", QUEUE, "--older-than", "7d", "--state", "discarded")["deleted"] == 1
    assert states_in(QUEUE) == Counter(done=1, queued=2)
    assert list(Attempt.objects.values_list("delivery_id", flat=True)) == [six[1]]
    assert Event.objects.count() == 6
    assert sum(Operation.objects.values_list("count", flat=True)) == 3


def test_limits_and_concurrency_are_set_and_taken_back(db: None) -> None:
    limited = answer("limit", "feeds", "--rate", "100/60", "--group", "5/30")
    lifted = answer("limit", "feeds", "--rate", "none")
    reset = answer("limit", "feeds", "--default")
    wider = answer("concurrency", "feeds", "7")
    usual = answer("concurrency", "feeds", "--default")

    numbers = ("rate_limit", "rate_seconds", "group_limit", "group_seconds")
    assert [limited[name] for name in numbers] == [100, 60, 5, 30]
    assert (lifted["rate_limit"], lifted["group_limit"]) == (0, 5)
    assert [reset[name] for name in numbers] == [0, 60, 0, 60]
    assert (wider["concurrency"], usual["concurrency"]) == (7, policy_of("feeds").concurrency)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pause", "letters"], "The queues are: notifications, feeds, events"),
        (["list", "letters", "--state", "dead"], "The queues are: notifications"),
        (["limit", "feeds"], "Give --rate 100/60"),
        (["limit", "feeds", "--rate", "100"], "give calls/seconds as 100/60"),
        (["limit", "feeds", "--rate", "5/0"], "give calls/seconds as 100/60"),
        (["concurrency", "feeds"], "Give a number, or --default"),
        (["concurrency", "feeds", "0"], "pause the queue instead"),
        (["clean", "feeds", "--older-than", "week"], "give one as 90s, 30m, 12h or 7d"),
        (["clean", "feeds", "--older-than", "10m"], "give an age of 1h or more"),
        (["clean", "feeds", "--older-than", "999999999d"], "too long"),
        (["list", "feeds", "--state", "lost"], "invalid choice"),
        (["list", "feeds", "--state", "dead", "--limit", "9" * 20], "not a whole number from 1"),
    ],
)
def test_what_cannot_be_meant_is_answered_by_what_can(
    db: None, arguments: list[str], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        printed(*arguments)

    assert not Operation.objects.exists()


def test_what_waits_in_a_queue_that_left_the_table_can_be_given_up(six: list[int]) -> None:
    Delivery.objects.filter(queue=QUEUE).update(queue="letters")

    assert answer("purge", "letters", "--yes")["discarded"] == 6
