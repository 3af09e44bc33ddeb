"""The way of an event, on the real broker and in real worker processes."""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from celery import current_app
from django.conf import settings
from django.db import connections, transaction
from kombu.entity import Queue

from eventbook.models import Delivery, Event, Lease, OutboxEntry
from eventbook.operate import actions
from eventbook.operate.actions import DeadLetters
from eventbook.record.outbox import OutsideTransaction, Priority, recording
from eventbook.relay.relay import Relay
from eventbook.store.replay import Progress, Selection, replay
from eventbook.testing import relay_once, without_consumers
from tests.conftest import Drain
from tests.harness.deliveries import purge
from tests.harness.processes import wait_for
from tests.probe.behaviours import go_file
from tests.probe.models import Effect
from tests.probe.sending import send, states
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_signal_outside_a_transaction_raises() -> None:
    with pytest.raises(OutsideTransaction, match=r"inside transaction\.atomic"):
        probe_sent.send(sender=None, event=ProbeSent(key="a"))

    assert Event.objects.count() == 0


def test_a_recording_outside_a_transaction_raises_before_its_changes_can_commit() -> None:
    with pytest.raises(OutsideTransaction, match=r"inside transaction\.atomic"), recording():
        send("a")

    assert Event.objects.count() == 0


def test_a_recording_drops_the_events_of_a_savepoint_that_was_rolled_back() -> None:
    with transaction.atomic(), recording():
        probe_sent.send(sender=None, event=ProbeSent(key="before"))
        with suppress(ZeroDivisionError), transaction.atomic():
            probe_sent.send(sender=None, event=ProbeSent(key="undone"))
            raise ZeroDivisionError
        with transaction.atomic():
            probe_sent.send(sender=None, event=ProbeSent(key="after"))

    recorded = Event.objects.order_by("id").values_list("data__key", flat=True)
    assert list(recorded) == ["before", "after"]


def test_a_rolled_back_transaction_leaves_no_event() -> None:
    with transaction.atomic():
        probe_sent.send(sender=None, event=ProbeSent(key="a"))
        transaction.set_rollback(True)

    assert (Event.objects.count(), OutboxEntry.objects.count()) == (0, 0)


def test_an_event_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="takes ProbeSent"), transaction.atomic():
        probe_sent.send(sender=None, event="no event")


def test_each_event_reaches_each_handler_once(drain: Drain) -> None:
    send("a", "b", "c")

    drain()

    assert states("probe.write") == states("probe.call") == Counter(done=3)
    assert sorted(Effect.objects.values_list("key", flat=True)) == ["a", "b", "c"]
    assert OutboxEntry.objects.count() == 0
    # After a call outside, the lease is given back once it is told that the delivery is done.
    wait_for(lambda: Lease.objects.count() == 0, seconds=5, what="no lease is left")


def test_a_message_that_comes_again_changes_nothing(drain: Drain) -> None:

    send("a", "b")
    drain()
    ids = list(Delivery.objects.filter(handler="probe.write").values_list("id", flat=True))

    for _ in range(10):
        current_app.tasks["probe.write"].apply_async((ids,), queue="notifications")
    send("last")
    drain()

    assert Counter(Effect.objects.values_list("key", flat=True)) == Counter(a=1, b=1, last=1)


def test_one_bad_event_costs_its_neighbours_nothing(drain: Drain) -> None:
    with transaction.atomic(), recording():
        for key in "abcde":
            behaviour = "raise" if key == "c" else "ok"
            probe_sent.send(sender=None, event=ProbeSent(key=key, behaviour=behaviour))

    drain()

    assert states() == Counter(done=4, dead=1)
    dead = Delivery.objects.get(handler="probe.write", state="dead")
    assert dead.attempts == settings.QUEUES["notifications"].max_attempts
    assert "Refused: c" in dead.error
    attempts = Delivery.objects.filter(handler="probe.write", state="done")
    assert set(attempts.values_list("attempts", flat=True)) == {0}
    assert sorted(Effect.objects.values_list("key", flat=True)) == ["a", "b", "d", "e"]


def test_a_handler_that_says_later_is_asked_again_and_charged_nothing(drain: Drain) -> None:
    with transaction.atomic(), recording():
        for key in ("put-off", "neighbour"):
            behaviour = "put_off_once" if key == "put-off" else "ok"
            probe_sent.send(sender=None, event=ProbeSent(key=key, behaviour=behaviour))

    drain()

    assert states("probe.write") == states("probe.call") == Counter(done=2)
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}
    assert sorted(Effect.objects.values_list("key", flat=True)) == ["neighbour", "put-off"]


