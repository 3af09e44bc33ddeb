"""What comes into timelines and goes out of them, through relay, broker and workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.events import UserFollowed, UserUnfollowed
from accounts.models import User, Visibility
from accounts.services import follow, unfollow
from cards.events import CardAdded, CardRemoved, CardUpdated
from cards.models import Card
from cards.services import remove_card, update_card
from eventbook.declare.events import Recorded
from feeds import handlers
from feeds.models import TimelineEntry
from tests.conftest import Drain
from tests.feeds.reading import shown
from tests.harness.deliveries import recorded
from tests.library import save, save_many

pytestmark = pytest.mark.django_db(transaction=True)


def entries(owner: User) -> list[UUID]:
    """Return the entries of the timeline, shown or not."""
    rows = TimelineEntry.objects.filter(owner=owner).order_by("-card_id")
    return list(rows.values_list("card_id", flat=True))


def ids(cards: Sequence[Card]) -> list[UUID]:
    """Return the cards' ids in the order of a feed."""
    return sorted((card.pk for card in cards), reverse=True)


def deliver_all() -> None:
    """Pass all recorded events to their handlers, as one batch each."""
    handlers.fan_out(recorded(CardAdded))
    handlers.refresh_card(recorded(CardUpdated))
    handlers.retract_card(recorded(CardRemoved))
    handlers.backfill(recorded(UserFollowed))
    handlers.withdraw(recorded(UserUnfollowed))


def test_followers_get_new_cards_and_strangers_do_not(
    drain: Drain, alice: User, bob: User, charlie: User
) -> None:
    follow(follower=bob, followed=alice)
    cards = save_many(alice, 3)

    drain()

    assert entries(bob) == shown(bob) == ids(cards)
    assert entries(charlie) == entries(alice) == []


def test_private_cards_come_into_no_timeline(drain: Drain, alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice)
    save(alice, private=True)

    drain()

    assert TimelineEntry.objects.count() == 0


def test_following_later_brings_what_was_added_before(drain: Drain, alice: User, bob: User) -> None:
    cards = save_many(alice, 3)
    save_many(alice, 1, private=True)
    drain()

    follow(follower=bob, followed=alice)
    drain()

    assert entries(bob) == ids(cards)


def test_unfollowing_hides_at_once_and_then_clears(
    drain: Drain, alice: User, bob: User, charlie: User
) -> None:
    for followed in (alice, charlie):
        follow(follower=bob, followed=followed)
    save_many(alice, 2)
    kept = save_many(charlie, 2)
    drain()

    unfollow(follower=bob, followed=alice)
    at_once = shown(bob)
    drain()

    assert at_once == entries(bob) == ids(kept)


def test_a_removed_card_is_hidden_at_once_and_then_cleared(
    drain: Drain, alice: User, bob: User
) -> None:
    follow(follower=bob, followed=alice)
    gone, kept = save_many(alice, 2)
    drain()

    remove_card(card=gone)
    at_once = shown(bob)
    drain()

    assert at_once == entries(bob) == [kept.pk]


def test_a_card_made_private_goes_and_made_public_comes_back(
    drain: Drain, alice: User, bob: User
) -> None:
    follow(follower=bob, followed=alice)
    card = save(alice)
    drain()

    update_card(card=card, visibility=Visibility.PRIVATE)
    at_once = shown(bob)
    drain()
    private = entries(bob)
    update_card(card=card, visibility=Visibility.PUBLIC)
    drain()

    assert (at_once, private) == ([], [])
    assert entries(bob) == [card.pk]


@pytest.fixture
def a_bit_of_everything(alice: User, bob: User, charlie: User) -> None:
    follow(follower=bob, followed=alice)
    follow(follower=charlie, followed=alice)
    gone, hidden, opened, *_ = save_many(alice, 6)
    remove_card(card=gone)
    update_card(card=hidden, visibility=Visibility.PRIVATE)
    update_card(card=opened, visibility=Visibility.PRIVATE)
    update_card(card=opened, visibility=Visibility.PUBLIC)
    unfollow(follower=bob, followed=alice)
    unfollow(follower=charlie, followed=alice)
    follow(follower=charlie, followed=alice)


