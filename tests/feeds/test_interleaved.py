"""A follow and a card at the same moment, in both orders of commit and of delivery."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.events import UserFollowed, UserUnfollowed
from accounts.models import User, Visibility
from accounts.services import follow, unfollow
from cards.events import CardAdded, CardUpdated, ImportBatchAdded
from cards.models import Card
from cards.services import CardDraft, add_cards, update_card
from cards.signals import import_batch_added
from eventbook.database.ids import new_id
from eventbook.declare.handlers import handlers
from eventbook.operate.audit import audit
from eventbook.work.execution import run_deliveries
from feeds.handlers import backfill, fan_out, fan_out_imported, refresh_card, withdraw
from feeds.models import Timeline, TimelineEntry
from feeds.services import open_timeline
from feeds.statements import ADMIT
from feeds.tasks import evict_idle, prune_orphans
from tests.feeds.reading import shown
from tests.harness.deliveries import expanded, recorded
from tests.harness.interleaving import second_session, someone_waits
from tests.harness.processes import wait_for
from tests.library import PAGE, save

pytestmark = pytest.mark.django_db(transaction=True)

RULE = "every_follower_got_the_card"


OF_CARDS = {CardAdded: fan_out, ImportBatchAdded: fan_out_imported, CardUpdated: refresh_card}
OF_FOLLOWS = {UserFollowed: backfill, UserUnfollowed: withdraw}


def deliver_cards() -> None:
    deliver(OF_CARDS)


def deliver_follows() -> None:
    deliver(OF_FOLLOWS)


def deliver(to: dict[Any, Any]) -> None:
    """Deliver all events that can be seen, once more if they were delivered before."""
    for event_class, handle in to.items():
        if events := recorded(event_class):
            handle(events)


def add(curator: User) -> Card:
    return save(curator)


def bring(curator: User) -> Card:
    """Add a card as an import does."""
    (outcome,) = add_cards(
        curator=curator, drafts=[CardDraft(type="URL", url=PAGE)], import_id=new_id()
    )
    card: Card = outcome.card  # type: ignore[union-attr]
    event = ImportBatchAdded(import_id=new_id(), curator_id=curator.pk, card_ids=(card.pk,))
    import_batch_added.send(sender=Card, event=event)
    return card


@pytest.mark.parametrize("add", [add, bring])
@pytest.mark.parametrize("first", ["card", "follow"])
def test_the_card_is_in_the_feed_by_one_of_fan_out_and_backfill(
    alice: User, bob: User, add: Callable[[User], Card], first: str
) -> None:
    with second_session() as other, second_session() as third:
        if first == "card":
            other.do(lambda: follow(follower=bob, followed=alice))
            card = third.do(lambda: add(alice))
            third.commit()
            deliver_cards()
            other.commit()
            deliver_follows()
        else:
            card = other.do(lambda: add(alice))
            follow(follower=bob, followed=alice)
            deliver_follows()
            other.commit()
            deliver_cards()

    assert shown(bob) == [card.pk]


@pytest.mark.parametrize("first", ["public", "follow"])
def test_a_card_made_public_while_somebody_follows_is_in_the_feed(
    alice: User, bob: User, first: str
) -> None:
    card = save(alice, private=True)
    deliver_cards()
    with second_session() as other:
        if first == "public":
            other.do(lambda: follow(follower=bob, followed=alice))
            update_card(card=card, visibility=Visibility.PUBLIC)
            deliver_cards()
            other.commit()
            deliver_follows()
        else:
            other.do(lambda: update_card(card=card, visibility=Visibility.PUBLIC))
            follow(follower=bob, followed=alice)
            deliver_follows()
            other.commit()
            deliver_cards()

    assert shown(bob) == [card.pk]


@pytest.mark.parametrize("first", ["card", "unfollow"])
def test_a_card_added_while_somebody_unfollows_is_not_in_the_feed(
    alice: User, bob: User, first: str
) -> None:
    follow(follower=bob, followed=alice)
    deliver_follows()
    with second_session() as other:
        if first == "card":
            other.do(lambda: unfollow(follower=bob, followed=alice))
            save(alice)
            deliver_cards()
            other.commit()
            deliver_follows()
        else:
            other.do(lambda: save(alice))
            unfollow(follower=bob, followed=alice)
            deliver_follows()
            other.commit()
            deliver_cards()

    assert shown(bob) == []
    assert not TimelineEntry.objects.exists()


# -- The auditor ---------------------------------------------------------------------------------


def deliver_and_wait() -> None:
    """Deliver the cards that wait, and let two minutes pass."""
    run_deliveries(handlers["feeds.fan_out"], expanded("feeds.fan_out"))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE eventbook_delivery SET finished_at = finished_at - interval '2 minutes'"
        )


def follows_for_an_hour(alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_follow SET created_at = created_at - interval '1 hour'")


def test_the_auditor_leaves_to_backfill_what_is_on_its_way(alice: User, bob: User) -> None:
    with second_session() as other:
        other.do(lambda: follow(follower=bob, followed=alice))
        save(alice)
        deliver_and_wait()
        other.commit()

    assert audit()[RULE] == 0


def test_the_auditor_leaves_out_a_card_that_is_made_public_again(alice: User, bob: User) -> None:
    follows_for_an_hour(alice, bob)
    card = save(alice)
    update_card(card=card, visibility=Visibility.PRIVATE)
    deliver_and_wait()
    update_card(card=card, visibility=Visibility.PUBLIC)

    assert audit()[RULE] == 0


def test_the_auditor_leaves_out_a_timeline_that_is_being_rebuilt(alice: User, bob: User) -> None:
    follows_for_an_hour(alice, bob)
    idle = timezone.now() - timedelta(days=365)
    Timeline.objects.create(owner=bob, read_at=idle, evicted_at=timezone.now())
    save(alice)
    deliver_and_wait()
    with connection.cursor() as cursor:
        cursor.execute(ADMIT, [bob.pk])  # and died

    assert audit()[RULE] == 0


def test_the_auditor_finds_a_card_that_is_missing(alice: User, bob: User) -> None:
    follows_for_an_hour(alice, bob)
    save(alice)
    deliver_and_wait()
    assert audit()[RULE] == 0

    TimelineEntry.objects.all().delete()

    assert audit()[RULE] == 1


def test_an_eviction_during_a_retraction_never_waits(alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice)
    older, newer = save(alice, f"{PAGE}/1"), save(alice, f"{PAGE}/2")
    for card in (newer, older):
        TimelineEntry.objects.create(owner=bob, card=card, author=alice)
    Timeline.objects.create(owner=bob, read_at=timezone.now() - timedelta(days=40))

    def evict() -> int:
        try:
            return evict_idle()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        # A retraction of two cards, stopped between its locks.
        TimelineEntry.objects.select_for_update().get(card=older)
        evicted = pool.submit(evict)
        wait_for(lambda: evicted.done() or someone_waits(), seconds=10, what="the eviction")
        list(TimelineEntry.objects.select_for_update().filter(card=newer))

    assert evicted.result(timeout=30) == 1
    assert (TimelineEntry.objects.count(), prune_orphans()) == (1, 1)


def test_a_read_during_an_eviction_rebuilds_the_timeline(alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice)
    card = save(alice)
    Timeline.objects.create(owner=bob, read_at=timezone.now() - timedelta(days=2))
    with second_session() as other:
        with transaction.atomic():
            Timeline.objects.update(evicted_at=timezone.now())
            opened = other.start(lambda: open_timeline(owner=bob))
            wait_for(other.waits, seconds=10, what="the read to wait for the eviction")
        opened.result(timeout=30)
        other.commit()

    assert shown(bob) == [card.pk]
