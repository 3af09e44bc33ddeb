"""Who is told of what: once, and only what concerns them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.events import UserFollowed
from accounts.models import User, Visibility
from accounts.services import follow, unfollow
from cards.events import CardAdded, CollectionCardAdded
from cards.models import Card
from cards.services import add_card, add_card_to_collection, remove_card, update_card
from eventbook.declare.events import SMALL_BATCH, Recorded
from notifications import handlers
from notifications.models import Kind, Notification
from tests.conftest import Drain
from tests.harness.deliveries import recorded
from tests.library import collection_of, save, save_many

pytestmark = pytest.mark.django_db(transaction=True)

Notified = Counter[tuple[str, str, str]]


def notified() -> Notified:
    """Count notifications by recipient, kind and actor."""
    rows = Notification.objects.values_list("recipient__username", "kind", "actor__username")
    return Counter((recipient, kind, actor) for recipient, kind, actor in rows)


def deliver_all() -> None:
    """Pass all recorded events to their handlers, as one batch each."""
    handlers.notify_card_added(recorded(CardAdded))
    handlers.notify_followed(recorded(UserFollowed))
    handlers.notify_collected(recorded(CollectionCardAdded))


def test_whoever_saved_the_page_before_is_told_once(drain: Drain, alice: User, bob: User) -> None:
    save(alice)
    card = save(bob)

    drain()

    assert notified() == Counter({("alice", Kind.PAGE_SAVED, "bob"): 1})
    assert Notification.objects.get().card_id == card.pk


def test_who_saved_the_abstract_of_a_paper_is_told_of_who_saves_its_pdf(
    drain: Drain, alice: User, bob: User, charlie: User
) -> None:
    for curator, url in (
        (alice, "https://arxiv.org/abs/2101.00001"),
        (bob, "https://arxiv.org/pdf/2101.00001v2"),
        (charlie, "https://doi.org/10.48550/arXiv.2101.00001"),
    ):
        add_card(curator=curator, type="URL", url=url)

    drain()

    assert notified() == Counter(
        {
            ("alice", Kind.PAGE_SAVED, "bob"): 1,
            ("alice", Kind.PAGE_SAVED, "charlie"): 1,
            ("bob", Kind.PAGE_SAVED, "charlie"): 1,
        }
    )


def test_a_page_kept_private_concerns_its_curator_but_tells_nobody(
    drain: Drain, alice: User, bob: User, charlie: User
) -> None:
    save(alice, private=True)
    save(bob)
    save(charlie, private=True)

    drain()

    assert notified() == Counter({("alice", Kind.PAGE_SAVED, "bob"): 1})


def test_only_followers_who_asked_are_told_of_a_new_card(
    drain: Drain, alice: User, bob: User, charlie: User
) -> None:
    follow(follower=bob, followed=alice, notify=True)
    follow(follower=charlie, followed=alice)
    save(alice)

    drain()

    assert notified() == Counter(
        {
            ("alice", Kind.FOLLOWED, "bob"): 1,
            ("alice", Kind.FOLLOWED, "charlie"): 1,
            ("bob", Kind.CARD_ADDED, "alice"): 1,
        }
    )


def test_a_follower_who_saved_the_page_too_is_told_once(
    drain: Drain, alice: User, bob: User
) -> None:
    follow(follower=bob, followed=alice, notify=True)
    save(bob)
    save(alice)

    drain()

    assert notified()[("bob", Kind.CARD_ADDED, "alice")] == 1
    assert Notification.objects.filter(recipient=bob).count() == 1


@pytest.mark.parametrize("times", [1, SMALL_BATCH + 1])
def test_each_reason_counts_for_those_whom_it_concerns(
    alice: User, bob: User, charlie: User, times: int
) -> None:
    follow(follower=bob, followed=alice, notify=True)
    follow(follower=charlie, followed=alice)
    for person in (bob, charlie, alice):
        save(person)

    (added,) = [each for each in recorded(CardAdded) if each.event.curator_id == alice.pk]
    handlers.notify_card_added([added] * times)

    assert notified() == Counter(
        {("bob", Kind.CARD_ADDED, "alice"): 1, ("charlie", Kind.PAGE_SAVED, "alice"): 1}
    )


def test_nobody_is_told_of_cards_from_before_they_followed(
    drain: Drain, alice: User, bob: User
) -> None:
    save(alice)
    follow(follower=bob, followed=alice, notify=True)

    drain()

    assert notified() == Counter({("alice", Kind.FOLLOWED, "bob"): 1})


def test_unfollowing_takes_nothing_back(drain: Drain, alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice, notify=True)
    save(alice)
    drain()
    before = notified()

    unfollow(follower=bob, followed=alice)
    drain()

    assert notified() == before
    assert before.total() == 2


def test_following_again_and_again_tells_once(drain: Drain, alice: User, bob: User) -> None:
    for _ in range(4):
        follow(follower=bob, followed=alice)
        drain()
        unfollow(follower=bob, followed=alice)

    assert notified() == Counter({("alice", Kind.FOLLOWED, "bob"): 1})


def test_the_curator_is_told_when_another_collects_the_card(
    drain: Drain, alice: User, bob: User
) -> None:
    card = save(alice)
    collection = collection_of(bob)
    add_card_to_collection(collection=collection, card=card, added_by=bob)

    drain()

    assert notified() == Counter({("alice", Kind.COLLECTED, "bob"): 1})
    assert Notification.objects.get().collection_id == collection.pk


def test_nobody_hears_of_private_collections_or_of_own_acts(
    drain: Drain, alice: User, bob: User
) -> None:
    card = save(alice)
    private = collection_of(bob, private=True)
    add_card_to_collection(collection=private, card=card, added_by=bob)
    add_card_to_collection(collection=collection_of(alice), card=card, added_by=alice)

    drain()

    assert notified() == Counter()


def test_a_card_that_was_removed_or_made_private_meanwhile_tells_nobody(
    drain: Drain, alice: User, bob: User
) -> None:
    follow(follower=bob, followed=alice, notify=True)
    hidden, removed = save_many(alice, 2)
    update_card(card=hidden, visibility=Visibility.PRIVATE)
    remove_card(card=removed)

    drain()

    assert notified() == Counter({("alice", Kind.FOLLOWED, "bob"): 1})


@pytest.fixture
def a_bit_of_everything(alice: User, bob: User, charlie: User) -> None:
    follow(follower=bob, followed=alice, notify=True)
    save(bob)
    save(charlie)
    card = save(alice)
    add_card_to_collection(collection=collection_of(bob), card=card, added_by=bob)


def test_delivering_every_event_again_changes_nothing(
    drain: Drain, a_bit_of_everything: None
) -> None:
    drain()
    before = list(Notification.objects.order_by("recipient", "event_id").values())

    deliver_all()
    deliver_all()

    assert list(Notification.objects.order_by("recipient", "event_id").values()) == before
    assert len(before) == 5


@pytest.mark.usefixtures("a_bit_of_everything")
def test_the_order_of_delivery_does_not_matter(drain: Drain) -> None:
    drain()
    at_once = notified()
    Notification.objects.all().delete()

    for event in reversed(recorded(CardAdded)):
        handlers.notify_card_added([event])
    handlers.notify_collected(recorded(CollectionCardAdded))
    handlers.notify_followed(recorded(UserFollowed))

    assert notified() == at_once


def test_the_number_of_statements_does_not_depend_on_the_number_of_cards(
    alice: User, bob: User
) -> None:
    follow(follower=bob, followed=alice, notify=True)
    cards = Card.objects.bulk_create(Card(curator=alice, type="NOTE") for _ in range(500))
    (followed,) = recorded(UserFollowed)
    events = [_added(card, followed) for card in cards]

    few = _statements(handlers.notify_card_added, events[:5])
    many = [_statements(handlers.notify_card_added, each) for each in (events[5:50], events[50:])]

    assert (few, many) == (1, [3, 3])  # many are inserted under a savepoint
    assert notified()[("bob", Kind.CARD_ADDED, "alice")] == 500


def test_a_large_batch_of_which_a_part_was_delivered_before(alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice, notify=True)
    cards = Card.objects.bulk_create(Card(curator=alice, type="NOTE") for _ in range(50))
    (followed,) = recorded(UserFollowed)
    events = [_added(card, followed) for card in cards]
    handlers.notify_card_added(events[10:20])

    handlers.notify_card_added(events)

    assert notified()[("bob", Kind.CARD_ADDED, "alice")] == 50


def _added(card: Card, like: Recorded[Any]) -> Recorded[CardAdded]:
    event = CardAdded(
        card_id=card.pk,
        curator_id=card.curator_id,
        url_id=None,
        card_type=card.type,
        visibility=card.visibility,
    )
    return Recorded(card.pk, like.time, like.priority, event)


def _statements(
    handle: Callable[[Sequence[Recorded[Any]]], None], events: Sequence[Recorded[Any]]
) -> int:
    with CaptureQueriesContext(connection) as captured:
        handle(events)
    return len(captured)
