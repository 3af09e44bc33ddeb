"""A fan-out to many followers, in parts: nobody is left out, and nobody is notified twice."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from django.conf import settings

from accounts.models import Follow, User
from accounts.services import unfollow
from cards.models import Card
from eventbook.models import Delivery, Event, Priority
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
    from eventbook.work.execution import run_deliveries

    people = followers_of(alice, FOLLOWERS)
    card = save(alice)
    root = split_here(card)

    unfollow(follower=people[3], followed=alice)
    late = User.objects.create(username="late", email="late@example.org")
    Follow.objects.create(follower=late, followed=alice, notify=True)
    # Who followed before the card was added, in a transaction that ended after that.
    Follow.objects.filter(follower=late).update(created_at="2026-01-01T00:00Z")
    for id in Delivery.objects.filter(handler=SPLIT, part__gt=0).values_list("id"):
        assert run_deliveries(handlers[SPLIT], list(id)) == {"done": 1}

    assert Delivery.objects.get(id=root).state == "done"
    assert receivers(card) == Counter(person.pk for person in [*people[:3], *people[4:], late])


def split_here(card: Card) -> int:
    """Run the delivery of the whole event in this process, and return its id."""
    from eventbook.declare.handlers import handlers
    from eventbook.work.execution import run_deliveries

    known = handlers[SPLIT]
    expand_only(SPLIT)
    root = Delivery.objects.get(event=event_of(card), handler=known.name).pk
    assert run_deliveries(known, [root]) == {"done": 1}
    return int(root)


def event_of(card: Card) -> UUID:
    return Event.objects.get(type="card.added", subject=f"cards/{card.pk}").pk
