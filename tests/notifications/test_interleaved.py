"""Two transactions at the same moment, in both orders of commit: who is told, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.events import UserFollowed
from accounts.models import User
from accounts.services import follow, unfollow
from cards.events import CardAdded
from cards.models import Card
from cards.services import CardDraft, add_cards
from eventbook.declare.events import ALL_KEYS, SMALL_BATCH, KeyRange, Recorded
from eventbook.declare.handlers import handlers
from eventbook.models import Delivery
from eventbook.work.execution import run_deliveries
from notifications.handlers import notify_card_added, notify_followed
from notifications.models import Kind, Notification
from notifications.services import mark_read
from tests.harness.deliveries import expanded, recorded
from tests.harness.interleaving import second_session
from tests.harness.processes import wait_for
from tests.library import notify, save

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "notifications.notify_card_added"
Deliver = Callable[[Card], None]


def event_of(card: Card) -> Recorded[Any]:
    (event,) = [each for each in recorded(CardAdded) if each.event.card_id == card.pk]
    return event


def by_a_few(card: Card) -> None:
    """Deliver the event of a card as a small batch."""
    notify_card_added([event_of(card)])


def by_many(card: Card) -> None:
    """Deliver it in a large batch."""
    notify_card_added([event_of(card)] * (SMALL_BATCH + 1))


def by_parts(card: Card) -> None:
    """Deliver it in two parts, each for some of the recipients."""
    event = event_of(card)
    middle = User.objects.order_by("-pk").values_list("pk", flat=True)[0]
    for keys in (KeyRange(ALL_KEYS.first, middle), KeyRange(middle, ALL_KEYS.after)):
        notify_card_added([Recorded(event.id, event.time, event.priority, event.event, keys)])


def by_statement(card: Card) -> None:
    """Deliver it as workers do with what comes alone; again, if it was delivered before."""
    expanded(NAME)
    of_card = Delivery.objects.filter(handler=NAME, event_id=event_of(card).id)
    of_card.update(state="queued", finished_at=None, due_at=card.created_at)
    assert run_deliveries(handlers[NAME], [of_card.get().pk]) == {"done": 1}


WAYS = pytest.mark.parametrize("deliver", [by_a_few, by_many, by_parts, by_statement])


def notified() -> list[tuple[str, UUID | None]]:
    """Return who was told of which card that saves a page they saved."""
    rows = Notification.objects.filter(kind=Kind.PAGE_SAVED)
    return sorted(rows.values_list("recipient__username", "card_id"))


def rows() -> list[Any]:
    return list(Notification.objects.order_by("recipient", "event_id").values())


def _now(work: Callable[[], Card]) -> Card:
    return work()


@pytest.fixture
def at_once(alice: User, bob: User, charlie: User) -> Callable[..., tuple[Card, Card]]:
    """Lets Alice and Bob save a page at the same moment; Alice's card has the earlier id.

    The event of the first to commit is delivered before the other commits.
    """

    def at_once(deliver: Deliver, *, first: str, private: Sequence[str] = ()) -> tuple[Card, Card]:
        save(charlie)  # so that nobody has to wait for the other's page
        with second_session() as other:
            do_first, do_second = (other.do, _now) if first == "bob" else (_now, other.do)
            alices = do_first(lambda: save(alice, private="alice" in private))
            bobs = do_second(lambda: save(bob, private="bob" in private))
            deliver(bobs if first == "bob" else alices)
            other.commit()
            deliver(alices if first == "bob" else bobs)
        assert alices.pk < bobs.pk
        return alices, bobs

    return at_once


@WAYS
@pytest.mark.parametrize("first", ["alice", "bob"])
def test_of_two_who_save_a_page_at_once_the_earlier_one_is_told(
    at_once: Callable[..., tuple[Card, Card]], deliver: Deliver, first: str
) -> None:
    alices, bobs = at_once(deliver, first=first)

    # Charlie was there before both; nobody has delivered his card yet.
    assert notified() == [("alice", bobs.pk), ("charlie", alices.pk), ("charlie", bobs.pk)]


@WAYS
@pytest.mark.parametrize("first", ["alice", "bob"])
def test_delivering_both_again_in_any_order_changes_nothing(
    at_once: Callable[..., tuple[Card, Card]], deliver: Deliver, first: str
) -> None:
    cards = at_once(deliver, first=first)
    before = rows()

    for order in permutations(cards):
        for card in order:
            deliver(card)

    assert rows() == before


@WAYS
@pytest.mark.parametrize("first", ["alice", "bob"])
def test_a_private_card_is_told_to_nobody_and_hears_of_the_other(
    at_once: Callable[..., tuple[Card, Card]], deliver: Deliver, first: str
) -> None:
    _, bobs = at_once(deliver, first=first, private=["alice"])

    assert notified() == [("alice", bobs.pk), ("charlie", bobs.pk)]


@WAYS
@pytest.mark.parametrize("first", ["alice", "bob"])
def test_who_saved_first_does_not_hear_of_a_private_card(
    at_once: Callable[..., tuple[Card, Card]], deliver: Deliver, first: str
) -> None:
    alices, _ = at_once(deliver, first=first, private=["bob"])

    assert notified() == [("charlie", alices.pk)]


@WAYS
def test_a_card_that_was_saved_as_private_is_told_to_nobody_later(
    deliver: Deliver, alice: User, bob: User
) -> None:
    follow(follower=alice, followed=bob, notify=True)
    cards = [save(alice), save(bob, private=True)]
    Card.objects.update(visibility="PUBLIC")

    for card in cards:
        deliver(card)

    assert notified() == []
    assert not Notification.objects.exists()


@WAYS
def test_who_saved_long_after_is_not_told_of_an_earlier_card(
    deliver: Deliver, alice: User, bob: User
) -> None:
    alices, bobs = save(alice), save(bob)

    deliver(alices)
    deliver(alices)

    assert notified() == [("alice", bobs.pk)]


@WAYS
@pytest.mark.parametrize("late", ["alice", "bob"])
def test_who_asked_to_be_told_is_told_for_that_reason(
    at_once: Callable[..., tuple[Card, Card]], deliver: Deliver, alice: User, bob: User, late: str
) -> None:
    follow(follower=alice, followed=bob, notify=True)

    at_once(deliver, first=late)

    kinds = Notification.objects.filter(recipient=alice).values_list("kind", flat=True)
    assert list(kinds) == [Kind.CARD_ADDED]


def test_a_large_batch_of_which_pairs_were_told_before_is_not_written_twice(
    alice: User, bob: User
) -> None:
    for person in (alice, bob):
        drafts = [
            CardDraft(type="URL", url=f"https://example.org/{n}") for n in range(SMALL_BATCH + 1)
        ]
        add_cards(curator=person, drafts=drafts)
    events = recorded(CardAdded)

    notify_card_added([each for each in events if each.event.curator_id == alice.pk])
    before = rows()
    with CaptureQueriesContext(connection) as captured:
        notify_card_added([each for each in events if each.event.curator_id == bob.pk])

    assert rows() == before
    assert len(captured) == 3  # under a savepoint, and not once more
    assert Counter(name for name, _ in notified()) == Counter(alice=SMALL_BATCH + 1)


@WAYS
@pytest.mark.parametrize("first", ["card", "follow"])
def test_who_follows_while_a_card_is_added_is_told_of_it_once(
    deliver: Deliver, alice: User, bob: User, first: str
) -> None:
    with second_session() as other:
        if first == "card":  # is committed, though it was added after the follow began
            other.do(lambda: follow(follower=bob, followed=alice, notify=True))
            card = save(alice)
            deliver(card)
            other.commit()
            notify_followed(recorded(UserFollowed))
        else:
            follow(follower=bob, followed=alice, notify=True)
            card = other.do(lambda: save(alice))
            notify_followed(recorded(UserFollowed))
            other.commit()
            deliver(card)

    before = rows()
    notify_followed(recorded(UserFollowed))
    deliver(card)

    (told_bob,) = Notification.objects.filter(recipient=bob)
    assert (told_bob.kind, told_bob.card_id) == (Kind.CARD_ADDED, card.pk)
    assert rows() == before


@WAYS
def test_who_follows_after_a_card_was_added_is_not_told_of_it(
    deliver: Deliver, alice: User, bob: User
) -> None:
    card = save(alice)
    follow(follower=bob, followed=alice, notify=True)

    notify_followed(recorded(UserFollowed))
    deliver(card)

    assert not Notification.objects.filter(recipient=bob).exists()


def test_two_follows_of_a_pair_that_are_delivered_at_once_tell_once(
    alice: User, bob: User, charlie: User
) -> None:
    for person in (bob, charlie, charlie, bob):
        follow(follower=person, followed=alice)
        unfollow(follower=person, followed=alice)
    one, two, three, four = recorded(UserFollowed)

    with second_session() as first, second_session() as second:
        first.do(lambda: notify_followed([two, one]))  # of Charlie, and of Bob
        waiting = second.start(lambda: notify_followed([four, three]))
        wait_for(lambda: second.waits() or waiting.done(), seconds=10, what="it waits")
        first.commit()
        waiting.result(timeout=10)
        second.commit()

    told = Notification.objects.filter(recipient=alice).values_list("actor__username", "kind")
    assert sorted(told) == [("bob", Kind.FOLLOWED), ("charlie", Kind.FOLLOWED)]


@pytest.mark.parametrize("first", [0, 2])
def test_two_requests_that_mark_the_same_as_read_never_deadlock(
    alice: User, bob: User, first: int
) -> None:
    notify(alice, bob, 3)
    ids = list(Notification.objects.order_by("event_id").values_list("event_id", flat=True))
    with second_session() as other:
        with transaction.atomic():
            # A request that marks two of them, stopped between its rows.
            mark_read(recipient=alice, ids=[ids[first]])
            marked = other.start(lambda: mark_read(recipient=alice))
            wait_for(other.waits, seconds=10, what="the second request to wait for the first")
            mark_read(recipient=alice, ids=[ids[2 - first]])
        assert marked.result(timeout=30) == 1
        other.commit()
