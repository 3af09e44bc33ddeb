"""Whom very many follow: nothing is written to timelines, and feeds show the cards all the same."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from accounts.models import Follow, User, Visibility
from accounts.services import follow, unfollow
from cards.models import Card
from cards.services import remove_card, update_card
from eventbook.models import Delivery
from eventbook.operate.audit import audit
from feeds.models import MergedCurator, TimelineEntry
from feeds.tasks import trim
from tests.conftest import Drain
from tests.feeds.reading import shown
from tests.library import followers_of, save, save_many

pytestmark = pytest.mark.django_db(transaction=True)

MANY = configured.FAN_OUT_RANGE + 1
PATH = "/api/v1/feeds/following/"
ClientOf = Callable[[User], APIClient]


@pytest.fixture
def celebrity(drain: Drain, alice: User, bob: User) -> User:
    """Alice, whom Bob and very many others follow."""
    follow(follower=bob, followed=alice)
    drain()
    followers_of(alice, MANY)
    return alice


def newest_first(*cards: Card) -> list[Any]:
    return sorted((card.pk for card in cards), reverse=True)


def test_every_follower_is_shown_the_cards_and_no_timeline_has_them(
    celebrity: User, drain: Drain, charlie: User
) -> None:
    cards = save_many(celebrity, 3)
    save(celebrity, private=True)
    drain()

    followers = [each.follower for each in Follow.objects.filter(followed=celebrity)]
    assert len(followers) == MANY + 1
    assert [shown(reader) for reader in followers] == [newest_first(*cards)] * len(followers)
    assert shown(charlie) == []
    assert TimelineEntry.objects.count() == 0
    assert not Delivery.objects.filter(handler__startswith="feeds.", part__gt=0).exists()
    assert MergedCurator.objects.get().curator == celebrity


def test_one_follower_less_and_timelines_have_them(drain: Drain, alice: User) -> None:
    followers_of(alice, MANY - 1)

    save(alice)
    drain()

    assert TimelineEntry.objects.count() == MANY - 1
    assert not MergedCurator.objects.exists()


def test_what_changes_is_seen_at_once(celebrity: User, drain: Drain, bob: User) -> None:
    gone, hidden, kept = save_many(celebrity, 3)
    drain()

    remove_card(card=gone)
    update_card(card=hidden, visibility=Visibility.PRIVATE)
    without = shown(bob)
    update_card(card=hidden, visibility=Visibility.PUBLIC)
    again = shown(bob)
    unfollow(follower=bob, followed=celebrity)

    assert (without, again) == ([kept.pk], newest_first(hidden, kept))
    assert shown(bob) == []
    drain()
    assert TimelineEntry.objects.count() == 0


def test_whoever_follows_later_finds_the_cards_and_no_timeline_is_filled(
    celebrity: User, drain: Drain, charlie: User
) -> None:
    cards = save_many(celebrity, 3)
    drain()

    follow(follower=charlie, followed=celebrity)
    at_once = shown(charlie)
    drain()
    call_command("rebuild_feeds", "--all", stdout=StringIO())

    assert at_once == shown(charlie) == newest_first(*cards)
    assert TimelineEntry.objects.count() == 0


@pytest.fixture
def mixed(celebrity: User, drain: Drain, bob: User, charlie: User) -> list[Any]:
    """Bob's feed: cards of Charlie, and of Alice before, while and after she was a celebrity."""
    others = list(Follow.objects.filter(followed=celebrity).exclude(follower=bob))
    follow(follower=bob, followed=charlie)
    cards: list[Card] = []

    def both_add(round: int) -> None:
        for person in (celebrity, charlie):
            cards.extend(save(person, f"https://example.org/{round}/{n}") for n in range(3))
        drain()

    Follow.objects.filter(pk__in=[each.pk for each in others]).delete()
    both_add(1)
    Follow.objects.bulk_create(others)
    both_add(2)
    Follow.objects.filter(pk__in=[each.pk for each in others]).delete()
    both_add(3)
    return newest_first(*cards)


def test_each_card_is_shown_once_in_the_order_of_all(mixed: list[Any], bob: User) -> None:
    written = TimelineEntry.objects.filter(owner=bob).count()

    assert (len(mixed), written) == (18, 15)
    assert shown(bob) == mixed


@pytest.mark.parametrize("size", [1, 4, 5, 18])
def test_pages_lead_there_and_back(
    mixed: list[Any], bob: User, client_of: ClientOf, size: int
) -> None:
    client = client_of(bob)
    pages = [client.get(f"{PATH}?page_size={size}").json()]
    while pages[-1]["next"]:
        pages.append(client.get(pages[-1]["next"]).json())
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(client.get(back[-1]["previous"]).json())

    assert [card["id"] for page in pages for card in page["results"]] == [str(id) for id in mixed]
    assert [page["results"] for page in reversed(back)] == [page["results"] for page in pages]


def test_a_page_takes_as_many_statements_as_any(
    mixed: list[Any],
    bob: User,
    client_of: ClientOf,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_of(bob)

    with django_assert_num_queries(6):
        assert len(client.get(PATH).json()["results"]) == 18


def test_the_feed_goes_as_far_back_as_the_timeline(
    celebrity: User, drain: Drain, bob: User, charlie: User, settings: Settings
) -> None:
    settings.FEED_LENGTH = 3
    follow(follower=bob, followed=charlie)
    early = save(celebrity)
    drain()
    assert shown(bob) == [early.pk]

    _, *kept = save_many(charlie, 4)
    late = save(celebrity, "https://example.org/late")
    drain()
    trim()

    assert shown(bob) == newest_first(*kept, late)


def test_the_auditor_misses_nothing(celebrity: User, drain: Drain) -> None:
    save(celebrity)
    drain()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE eventbook_delivery SET finished_at = finished_at - interval '2 minutes'"
        )
        cursor.execute("UPDATE accounts_follow SET created_at = created_at - interval '1 hour'")

    assert audit()["every_follower_got_the_card"] == 0
    MergedCurator.objects.all().delete()
    assert audit()["every_follower_got_the_card"] > 0


def test_the_admin_lists_them(celebrity: User, drain: Drain, admin_client: Client) -> None:
    save(celebrity)
    drain()

    listed = admin_client.get(reverse("admin:feeds_mergedcurator_changelist"), {"q": "alice"})

    assert listed.context["cl"].result_count == 1
