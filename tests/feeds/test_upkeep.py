"""Trimming, eviction and the sweep; and what an operator sees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.events import UserFollowed
from accounts.models import Follow, User
from accounts.services import follow
from cards.events import CardAdded
from cards.models import Card
from feeds import handlers
from feeds.models import Timeline, TimelineEntry, TimelineEntryRow
from feeds.tasks import evict_idle, prune_orphans, trim
from tests.harness.deliveries import recorded
from tests.library import save, save_many

pytestmark = pytest.mark.django_db

FOLLOWING = "/api/v1/feeds/following/"
ClientOf = Callable[[User], APIClient]
LIST = "admin:feeds_timelineentryrow_changelist"


@pytest.fixture
def ten(alice: User, bob: User, charlie: User) -> list[Card]:
    """Ten cards of alice in the timelines of bob and charlie."""
    for follower in (bob, charlie):
        follow(follower=follower, followed=alice)
    handlers.backfill(recorded(UserFollowed))
    cards = save_many(alice, 10)
    handlers.fan_out(recorded(CardAdded))
    return cards


def count(owner: User) -> int:
    return TimelineEntry.objects.filter(owner=owner).count()


def feed(client: APIClient) -> list[str]:
    return [card["id"] for card in client.get(FOLLOWING).json()["results"]]


def read_days_ago(owner: User, days: int) -> None:
    read_at = timezone.now() - timedelta(days=days)
    Timeline.objects.filter(owner=owner).update(read_at=read_at)


def test_trimming_keeps_the_newest(
    ten: list[Card], bob: User, charlie: User, settings: Settings
) -> None:
    settings.FEED_LENGTH = 4
    TimelineEntry.objects.filter(owner=charlie, card__in=ten[:7]).delete()

    assert (trim(), trim()) == (6, 0)

    kept = TimelineEntry.objects.filter(owner=bob).values_list("card_id", flat=True)
    assert set(kept) == {card.pk for card in ten[6:]}
    assert count(charlie) == 3


def test_what_nobody_reads_is_evicted_and_written_to_no_more(
    ten: list[Card], alice: User, bob: User, charlie: User
) -> None:
    read_days_ago(bob, 31)

    assert (evict_idle(), evict_idle()) == (1, 0)
    save(alice)
    handlers.fan_out(recorded(CardAdded))
    handlers.backfill(recorded(UserFollowed))

    assert (count(bob), count(charlie)) == (0, 11)


def test_the_reader_of_an_evicted_timeline_finds_all_of_it(
    ten: list[Card], alice: User, bob: User, client_of: ClientOf
) -> None:
    read_days_ago(bob, 31)
    evict_idle()
    ten.append(save(alice))

    shown = feed(client_of(bob))

    assert shown == [str(card.pk) for card in reversed(ten)]
    assert count(bob) == 11
    ten.append(save(alice, "https://example.org/another"))
    handlers.fan_out(recorded(CardAdded)[-1:])
    assert feed(client_of(bob)) == [str(card.pk) for card in reversed(ten)]


def test_a_rebuild_that_was_cut_short_is_made_up_for_by_the_next_read(
    ten: list[Card], bob: User, client_of: ClientOf
) -> None:
    read_days_ago(bob, 31)
    evict_idle()
    Timeline.objects.filter(owner=bob).update(evicted_at=None)

    assert len(feed(client_of(bob))) == 10


def test_a_reader_without_a_timeline_gets_one(alice: User, bob: User, client_of: ClientOf) -> None:
    card = save(alice)
    follow(follower=bob, followed=alice)

    assert feed(client_of(bob)) == [str(card.pk)]
    assert Timeline.objects.get(owner=bob).evicted_at is None


@pytest.mark.parametrize(("days", "writes"), [(0, False), (2, True)])
def test_reading_is_noted_once_a_day(
    ten: list[Card], bob: User, client_of: ClientOf, days: int, writes: bool
) -> None:
    read_days_ago(bob, days)
    before = Timeline.objects.get(owner=bob).read_at

    feed(client_of(bob))

    assert (Timeline.objects.get(owner=bob).read_at > before) is writes


def test_the_sweep_deletes_what_no_read_shows_and_nothing_else(
    ten: list[Card], alice: User, bob: User, charlie: User
) -> None:
    Card.objects.filter(pk=ten[0].pk).delete()
    Card.objects.filter(pk=ten[1].pk).update(visibility="PRIVATE")
    Follow.objects.filter(follower=charlie).delete()
    TimelineEntry.objects.create(owner=bob, card_id=uuid4(), author=alice)

    assert (prune_orphans(), prune_orphans()) == (13, 0)

    assert (count(bob), count(charlie)) == (8, 0)


def test_the_sweep_deletes_what_a_deleted_user_had(ten: list[Card], bob: User) -> None:
    bob.delete()

    assert prune_orphans() == 10
    assert TimelineEntry.objects.count() == 10


def test_the_admin_lists_one_timeline_and_nothing_unasked(
    ten: list[Card], admin_client: Client
) -> None:
    unasked = admin_client.get(reverse(LIST))
    asked = admin_client.get(reverse(LIST), {"q": "bob", "card__type": "URL"})
    row = TimelineEntryRow.objects.first()
    assert row is not None
    one = admin_client.get(reverse("admin:feeds_timelineentryrow_change", args=[row.pk]))

    assert [page.context["cl"].result_count for page in (unasked, asked)] == [0, 10]
    assert one.status_code == 200


def test_the_admin_changes_no_timeline(ten: list[Card], bob: User, admin_client: Client) -> None:
    page = reverse("admin:feeds_timeline_change", args=[bob.pk])

    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"evicted_at_0": "2026-01-01"}).status_code == 403
    assert admin_client.get(reverse("admin:feeds_timeline_changelist")).status_code == 200
