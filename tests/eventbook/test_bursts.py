"""Of several events with one key, a handler gets the last one, or one each so many seconds."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from eventbook.declare.bursts import Debounce, Throttle
from eventbook.declare.events import KeyRange
from eventbook.declare.handlers import handlers, register
from eventbook.deliveries.bursts import SUPERSEDED, WAITS, admit
from eventbook.deliveries.outcomes import Outcomes
from eventbook.deliveries.states import RATE_LIMITED, claim, finish
from eventbook.models import Burst, Delivery
from eventbook.record.outbox import recording
from eventbook.relay.due import claim_due
from eventbook.store import retention
from eventbook.work.execution import run_deliveries
from tests.conftest import Drain
from tests.harness.deliveries import expand_only
from tests.harness.interleaving import SecondSession, second_session
from tests.harness.processes import Workers, end, killed_on_failure, launch, wait_for
from tests.probe.models import Effect
from tests.probe.sending import states
from tests.probe.signals import ProbeRepeated, probe_repeated

pytestmark = pytest.mark.django_db(transaction=True)

DEBOUNCE = ("probe.debounce", "probe.debounce_outside")
THROTTLE = ("probe.throttle", "probe.throttle_outside")
DEBOUNCED, LONGEST, THROTTLED = 2, 5, 2  # seconds, as the probes' handlers declare


def send(group: str, *keys: str, behaviour: str = "ok") -> None:
    """Send repeated probes of a group, in one transaction."""
    with transaction.atomic(), recording():
        for key in keys:
            event = ProbeRepeated(group=group, key=key, behaviour=behaviour)
            probe_repeated.send(sender=None, event=event)


def effects(name: str) -> list[str]:
    """Return the keys of the events that a handler got, in order."""
    return list(Effect.objects.filter(handler=name).order_by("id").values_list("key", flat=True))


def steadily(group: str, *, seconds: float, every: float) -> list[str]:
    """Send a probe each `every` seconds, for so many seconds; return the keys."""
    keys: list[str] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        keys.append(f"{group}-{len(keys)}")
        send(group, keys[-1])
        time.sleep(every)
    return keys


@pytest.fixture
def relay(workers: Workers, tmp_path: Path) -> Iterator[None]:
    """A relay process that has begun to relay."""
    process = launch("relay", log=tmp_path / "relay.log")
    with killed_on_failure(process):
        send("first", "first")
        wait_for(lambda: all_done(4), seconds=30, what="the relay runs")
        Delivery.objects.all().delete()
        Effect.objects.all().delete()
        yield
    end(process, seconds=10)


def all_done(count: int) -> bool:
    return Delivery.objects.filter(state="done").count() == count


def test_the_last_of_a_burst_is_delivered_when_the_burst_has_ended(relay: None) -> None:
    keys = steadily("a", seconds=2.5, every=0.1)
    send("b", "alone")
    count = len(keys) + 1
    wait_for(lambda: all_done(4 * count), seconds=15, what="all have ended")

    for name in DEBOUNCE:
        assert sorted(effects(name)) == [keys[-1], "alone"]
        superseded = Delivery.objects.filter(handler=name, state="done", error=SUPERSEDED)
        assert superseded.count() == len(keys) - 1
        for ran in Delivery.objects.filter(handler=name, state="done", error=""):
            assert ran.finished_at
            assert timedelta(seconds=DEBOUNCED) <= ran.finished_at - ran.recorded_at


def test_a_burst_without_end_is_delivered_again_and_again(relay: None) -> None:
    began = timezone.now()
    keys = steadily("a", seconds=8, every=0.1)
    wait_for(lambda: all_done(4 * len(keys)), seconds=15, what="all have ended")

    for name in DEBOUNCE:
        ran = Delivery.objects.filter(handler=name, error="").order_by("finished_at")
        assert keys[-1] in effects(name)
        assert 2 <= len(ran) <= 3
        first = ran[0].finished_at
        assert first
        assert LONGEST < (first - began).total_seconds() < LONGEST + 2


def test_one_event_each_so_many_seconds_is_delivered_the_first_at_once_and_the_last(
    relay: None,
) -> None:
    began = timezone.now()
    keys = steadily("a", seconds=5, every=0.1)
    wait_for(lambda: all_done(4 * len(keys)), seconds=15, what="all have ended")

    for name in THROTTLE:
        ran = [
            each.finished_at
            for each in Delivery.objects.filter(handler=name, error="").order_by("finished_at")
            if each.finished_at
        ]
        got = effects(name)
        assert {keys[0], keys[-1]} <= set(got)
        assert (ran[0] - began).total_seconds() < THROTTLED, "the first came at once"
        assert 3 <= len(ran) <= 4
        gaps = [(b - a).total_seconds() for a, b in pairwise(ran)]
        # Times are those of commits, and a call begins a little before.
        assert min(gaps) > THROTTLED - 0.5


def test_bursts_survive_a_restart_of_everything(workers: Workers, tmp_path: Path) -> None:
    groups = {f"group-{n}": [f"{n}-{m}" for m in range(10)] for n in range(10)}
    for number in range(2):
        process = launch("relay", log=tmp_path / "relay.log")
        with killed_on_failure(process):
            for group, keys in groups.items():
                send(group, *keys[number * 5 : number * 5 + 5])
            wait_for(lambda: Delivery.objects.filter(error=WAITS).count(), seconds=30, what="waits")
        process.kill()
        process.wait()
        workers.stop()
        workers.start()
    process = launch("relay", log=tmp_path / "relay.log")
    with killed_on_failure(process):
        wait_for(lambda: all_done(400), seconds=30, what="all have ended")
    end(process, seconds=10)

    last = {keys[-1] for keys in groups.values()}
    for name in (*DEBOUNCE, *THROTTLE):
        got = effects(name)
        assert len(got) == len(set(got)) <= 30
        assert last <= set(got)


# -- Single decisions ---------------------------------------------------------------------------


def run(name: str, *groups: str) -> Outcomes:
    """Run a handler's queued deliveries as one batch: all, or those of these groups."""
    mine = Delivery.objects.filter(handler=name, state="queued")
    if groups:
        mine = mine.filter(event__data__group__in=groups)
    return run_deliveries(handlers[name], list(mine.values_list("id", flat=True)))


