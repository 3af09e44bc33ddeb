"""What a worker decides on the deliveries of a burst that it has claimed."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from eventbook.declare.handlers import handlers
from eventbook.deliveries.bursts import WAITS, admit
from eventbook.deliveries.outcomes import Outcomes
from eventbook.deliveries.states import RATE_LIMITED, claim, finish
from eventbook.models import Burst, Delivery
from eventbook.relay.due import claim_due
from eventbook.store import retention
from eventbook.work.execution import run_deliveries
from tests.conftest import Drain
from tests.eventbook.conftest import Staff
from tests.harness.deliveries import expand_only
from tests.harness.interleaving import SecondSession, second_session
from tests.harness.processes import wait_for
from tests.probe.sending import effects, send_repeated, states

pytestmark = pytest.mark.django_db(transaction=True)

DEBOUNCE = ("probe.debounce", "probe.debounce_outside")
THROTTLE = ("probe.throttle", "probe.throttle_outside")
DEBOUNCED, LONGEST, THROTTLED = 2, 5, 2  # seconds, as the probes' handlers declare


def run(name: str, *groups: str) -> Outcomes:
    """Run a handler's queued deliveries as one batch: all, or those of these groups."""
    mine = Delivery.objects.filter(handler=name, state="queued")
    if groups:
        mine = mine.filter(event__data__group__in=groups)
    return run_deliveries(handlers[name], list(mine.values_list("id", flat=True)))


def sent(name: str, group: str, *keys: str, behaviour: str = "ok") -> None:
    """Send probes, and create a handler's deliveries of them."""
    send_repeated(group, *keys, behaviour=behaviour)
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


def test_a_claimed_part_has_no_burst() -> None:
    """A handler that once split its events may have open parts."""
    sent("probe.debounce", "a", "1")
    Delivery.objects.update(part=1, bounds=[1, 2])

    assert run("probe.debounce") == Counter(done=1)


def test_the_admin_shows_bursts_and_the_handlers_limits(staff: Staff) -> None:
    sent("probe.debounce", "rare", "1")
    run("probe.debounce")
    browser = staff("olga", "view_burst", "view_delivery", "view_event")

    assert "rare" in browser.get("/admin/eventbook/burst/").content.decode()
    (id,) = Delivery.objects.values_list("id", flat=True)
    page = browser.get(f"/admin/eventbook/delivery/{id}/change/").content.decode()
    assert "only the last event before 2 s without one, at most 5 s" in page
    assert WAITS in browser.get("/admin/eventbook/delivery/").content.decode()
