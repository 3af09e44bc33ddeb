"""Work that is too large for one transaction: ranges of keys, each a delivery of its own."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from eventbook.declare.handlers import handlers
from eventbook.deliveries import states
from eventbook.models import Delivery, Priority
from eventbook.operate import actions
from eventbook.store.replay import Progress, Selection, replay
from eventbook.work.execution import run_deliveries
from tests.conftest import Drain
from tests.harness.deliveries import expand_only, recorded
from tests.probe.handlers import PART, parts
from tests.probe.models import Effect
from tests.probe.sending import send_large
from tests.probe.signals import ProbeSpread

pytestmark = pytest.mark.django_db(transaction=True)

SPREAD = "probe.spread"
SIZE = 5 * PART + 1  # six parts
EVERY_EFFECT = Counter(f"large-{n}" for n in range(SIZE))


def effects() -> Counter[str]:
    return Counter(Effect.objects.filter(handler=SPREAD).values_list("key", flat=True))


def parts_of(event: UUID) -> list[tuple[int, str, int, bool]]:
    rows = Delivery.objects.filter(event=event, handler=SPREAD, part__gt=0).order_by("part")
    return [(row.part, row.state, row.priority, row.isolated) for row in rows]


def split_here(event: UUID) -> int:
    """Run the delivery of the whole event in this process, and return its id."""
    expand_only(SPREAD)
    root = Delivery.objects.get(event=event, handler=SPREAD).pk
    assert run_deliveries(handlers[SPREAD], [root]) == {"done": 1}
    return int(root)


def test_a_large_event_has_all_its_effects_once_in_parts_of_bulk_work(drain: Drain) -> None:
    event = send_large("large", SIZE)

    drain()

    assert effects() == EVERY_EFFECT
    assert parts_of(event) == [(part, "done", Priority.BULK, True) for part in range(1, 7)]


def test_a_small_event_is_not_split(drain: Drain) -> None:
    event = send_large("small", PART)

    drain()

    assert effects().total() == PART
    assert parts_of(event) == []


def test_splitting_twice_makes_no_part_twice() -> None:
    event = send_large("large", SIZE)
    root = split_here(event)

    states.split(root, parts(recorded(ProbeSpread))[event])

    assert [part for part, *_ in parts_of(event)] == [1, 2, 3, 4, 5, 6]


def test_a_dead_part_alone_is_replayed(drain: Drain) -> None:
    split_here(send_large("large", SIZE))
    second = Delivery.objects.get(handler=SPREAD, part=2)
    Delivery.objects.filter(pk=second.pk).update(state="dead", due_at=None)
    drain()
    assert effects().total() == SIZE - PART

    count = actions.replay_dead_letters(actions.DeadLetters(ids=[second.pk]), actor="a test")
    drain()

    assert count == 1
    assert effects() == EVERY_EFFECT


def test_an_event_that_was_split_is_split_again_without_gap_or_double(drain: Drain) -> None:
    event = send_large("large", SIZE)
    drain()
    Effect.objects.all().delete()

    replay(Selection(handler=SPREAD), actor="test")
    drain()

    assert effects() == EVERY_EFFECT
    assert [part for part, *_ in parts_of(event)] == [1, 2, 3, 4, 5, 6]


def test_while_a_part_is_open_the_event_is_not_replayed() -> None:
    split_here(send_large("large", SIZE))

    (progress,) = replay(Selection(handler=SPREAD), actor="test")

    assert progress == Progress(SPREAD, events=1, still_open=1)