def sent(name: str, group: str, *keys: str, behaviour: str = "ok") -> None:
    """Send probes, and create a handler's deliveries of them."""
    send(group, *keys, behaviour=behaviour)
    expand_only(name)


def come(name: str) -> None:
    """Let the waits of a handler end, and claim its deliveries as the relay does."""
    past = timezone.now() - timedelta(seconds=1)
    Burst.objects.filter(closed_until__gt=past).update(closed_until=past)
    Delivery.objects.filter(handler=name, state="retry").update(due_at=past)
    policy = handlers[name].policy
    with transaction.atomic():
        claim_due(policy, priority=5, sweep=True, limit=100)


@pytest.mark.parametrize("name", DEBOUNCE)
def test_of_one_batch_the_last_waits_for_the_end(name: str) -> None:
    sent(name, "a", "1", "2", "3")
    sent(name, "b", "4")

    assert run(name) == Counter(held=2, superseded=2)
    assert effects(name) == []
    come(name)
    assert run(name) == Counter(done=2)

    assert sorted(effects(name)) == ["3", "4"]
    assert set(Burst.objects.values_list("delivery", flat=True)) == {None}


@pytest.mark.parametrize("name", THROTTLE)
def test_of_one_batch_the_last_runs_at_once(name: str) -> None:
    sent(name, "a", "1", "2", "3")
    assert run(name) == Counter(done=1, superseded=2)

    sent(name, "a", "4")
    assert run(name) == Counter(held=1)
    sent(name, "a", "5")
    assert run(name) == Counter(held=1)
    come(name)
    assert run(name) == Counter(done=1)

    assert effects(name) == ["3", "5"]
    assert states(name) == Counter(done=5)


