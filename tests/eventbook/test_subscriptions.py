"""Handlers that are new, renamed or removed between releases: nothing is skipped in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.utils import timezone

from eventbook.declare.events import Recorded
from eventbook.declare.handlers import Handler, handler, handlers
from eventbook.declare.queues import all_policies
from eventbook.deliveries.subscriptions import catch_up, subscribe
from eventbook.models import Delivery, Operation, Priority, Subscription
from eventbook.operate import actions
from eventbook.operate.queries.deliveries import unknown_handlers
from eventbook.relay import due
from eventbook.relay.relay import Relay
from tests.harness.deliveries import expand_only
from tests.probe.sending import send, states
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)

Events = Sequence[Recorded[ProbeSent]]


@contextmanager
def release_with(name: str, **options: Any) -> Iterator[list[str]]:
    """Add a handler, as a new release does; the list fills with the keys that it handled."""
    handled: list[str] = []

    @handler(probe_sent, queue="events", name=name, **options)
    def keep(events: Events) -> None:
        handled.extend(recorded.event.key for recorded in events)

    try:
        yield handled
    finally:
        current_app.tasks.unregister(name)
        for known in handlers[name].names:
            del handlers[known]


def deliver(known: Handler) -> None:
    """Execute all open deliveries of a handler, as a worker does."""
    from eventbook.work.execution import run_deliveries

    ids = Delivery.objects.filter(handler__in=known.names, due_at__isnull=False)
    run_deliveries(known, list(ids.values_list("id", flat=True)))


def test_on_a_fresh_installation_every_handler_is_subscribed_from_the_beginning() -> None:
    new = subscribe()

    assert set(new) == {known.name for known in handlers.values()}
    assert {row.since.year for row in Subscription.objects.all()} == {1970}
    assert subscribe() == []


def test_a_new_handler_gets_what_an_old_relay_expanded_after_the_deploy_began() -> None:
    subscribe()
    send("before")
    expand_only()
    with release_with("probe.added") as handled:
        assert subscribe() == ["probe.added"]
        added = handlers.pop("probe.added")
        send("during the deploy")
        expand_only()  # by an old relay, that doesn't know the handler
        handlers["probe.added"] = added

        assert (catch_up(), catch_up()) == (1, 0)
        deliver(added)

        assert handled == ["during the deploy"]


def test_the_relay_catches_up_by_itself() -> None:
    subscribe()
    with release_with("probe.added"):
        subscribe()
        added = handlers.pop("probe.added")
        send("during the deploy")
        expand_only()
        handlers["probe.added"] = added
        # Nothing is published: a worker would be at it while the next test empties the tables.
        for queue in ("events", "notifications", "feeds"):
            actions.pause(queue, actor="test")

        relay = Relay()
        relay.step()
        relay.broker.close()

        assert states("probe.added") == Counter(queued=1)


def test_what_still_waits_in_the_outbox_is_not_missed_twice() -> None:
    subscribe()
    with release_with("probe.added"):
        subscribe()
        send("a")

        assert catch_up() == 0
        expand_only()

        assert states("probe.added") == Counter(queued=1)


def test_a_subscription_is_old_once_no_old_relay_can_run() -> None:
    subscribe()
    with release_with("probe.added"):
        subscribe()
        added = handlers.pop("probe.added")
        send("a")
        expand_only()
        handlers["probe.added"] = added
        Subscription.objects.filter(handler="probe.added").update(
            since=timezone.now() - timedelta(hours=1)
        )

        assert catch_up() == 0


def test_a_renamed_handler_takes_over_what_is_open_under_its_old_name() -> None:
    with release_with("probe.old"):
        subscribe()
        send("a", "b")
        expand_only()
        deliver_first(handlers["probe.old"])
    with release_with("probe.new", formerly=["probe.old"]) as handled:
        since = Subscription.objects.get(handler="probe.old").since
        subscribe()
        send("c")
        expand_only()
        deliver(handlers["probe.new"])

        assert sorted(handled) == ["b", "c"]
        assert states("probe.old") == Counter(done=2)
        assert states("probe.new") == Counter(done=1)
        assert catch_up() == 0
        assert Subscription.objects.get(handler="probe.new").since == since


def deliver_first(known: Handler) -> None:
    from eventbook.work.execution import run_deliveries

    first = Delivery.objects.filter(handler=known.name).earliest("id")
    run_deliveries(known, [first.pk])


def test_a_renamed_handlers_open_deliveries_are_published_under_the_new_name() -> None:
    from eventbook.brokers.messages import chunks

    with release_with("probe.old"):
        send("a")
        expand_only()
    with release_with("probe.new", formerly=["probe.old"]):
        policy = all_policies()["events"]
        taken = due.claim_due(policy, priority=Priority.INTERACTIVE, sweep=False, limit=10)

        assert [(pending.handler, handlers[pending.handler].name) for pending in taken] == [
            ("probe.old", "probe.new")
        ]
        assert [name for name, _ in chunks(taken)] == ["probe.old"]


def test_what_waits_for_a_removed_handler_stays_and_is_named() -> None:
    with release_with("probe.removed"):
        send("a")
        expand_only()

    assert unknown_handlers(list(handlers)) == ["probe.removed"]
    assert states("probe.removed") == Counter(queued=1)


def test_what_waits_for_a_removed_handler_can_be_given_up() -> None:
    with release_with("probe.removed"):
        send("a")
        expand_only()
        with pytest.raises(CommandError, match="will be delivered"):
            call_command("dead-letters", "discard", "--removed", "probe.removed")

    call_command("dead-letters", "discard", "--removed", "probe.removed", stdout=StringIO())

    assert unknown_handlers(list(handlers)) == []
    assert states("probe.removed") == Counter(discarded=1)
    assert Operation.objects.get().details == {"handler": "probe.removed"}


def test_two_handlers_do_not_claim_one_name() -> None:
    taken: Callable[..., Any] = handler
    with release_with("probe.new"), pytest.raises(ValueError, match="is taken"):
        taken(probe_sent, queue="events", name="probe.other", formerly=["probe.new"])(print)
