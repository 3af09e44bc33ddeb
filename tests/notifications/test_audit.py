"""The auditor finds who was not told, and takes nobody for it who could not be told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User, Visibility
from accounts.services import follow
from cards.models import Card
from cards.services import CardDraft, add_cards, remove_card, update_card
from eventbook.database.ids import new_id
from eventbook.declare.handlers import handlers
from eventbook.models import Delivery
from eventbook.operate.audit import audit
from eventbook.work.execution import run_deliveries
from notifications.models import Notification
from tests.harness.deliveries import expanded
from tests.harness.interleaving import second_session
from tests.library import PAGE, save

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "notifications.notify_card_added"
RULE = "earlier_saver_was_notified"


def deliver_all() -> None:
    """Deliver what waits, and let two minutes pass."""
    run_deliveries(handlers[NAME], expanded(NAME))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE eventbook_event SET recorded_at = recorded_at - interval '2 minutes'"
        )
        cursor.execute(
            "UPDATE eventbook_delivery SET finished_at = finished_at - interval '2 minutes'"
        )


@pytest.fixture
def known_page(alice: User) -> None:
    """The page of the tests, so that nobody has to wait until another's is committed."""
    remove_card(card=save(alice))


@pytest.fixture
def untold(known_page: None, alice: User, bob: User) -> tuple[Card, Card]:
    """Alice, who saved the page at the same moment as Bob, was not told of his card."""
    with second_session() as other:
        alices = other.do(lambda: save(alice))
        bobs = save(bob, PAGE)
        other.commit()
    deliver_all()
    Notification.objects.all().delete()
    return alices, bobs


def test_a_pair_of_which_nobody_was_told_is_found(untold: tuple[Card, Card]) -> None:
    assert audit()[RULE] == 1


def still_waits(alices: Card, bobs: Card) -> None:
    event = Delivery.objects.get(handler=NAME, event__subject=f"cards/{alices.pk}")
    Delivery.objects.filter(pk=event.pk).update(state="queued", due_at=timezone.now())


def is_private(alices: Card, bobs: Card) -> None:
    Card.objects.filter(pk=bobs.pk).update(visibility=Visibility.PRIVATE)


def was_private_for_a_while(alices: Card, bobs: Card) -> None:
    update_card(card=bobs, visibility=Visibility.PRIVATE)
    update_card(card=bobs, visibility=Visibility.PUBLIC)


def moved_to_the_page(alices: Card, bobs: Card) -> None:
    update_card(card=alices, url="https://example.org/another")
    update_card(card=alices, url=PAGE)


def was_removed(alices: Card, bobs: Card) -> None:
    remove_card(card=bobs)


def left(alices: Card, bobs: Card) -> None:
    User.objects.filter(pk=alices.curator_id).update(is_active=False)


def has_no_event_any_more(alices: Card, bobs: Card) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM eventbook_event WHERE subject = %s", [f"cards/{bobs.pk}"])


@pytest.mark.parametrize(
    "act",
    [
        still_waits,
        is_private,
        was_private_for_a_while,
        moved_to_the_page,
        was_removed,
        left,
        has_no_event_any_more,
    ],
)
def test_what_may_rightly_be_untold_is_no_fault(
    untold: tuple[Card, Card], act: Callable[[Card, Card], None]
) -> None:
    act(*untold)

    assert audit()[RULE] == 0


def test_an_import_that_commits_late_is_no_fault(known_page: None, alice: User, bob: User) -> None:
    with second_session() as other:
        drafts = [CardDraft(type="URL", url=PAGE)]
        other.do(lambda: add_cards(curator=alice, drafts=drafts, import_id=new_id()))
        save(bob, PAGE)
        deliver_all()
        other.commit()

    assert audit()[RULE] == 0


def test_who_follows_while_a_card_is_added_may_still_be_told(
    known_page: None, alice: User, bob: User
) -> None:
    with second_session() as other:
        other.do(lambda: follow(follower=bob, followed=alice, notify=True))
        save(alice)
        deliver_all()
        other.commit()

    assert audit()["every_follower_was_notified"] == 0


def test_a_follower_who_was_not_told_is_found(known_page: None, alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice, notify=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_follow SET created_at = created_at - interval '1 hour'")
    save(alice)
    deliver_all()
    assert audit()["every_follower_was_notified"] == 0

    Notification.objects.all().delete()

    assert audit()["every_follower_was_notified"] == 1