@pytest.mark.parametrize("name", [*DEBOUNCE, *THROTTLE])
def test_an_earlier_event_that_comes_late_is_superseded(name: str) -> None:
    sent(name, "a", "now")
    run(name)
    sent(name, "a", "2")
    run(name)
    sent(name, "a", "1")
    early = timezone.now() - timedelta(minutes=1)
    Delivery.objects.filter(event__data__key="1").update(recorded_at=early)

    assert run(name) == Counter(superseded=1)
    come(name)
    run(name)
    assert effects(name)[-1] == "2"


@pytest.mark.parametrize("name", [*DEBOUNCE, *THROTTLE])
def test_one_whose_time_has_come_is_not_superseded(name: str) -> None:
    sent(name, "a", "0")
    run(name)
    sent(name, "a", "1")
    run(name)
    come(name)  # published, but no worker has it yet
    sent(name, "a", "2")
    second = Delivery.objects.get(handler=name, event__data__key="2").pk

    assert run_deliveries(handlers[name], [second]) == Counter(held=1)
    assert run(name) == Counter(done=1)
    come(name)
    assert run(name) == Counter(done=1)
    assert effects(name)[-2:] == ["1", "2"]


def test_a_throttle_that_another_event_closed_meanwhile_lets_nothing_through() -> None:
    name = "probe.throttle"
    for key in "12":
        sent(name, "a", key)
        run(name)
    come(name)
    soon = timezone.now() + timedelta(seconds=5)
    Burst.objects.update(closed_until=soon)

    assert run(name) == Counter(held=1)
    assert Delivery.objects.get(state="retry").due_at == soon


@pytest.mark.parametrize("name", [*DEBOUNCE, *THROTTLE])
def test_what_failed_is_tried_again_without_a_further_wait(name: str) -> None:
    sent(name, "a", "1", behaviour="raise")
    run(name)
    for _ in range(2):
        come(name)
        run(name)

    dead = Delivery.objects.get(handler=name)
    assert (dead.state, dead.attempts) == ("dead", 2)
    come(name)
    sent(name, "a", "2")
    run(name)
    come(name)
    run(name)
    assert effects(name)[-1] == "2"


@pytest.mark.parametrize("name", ["probe.debounce_outside", "probe.throttle_outside"])
def test_what_met_a_rate_limit_runs_when_its_turn_has_come(name: str) -> None:
    sent(name, "a", "1")
    run(name)
    come(name)
    soon = timezone.now() + timedelta(minutes=1)
    Burst.objects.update(closed_until=soon)
    ready = Delivery.objects.get(handler=name).recorded_at + timedelta(seconds=1)
    Delivery.objects.update(state="queued", error=RATE_LIMITED, ready_at=ready, due_at=soon)

    assert run(name) == Counter(done=1)


@pytest.mark.parametrize("name", [*DEBOUNCE, *THROTTLE])
def test_an_event_without_a_key_is_charged_and_its_neighbours_are_not(name: str) -> None:
    sent(name, "none", "bad")
    sent(name, "a", "1")

    outcomes = run(name)
    assert outcomes["retry"] == 1
    come(name)
    run(name)

    assert states(name) == Counter(done=1, dead=1)
    assert effects(name) == ["1"]
    assert "LookupError: bad" in Delivery.objects.get(state="dead").error


def test_keys_may_be_long_and_odd() -> None:
    name = "probe.throttle"
    groups = ["x" * 10_000, "x" * 10_001, "a\nb", "naïve"]
    for group in groups:
        sent(name, group, "1")
    assert run(name) == Counter(done=4)
    assert Burst.objects.count() == 4


def admitted(name: str, id: int) -> tuple[list[int], Counter[str]]:
    """Claim a delivery and decide on it, in the open transaction; finish it if it runs."""
    batch, outcomes = admit(handlers[name], claim(handlers[name], [id]))
    finish([one.id for one in batch])
    return [one.id for one in batch], outcomes


