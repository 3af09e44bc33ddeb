"""Work that is too large for one transaction: ranges of keys, each a delivery of its own."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from uuid import UUID

import pytest
from django.conf import settings

from accounts.models import Follow, User
from accounts.queries import follower_ranges
from accounts.services import unfollow
from cards.models import Card
from eventbook.declare.events import ALL_KEYS
from eventbook.deliveries import states
from eventbook.models import Delivery, Event, Priority
from eventbook.operate import actions
from notifications.models import Notification
from tests.conftest import Drain
from tests.harness.deliveries import expand_only
from tests.library import followers_of, save

pytestmark = pytest.mark.django_db(transaction=True)

SPLIT = "notifications.notify_card_added"
FOLLOWERS = 5 * settings.FAN_OUT_RANGE + 1


def parts_of(handler: str) -> list[tuple[int, str, int, bool]]:
    rows = Delivery.objects.filter(handler=handler, part__gt=0).order_by("part")
    return [(row.part, row.state, row.priority, row.isolated) for row in rows]


def receivers(card: Card) -> Counter[int]:
    told = Notification.objects.filter(card_id=card.pk)
    return Counter(told.values_list("recipient_id", flat=True))


def test_ranges_cover_every_key_and_share_the_followers_out(alice: User) -> None:
    people = followers_of(alice, FOLLOWERS)

    ranges = follower_ranges({alice.pk})[alice.pk]

    assert (ranges[0].first, ranges[-1].after) == ALL_KEYS
    assert all(left.after == right.first for left, right in pairwise(ranges))
    shares = [sum(keys.first <= p.pk < keys.after for p in people) for keys in ranges]
    assert shares == [settings.FAN_OUT_RANGE] * 5 + [1]


def test_who_has_few_followers_is_not_split(alice: User) -> None:
    followers_of(alice, settings.FAN_OUT_RANGE)

    assert follower_ranges({alice.pk}) == {}


def test_a_large_fan_out_reaches_everybody_once_in_parts_of_bulk_work(
    drain: Drain, alice: User
) -> None:
    people = followers_of(alice, FOLLOWERS)

    card = save(alice)
    drain()

    assert receivers(card) == Counter(person.pk for person in people)
    expected = [(part, "done", Priority.BULK, True) for part in range(1, 7)]
    assert parts_of(SPLIT) == expected


def test_followers_who_leave_or_come_meanwhile_leave_no_gap(drain: Drain, alice: User) -> None:
    from eventbook.declare.handlers import handlers
    from eventbook.work.execution import execute

    people = followers_of(alice, FOLLOWERS)
    card = save(alice)
    root = split_here(card)

    unfollow(follower=people[3], followed=alice)
    late = User.objects.create(username="late", email="late@example.org")
    Follow.objects.create(follower=late, followed=alice, notify=True)
    # Who followed before the card was added, in a transaction that ended after that.
    Follow.objects.filter(follower=late).update(created_at="2026-01-01T00:00Z")
    for id in Delivery.objects.filter(handler=SPLIT, part__gt=0).values_list("id"):
        assert execute(handlers[SPLIT], list(id)) == {"done": 1}

    assert Delivery.objects.get(id=root).state == "done"
    assert receivers(card) == Counter(person.pk for person in [*people[:3], *people[4:], late])


def split_here(card: Card) -> int:
    """This runs the whole's delivery in this process, and answers its id."""
    from eventbook.declare.handlers import handlers
    from eventbook.work.execution import execute

    known = handlers[SPLIT]
    expand_only(SPLIT)
    root = Delivery.objects.get(event=event_of(card), handler=known.name).pk
    assert execute(known, [root]) == {"done": 1}
    return int(root)


def event_of(card: Card) -> UUID:
    return Event.objects.get(type="card.added", subject=f"cards/{card.pk}").pk


def test_splitting_twice_makes_no_part_twice(alice: User) -> None:

    followers_of(alice, FOLLOWERS)
    card = save(alice)
    root = split_here(card)

    states.split(root, follower_ranges({alice.pk})[alice.pk])

    assert [part for part, *_ in parts_of(SPLIT)] == [1, 2, 3, 4, 5, 6]


def test_a_dead_part_alone_is_replayed(drain: Drain, alice: User) -> None:
    people = followers_of(alice, FOLLOWERS)
    card = save(alice)
    split_here(card)
    second = Delivery.objects.get(handler=SPLIT, part=2)
    Delivery.objects.filter(pk=second.pk).update(state="dead", due_at=None)
    drain()
    assert len(receivers(card)) == FOLLOWERS - settings.FAN_OUT_RANGE

    count = actions.replay_dead_letters(actions.DeadLetters(ids=[second.pk]), actor="a test")
    drain()

    assert count == 1
    assert receivers(card) == Counter(person.pk for person in people)