@pytest.mark.usefixtures("a_bit_of_everything")
def test_delivering_every_event_again_changes_nothing(
    drain: Drain, bob: User, charlie: User
) -> None:
    drain()
    before = (entries(bob), entries(charlie))

    deliver_all()
    deliver_all()

    assert (entries(bob), entries(charlie)) == before
    assert [len(timeline) for timeline in before] == [0, 4]


@pytest.mark.usefixtures("a_bit_of_everything")
def test_the_order_of_delivery_does_not_matter(drain: Drain, bob: User, charlie: User) -> None:
    drain()
    before = (entries(bob), entries(charlie))
    TimelineEntry.objects.all().delete()

    handlers.withdraw(recorded(UserUnfollowed))
    handlers.retract_card(recorded(CardRemoved))
    for event in reversed(recorded(CardUpdated)):
        handlers.refresh_card([event])
    handlers.backfill(recorded(UserFollowed))
    for event in reversed(recorded(CardAdded)):
        handlers.fan_out([event])

    assert (entries(bob), entries(charlie)) == before


Handle = Callable[[Sequence[Recorded[Any]]], None]


@pytest.mark.parametrize(
    ("handle", "event_class", "few", "many"),
    [
        (handlers.fan_out, CardAdded, 2, 4),  # many are inserted under a savepoint
        (handlers.retract_card, CardRemoved, 2, 2),
        (handlers.refresh_card, CardUpdated, 4, 6),
    ],
)
def test_the_number_of_statements_does_not_depend_on_the_number_of_cards(
    alice: User, bob: User, handle: Handle, event_class: type[Any], few: int, many: int
) -> None:
    follow(follower=bob, followed=alice)
    cards = Card.objects.bulk_create(Card(curator=alice, type="NOTE") for _ in range(500))
    batch = [_about(card, event_class) for card in cards]

    counts = [_statements(handle, events) for events in (batch[:5], batch[5:50], batch[50:])]

    assert counts == [few, many, many]
    assert len(entries(bob)) == (0 if event_class is CardRemoved else 500)


def test_a_large_batch_of_which_a_part_was_delivered_before(alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice)
    cards = Card.objects.bulk_create(Card(curator=alice, type="NOTE") for _ in range(50))
    batch = [_about(card, CardAdded) for card in cards]
    handlers.fan_out(batch[10:20])

    handlers.fan_out(batch)

    assert len(entries(bob)) == 50


@pytest.mark.parametrize(
    ("handle", "event_class", "statements"),
    [(handlers.backfill, UserFollowed, 4), (handlers.withdraw, UserUnfollowed, 4)],
)
def test_a_batch_of_500_follows_takes_as_many_statements_as_one_of_5(
    alice: User, handle: Handle, event_class: type[Any], statements: int
) -> None:
    followers = User.objects.bulk_create(User(username=f"f{n}", email="") for n in range(500))
    card = save(alice)
    (like,) = recorded(CardAdded)
    for follower in followers[:5]:
        follow(follower=follower, followed=alice)
    batch: list[Recorded[Any]] = [
        Recorded(
            like.id,
            like.time,
            like.priority,
            event_class(follower_id=follower.pk, followed_id=alice.pk),
        )
        for follower in followers
    ]

    assert [_statements(handle, events) for events in (batch[:5], batch)] == [statements] * 2

    expected = 5 if event_class is UserFollowed else 0
    assert TimelineEntry.objects.filter(card=card).count() == expected


def _about(card: Card, event_class: type[Any]) -> Recorded[Any]:
    fields = {"card_id": card.pk, "curator_id": card.curator_id, "url_id": None}
    if event_class is not CardRemoved:
        fields["visibility"] = card.visibility
    if event_class is CardAdded:
        fields["card_type"] = card.type
    return Recorded(card.pk, card.created_at, 5, event_class(**fields))


def _statements(handle: Handle, events: Sequence[Recorded[Any]]) -> int:
    with CaptureQueriesContext(connection) as captured:
        handle(events)
    return len(captured)
