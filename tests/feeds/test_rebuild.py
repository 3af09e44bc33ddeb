"""A rebuilt timeline equals the live one, whatever happened and however often it was delivered."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from itertools import permutations
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from accounts.models import User, Visibility
from accounts.services import follow, unfollow
from cards.models import Card
from cards.services import remove_card, update_card
from feeds.models import Timeline, TimelineEntry
from feeds.services import rebuild_timeline
from feeds.tasks import prune_orphans
from tests.conftest import Drain
from tests.feeds.reading import shown
from tests.harness.interleaving import second_session
from tests.harness.processes import wait_for
from tests.library import PAGE, save, save_many

pytestmark = pytest.mark.django_db(transaction=True)


def timelines() -> set[tuple[int, UUID, int]]:
    return set(TimelineEntry.objects.values_list("owner_id", "card_id", "author_id"))


def something_happens(chance: random.Random, actor: User, others: list[User]) -> None:
    """Let the actor make one random change."""
    other = chance.choice(others)
    own = list(Card.objects.filter(curator=actor))
    act = chance.choice(["save", "save", "remove", "change", "change", "follow", "unfollow"])
    if act == "save" or (act in ("remove", "change") and not own):
        save(actor, f"{PAGE}/{chance.random()}", private=chance.random() < 0.3)
    elif act == "remove":
        remove_card(card=chance.choice(own))
    elif act == "change":
        update_card(card=chance.choice(own), visibility=chance.choice(Visibility.values))
    elif act == "follow":
        follow(follower=actor, followed=other)
    else:
        unfollow(follower=actor, followed=other)


def everybody_follows_everybody(people: list[User]) -> None:
    for follower, followed in permutations(people, 2):
        follow(follower=follower, followed=followed)


@pytest.mark.parametrize("seed", range(3))
def test_a_rebuilt_timeline_equals_the_live_one(
    drain: Drain, alice: User, bob: User, charlie: User, seed: int
) -> None:
    chance = random.Random(seed)
    people = [alice, bob, charlie]
    everybody_follows_everybody(people)
    for step in range(80):
        actor = chance.choice(people)
        something_happens(chance, actor, [other for other in people if other != actor])
        if step % 25 == 24:
            drain()

    drain()
    live = timelines()
    call_command("rebuild_feeds", "--all", stdout=StringIO())

    assert live == timelines()
    assert len(live) > 0


def test_what_happens_while_handlers_run_is_not_missed_either(
    drain: Drain, alice: User, bob: User, charlie: User
) -> None:
    people = [alice, bob, charlie]
    everybody_follows_everybody(people)

    def live(actor: User) -> None:
        chance = random.Random(actor.username)
        for _ in range(60):
            something_happens(chance, actor, [other for other in people if other != actor])
        connection.close()

    with ThreadPoolExecutor() as pool:
        lives = [pool.submit(live, actor) for actor in people]
        while not all(each.done() for each in lives):
            drain()
    for each in lives:
        each.result()
    drain()
    # A handler that overlaps with a change may leave an entry too many, which no read shows.
    prune_orphans()
    kept = timelines()
    call_command("rebuild_feeds", "--all", stdout=StringIO())

    assert kept == timelines()
    assert len(kept) > 0


def test_a_rebuild_during_a_fan_out_waits_for_it_and_never_deadlocks(
    alice: User, bob: User
) -> None:
    follow(follower=bob, followed=alice)
    older, newer = save_many(alice, 2)
    with second_session() as other:
        with transaction.atomic():
            # A fan-out of two cards, stopped between its rows.
            TimelineEntry.objects.create(owner=bob, card=older, author=alice)
            rebuilt = other.start(lambda: rebuild_timeline(owner_id=bob.pk))
            wait_for(other.waits, seconds=10, what="the rebuild to wait for the fan-out")
            TimelineEntry.objects.create(owner=bob, card=newer, author=alice)
        rebuilt.result(timeout=30)
        other.commit()

    assert shown(bob) == [newer.pk, older.pk]


def test_a_rebuild_during_a_retraction_waits_for_it_and_never_deadlocks(
    alice: User, bob: User
) -> None:
    follow(follower=bob, followed=alice)
    older, newer = save_many(alice, 2)
    for card in (newer, older):
        TimelineEntry.objects.create(owner=bob, card=card, author=alice)
    with second_session() as other:
        with transaction.atomic():
            # A retraction of two cards, stopped between its locks.
            TimelineEntry.objects.select_for_update().get(card=older)
            rebuilt = other.start(lambda: rebuild_timeline(owner_id=bob.pk))
            wait_for(other.waits, seconds=10, what="the rebuild to wait for the retraction")
            TimelineEntry.objects.select_for_update().get(card=newer)
        rebuilt.result(timeout=30)
        other.commit()

    assert shown(bob) == [newer.pk, older.pk]


def test_one_feed_can_be_rebuilt_by_name(drain: Drain, alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice)
    save_many(alice, 3)
    drain()
    before = timelines()
    TimelineEntry.objects.all().delete()
    output = StringIO()

    call_command("rebuild_feeds", "--user", "bob", stdout=output)

    assert timelines() == before
    assert output.getvalue().rstrip().endswith("Rebuilt 1 of 1 timelines")


def test_rebuilding_everything_leaves_evicted_timelines_alone(alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice)
    save_many(alice, 1)
    rebuild_timeline(owner_id=bob.pk)
    Timeline.objects.update(evicted_at="2026-01-01T00:00Z")
    TimelineEntry.objects.all().delete()

    call_command("rebuild_feeds", "--all", stdout=StringIO())

    assert TimelineEntry.objects.count() == 0


def test_rebuilding_the_feed_of_nobody_says_so() -> None:
    with pytest.raises(CommandError, match="There is no user called 'nobody'"):
        call_command("rebuild_feeds", "--user", "nobody")


def test_a_user_who_is_deleted_meanwhile_does_not_stop_the_rebuilding(alice: User) -> None:
    gone = alice.pk
    alice.delete()

    rebuild_timeline(owner_id=gone)

    assert not Timeline.objects.exists()