def in_thread(name: str, id: int) -> tuple[list[int], Counter[str]]:
    try:
        with transaction.atomic():
            return admitted(name, id)
    finally:
        connections.close_all()


@pytest.fixture
def two() -> list[int]:
    """Two deliveries of one burst: the first has waited, and its time has come."""
    name = "probe.debounce"
    sent(name, "a", "1")
    run(name)
    later = timezone.now() + timedelta(hours=1)
    Delivery.objects.update(due_at=later)
    sent(name, "a", "2")
    return list(Delivery.objects.order_by("event_id").values_list("id", flat=True))


def test_an_event_that_comes_while_another_runs_begins_a_burst_of_its_own(two: list[int]) -> None:
    come("probe.debounce")
    with second_session() as runner, ThreadPoolExecutor(1) as pool:
        assert runner.do(lambda: admitted("probe.debounce", two[0])) == ([two[0]], Counter())
        coming = pool.submit(in_thread, "probe.debounce", two[1])
        waits_for_a_lock(runner)
        runner.commit()

        assert coming.result(timeout=10) == ([], Counter(held=1))
    assert dict(Delivery.objects.values_list("id", "state")) == {two[0]: "done", two[1]: "retry"}


def waits_for_a_lock(_: SecondSession) -> None:
    from tests.harness.interleaving import someone_waits

    wait_for(someone_waits, seconds=10, what="the other waits for the burst")


def test_one_that_is_being_superseded_is_passed_over(two: list[int]) -> None:
    with second_session() as newcomer:
        assert newcomer.do(lambda: admitted("probe.debounce", two[1])) == ([], Counter(held=1))
        assert run("probe.debounce") == Counter()
        newcomer.commit()

    assert states("probe.debounce") == Counter(done=1, retry=1)
    assert Burst.objects.get().delivery == two[1]


def test_workers_that_meet_run_one_of_a_burst(drain: Drain) -> None:
    name = "probe.throttle"
    sent(name, "a", *map(str, range(40)))
    ids = list(Delivery.objects.order_by("id").values_list("id", flat=True))

    def work(id: int) -> Outcomes:
        try:
            return run_deliveries(handlers[name], [id])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        outcomes = sum((Counter(each) for each in pool.map(work, ids)), Counter[str]())
    assert outcomes["done"] == 1
    drain()

    assert states(name) == Counter(done=40)
    assert len(effects(name)) == 2
    assert effects(name)[-1] == "39"


def test_rows_of_keys_are_deleted_when_nothing_waits() -> None:
    sent("probe.debounce", "waits", "1")
    sent("probe.throttle", "rests", "1")
    run("probe.debounce")
    run("probe.throttle")
    ago = timezone.now() - timedelta(days=2)
    Burst.objects.update(changed_at=ago, closed_until=None)

    retention.prune()

    assert list(Burst.objects.values_list("key", flat=True)) == ["waits"]


def parts(events: Any) -> dict[Any, list[KeyRange]]:
    return {}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"split": parts}, "`burst` excludes"), ({"time_limit_seconds": 0}, "time limit")],
)
def test_options_that_exclude_each_other_are_refused(options: Any, message: str) -> None:
    new = dataclasses.replace(handlers["probe.throttle"], name="probe.new", **options)
    with pytest.raises(ValueError, match=message):
        register(new)


@pytest.mark.parametrize(
    "burst",
    [(Debounce, {"seconds": 0}), (Debounce, {"seconds": 5, "longest": 4}),
     (Throttle, {"seconds": 0})],
)  # fmt: skip
def test_a_burst_has_a_length(burst: Any) -> None:
    kind, options = burst
    with pytest.raises(ValueError, match="must be more than 0"):
        kind(key=str, **options)


def test_a_claimed_part_has_no_burst() -> None:
    """A handler that once split its events may have open parts."""
    sent("probe.debounce", "a", "1")
    Delivery.objects.update(part=1, bounds=[1, 2])

    assert run("probe.debounce") == Counter(done=1)
