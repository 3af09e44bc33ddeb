"""Rate limits and budgets, on PostgreSQL's clock."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from eventbook.declare.handlers import handler
from eventbook.declare.queues import policy_of
from eventbook.deliveries.limits import (
    RateLimit,
    RateLimited,
    acquire_permits,
    delete_idle,
    end_permits,
    spend,
)
from eventbook.models import Delivery, Permit, Priority, RateGroup
from eventbook.relay import due
from tests.harness.deliveries import expand_only
from tests.probe.sending import send
from tests.probe.signals import probe_sent

pytestmark = pytest.mark.django_db(transaction=True)

ACCOUNT = RateLimit("account", 3, 1)


def call(limit: RateLimit = ACCOUNT, *, waited: bool = False) -> list[int] | RateLimited:
    """Acquire a permit, release it at once, and return the decision."""
    leave = acquire_permits([limit], longest=60, waited=waited)
    if isinstance(leave, list):
        end_permits(leave, [limit])
    return leave


def test_so_many_are_let_through_and_the_others_get_turns_of_their_own() -> None:
    answers = [call() for _ in range(6)]

    assert [type(answer) for answer in answers] == [list] * 3 + [RateLimited] * 3
    turns = [answer.seconds for answer in answers if isinstance(answer, RateLimited)]
    assert turns == pytest.approx([1.33, 1.67, 2.0], abs=0.1)


def test_processes_that_ask_at_once_get_no_more() -> None:
    def ask(_: int) -> bool:
        try:
            return isinstance(call(), list)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(ask, range(24))) == Counter({True: 3, False: 21})


def test_a_call_counts_until_a_window_after_its_end() -> None:
    slow = acquire_permits([ACCOUNT], longest=60, waited=False)
    assert isinstance(slow, list)
    time.sleep(1.1)
    end_permits(slow, [ACCOUNT])

    answers = [type(call()) for _ in range(3)]

    assert answers == [list, list, RateLimited]


def test_a_process_that_dies_in_a_call_uses_its_permit_until_a_window_after_the_longest_call() -> (
    None
):
    once = RateLimit("once", 1, 2)
    assert isinstance(acquire_permits([once], longest=0.1, waited=False), list)

    time.sleep(0.5)

    assert isinstance(call(once), RateLimited)


def test_one_group_does_not_wait_for_another() -> None:
    for _ in range(10):
        call()

    assert isinstance(call(RateLimit("another", 3, 1)), list)


def test_groups_share_what_their_queue_may_do() -> None:
    """One group has many that wait, another has one: that one does not go behind all of them."""
    many = RateLimit("queue", 10, 1, line="many")
    few = RateLimit("queue", 10, 1, line="few")
    last = [call(many) for _ in range(60)][-1]

    other = call(few)

    assert isinstance(last, RateLimited)
    assert last.seconds > 4
    assert isinstance(other, RateLimited)
    assert other.seconds < 1.2


def test_who_waits_goes_first() -> None:
    for _ in range(4):
        call()
    time.sleep(1.1)

    fresh = call()
    waited = call(waited=True)

    assert (type(fresh), type(waited)) == (RateLimited, list)


def test_every_limit_counts() -> None:
    queue = RateLimit("queue", 2, 1)
    answers = [
        acquire_permits([queue, RateLimit(f"account {n}", 5, 1)], longest=60, waited=True)
        for n in "abc"
    ]

    assert [type(answer) for answer in answers] == [list, list, RateLimited]
    assert Permit.objects.filter(group="account c").count() == 0


def test_a_budget_grows_with_time_and_holds_two_seconds() -> None:
    first = spend("retries", rate=20, wanted=1000)
    time.sleep(0.5)
    later = spend("retries", rate=20, wanted=1000)

    assert first == 40
    assert 7 <= later <= 13
    assert RateGroup.objects.get(name="retries").tokens < 1


def test_groups_that_nobody_uses_are_forgotten() -> None:
    busy = RateLimit("busy", 3, 1)
    for limit in (ACCOUNT, busy):
        call(limit)
    yesterday = timezone.now() - timedelta(days=1, seconds=1)
    RateGroup.objects.filter(name="account").update(reserved_until=yesterday, refilled_at=yesterday)
    Permit.objects.filter(group="account").update(until=yesterday)

    delete_idle()

    assert list(RateGroup.objects.values_list("name", flat=True)) == ["busy"]
    assert list(Permit.objects.values_list("group", flat=True)) == ["busy"]
    assert isinstance(call(), list)


def test_retries_are_taken_within_the_budget_and_nothing_else_is_held_back() -> None:
    send(*(f"k{number}" for number in range(60)))
    policy = dataclasses.replace(policy_of("notifications"), retry_rate=10)
    expand_only("probe.write")
    ids = list(Delivery.objects.order_by("id").values_list("id", flat=True))
    Delivery.objects.filter(id__in=ids[:50]).update(state="retry", attempts=1)

    with transaction.atomic():
        taken = due.claim_due(policy, priority=Priority.INTERACTIVE, sweep=False, limit=1000)

    assert len(taken) == 20 + 10


def test_only_outside_effects_have_groups() -> None:
    subscribe = handler(probe_sent, queue="events", name="probe.group", group=str)

    with pytest.raises(ValueError, match="outside the database"):
        subscribe(lambda events: None)