def test_an_event_that_kills_its_worker_ends_as_a_dead_letter(drain: Drain) -> None:
    with transaction.atomic(), recording():
        for key in "abc":
            behaviour = "die" if key == "b" else "ok"
            probe_sent.send(sender=None, event=ProbeSent(key=key, behaviour=behaviour))

    drain(120)

    assert states() == Counter(done=2, dead=1)
    dead = Delivery.objects.get(handler="probe.write", state="dead")
    assert "died, or hung" in dead.error
    done = Delivery.objects.filter(handler="probe.write", state="done")
    assert set(done.values_list("attempts", flat=True)) == {0}
    assert sorted(Effect.objects.values_list("key", flat=True)) == ["a", "c"]


def test_an_event_whose_worker_dies_once_is_done_and_has_its_effect_once(drain: Drain) -> None:
    send("once", behaviour="die_once")

    drain(60)

    assert states() == Counter(done=1)
    assert Effect.objects.filter(handler="probe.write").count() == 1


def test_an_event_whose_worker_hangs_is_done_by_another_one(drain: Drain) -> None:
    with transaction.atomic(), recording():
        for key in ("frozen", "neighbour"):
            behaviour = "freeze_once" if key == "frozen" else "ok"
            probe_sent.send(sender=None, event=ProbeSent(key=key, behaviour=behaviour))

    try:
        drain(60)
    finally:
        os.kill(int(go_file("frozen").read_text()), signal.SIGKILL)

    assert states() == Counter(done=2)
    effects = Effect.objects.filter(handler="probe.write").values_list("key", flat=True)
    assert Counter(effects) == Counter(frozen=1, neighbour=1)


def test_a_dead_letter_that_is_replayed_gets_all_its_attempts_again(drain: Drain) -> None:
    send("later", behaviour="raise_until_told")
    drain()
    assert states() == states("probe.call") == Counter(dead=1)

    go_file("later").touch()
    count = actions.replay_dead_letters(DeadLetters(queue="notifications"), actor="test")
    drain()

    assert count == 1
    assert states() == Counter(done=1)
    assert states("probe.call") == Counter(dead=1)


def test_a_discarded_dead_letter_stays_on_record_and_is_never_delivered(drain: Drain) -> None:
    send("never", behaviour="raise")
    drain()

    actions.discard_dead_letters(DeadLetters(handler="probe.write"), actor="test")
    drain()

    assert states() == Counter(discarded=1)
    assert Effect.objects.count() == 0


def test_a_replay_delivers_what_was_done_again_and_only_to_that_handler(drain: Drain) -> None:
    send("a", "b")
    drain()

    (progress,) = replay(Selection(handler="probe.write"), actor="test")
    drain()

    assert progress == Progress("probe.write", events=2, again=2)
    assert Counter(Effect.objects.values_list("key", flat=True)) == Counter(a=2, b=2)
    assert states("probe.call") == Counter(done=2)


def test_a_message_that_the_broker_lost_is_published_again(drain: Drain) -> None:
    send("lost", "kept")
    with without_consumers("notifications"):
        relay_once()
        purged = purge("notifications")

    drain()

    assert purged == 1
    assert states() == Counter(done=2)
    twice = Delivery.objects.filter(handler="probe.write").values_list("publications", flat=True)
    assert list(twice) == [2, 2]


def test_two_relays_at_once_make_each_delivery_once(drain: Drain) -> None:
    for number in range(60):
        send(*(f"{number}-{each}" for each in range(5)))

    def relay() -> int:
        try:
            mine = Relay()
            taken = sum(iter(mine.step, 0))
            mine.broker.close()
            return taken
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        taken = sum(pool.map(lambda _: relay(), range(2)))
    drain()

    assert taken == 300
    assert states() == states("probe.call") == Counter(done=300)
    assert Effect.objects.filter(handler="probe.write").count() == 300


def test_outside_effects_carry_the_same_key_in_every_attempt(drain: Drain) -> None:
    send("outside-key", behaviour="raise")

    drain()

    event = Event.objects.get()
    lines = (settings.DATA_DIR / "outside.log").read_text().splitlines()
    calls = [line for line in lines if line.endswith(" outside-key")]
    assert calls == [f"{event.id} outside-key"] * settings.QUEUES["feeds"].max_attempts


def test_interactive_work_overtakes_bulk_work(drain: Drain) -> None:
    with without_consumers("notifications"):
        send(*(f"bulk-{number}" for number in range(3)), priority=Priority.BULK)
        relay_once()
        send("quick")
        relay_once()

        order = [peek("notifications"), peek("notifications")]

    assert [len(ids) for ids in order] == [1, 3]
    quick = Delivery.objects.get(event__subject="probes/quick", handler="probe.write")
    assert order[0] == [quick.id]
    drain()
    assert states() == Counter(done=4)


def peek(queue: str) -> list[int]:
    """Take the next message from a queue, and return the ids of its deliveries."""
    with current_app.connection_for_write() as connection:
        message = Queue(queue)(connection.default_channel).get(no_ack=True)
        assert message is not None
        ((ids,), _, _) = message.payload
        return list(ids)
