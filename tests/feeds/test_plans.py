"""PostgreSQL reads few rows for few events, whoever else has very many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from accounts.models import User, Visibility
from accounts.services import follow
from cards.events import CardAdded, CardRemoved, CardUpdated
from cards.queries import split_by_followers
from cards.services import remove_card, update_card
from eventbook.database.statements import in_order, plan
from eventbook.declare.events import SMALL_BATCH
from feeds.handlers import fan_out, refresh_card, retract_card
from feeds.queries import following_page
from notifications.handlers import notify_card_added
from tests.harness.deliveries import recorded
from tests.harness.plans import entries_read
from tests.library import CROWD, save, save_many

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_deleted_rows"),
]

FANS = 20_000
MANY = 30  # times the few events: a batch of more than SMALL_BATCH
# A neighbourhood: everybody who follows Alice is followed by the ten next ones, and has 20 cards.
NEIGHBOURS = """
    INSERT INTO accounts_follow (follower_id, followed_id, notify, created_at)
    SELECT follower.id, followed.id, true, now()
    FROM accounts_user followed JOIN accounts_user follower
      ON follower.id BETWEEN followed.id + 1 AND followed.id + 10
    WHERE followed.username LIKE 'fan%'
"""
CARDS = """
    INSERT INTO cards_card (id, curator_id, type, link, title, text, reference, visibility,
                            created_at, updated_at)
    SELECT gen_random_uuid(), id, 'NOTE', '', '', 'a note', '{}', 'PUBLIC', now(), now()
    FROM accounts_user, generate_series(1, 20) WHERE username LIKE 'fan%'
"""
# A full timeline of silent authors, whose cards are the oldest of all; everybody else's came later.
SILENT = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT %s, card.id, card.curator_id
    FROM accounts_follow follow JOIN cards_card card ON card.curator_id = follow.followed_id
    WHERE follow.follower_id = %s ORDER BY card.id LIMIT 1000
"""
# A short one for everybody else, which is what the planner expects of a reader.
SHORT = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT reader.id, card.id, card.curator_id
    FROM accounts_user reader
    CROSS JOIN (SELECT id, curator_id FROM cards_card ORDER BY id DESC LIMIT 20) card
    WHERE reader.username LIKE 'fan%' AND reader.id <> card.curator_id
    ORDER BY card.id, reader.username  -- as cards come, and so scattered over the table
"""
FOLLOWED = """
    INSERT INTO accounts_follow (follower_id, followed_id, notify, created_at)
    SELECT %s, id, false, now() FROM accounts_user WHERE username LIKE 'fan%%'
"""
# Some whose cards are in no timeline; they have more of them than a page.
MERGED = """
    WITH merged AS (
        INSERT INTO feeds_mergedcurator (curator_id, since)
        SELECT id, now() FROM accounts_user WHERE username LIKE 'fan%%' ORDER BY id LIMIT %s
        RETURNING curator_id
    )
    INSERT INTO cards_card (id, curator_id, type, link, title, text, reference, visibility,
                            created_at, updated_at)
    SELECT gen_random_uuid(), curator_id, 'NOTE', '', '', 'a note', '{}', 'PUBLIC', now(), now()
    FROM merged, generate_series(1, 500)
"""
READ = ("feeds_timelineentry", "cards_card", "accounts_follow")


@pytest.fixture
def few_among_many(alice: User, bob: User, charlie: User) -> User:
    """Create an author with one follower, and another with very many."""
    follow(follower=charlie, followed=bob, notify=True)
    with connection.cursor() as cursor:
        cursor.execute(CROWD, [FANS, alice.pk])
        cursor.execute("ANALYZE accounts_follow, accounts_user, cards_card")
    first, second, *_ = save_many(bob, 5)
    update_card(card=first, visibility=Visibility.PRIVATE)
    remove_card(card=second)
    return bob


def read_by(work: Callable[[], object], *, of: str, few: bool) -> int:
    """Execute the handler, and return the number of entries read."""
    plan(lean=few)
    try:
        with transaction.atomic():
            before = entries_read(of)
            work()
            return entries_read(of) - before
    finally:
        plan(lean=False)


@pytest.mark.parametrize(
    ("work", "about"),
    [
        (split_by_followers, CardAdded),
        (fan_out, CardAdded),
        (notify_card_added, CardAdded),
        (refresh_card, CardUpdated),
        (retract_card, CardRemoved),
    ],
)
@pytest.mark.parametrize("times", [1, MANY])
def test_few_followers_are_found_among_very_many(
    few_among_many: User, work: Callable[[Any], object], about: type[Any], times: int
) -> None:
    events = recorded(about) * times
    assert (len(events) <= SMALL_BATCH) == (times == 1)

    read = read_by(lambda: work(events), of="accounts_follow", few=times == 1)

    assert read < 10 * len(events)


@pytest.mark.parametrize("work", [fan_out, notify_card_added])
def test_the_other_cards_of_curators_are_not_read(
    alice: User, work: Callable[[Any], object]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CROWD, [200, alice.pk])
        cursor.execute(NEIGHBOURS)
        cursor.execute(CARDS)
        # All but timelines: of a table into which nobody wrote yet, PostgreSQL knows nothing.
        cursor.execute("ANALYZE accounts_follow, accounts_user, cards_card")
    for curator in User.objects.filter(username__startswith="fan")[:100]:
        save(curator)
    events = recorded(CardAdded)

    read = read_by(lambda: work(events), of="cards_card", few=False)

    assert read < 100 * len(events)


@pytest.mark.parametrize("merged", [0, 5])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_a_page_of_the_following_feed_reads_a_page_of_cards(
    alice: User, mode: str, merged: int
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CROWD, [2000, alice.pk])
        cursor.execute(CARDS)
        cursor.execute(FOLLOWED, [alice.pk])
        cursor.execute(SILENT, [alice.pk, alice.pk])
        cursor.execute(SHORT)
        cursor.execute(MERGED, [merged])
        cursor.execute("ANALYZE accounts_follow, accounts_user, cards_card, feeds_timelineentry")
    page = following_page(alice, None, descending=True, limit=50)
    statement, parameters = page.query.sql_with_params()
    places = [f"${number}" for number in range(1, len(parameters) + 1)]
    with in_order(), connection.cursor() as cursor:
        # As web processes do, where parameters stay beside the statement.
        cursor.execute(f"SET LOCAL plan_cache_mode = {mode}")
        cursor.execute(f"PREPARE page AS {statement % tuple(places)}")
        before = {table: entries_read(table) for table in READ}
        cursor.execute(f"EXECUTE page ({', '.join(['%s'] * len(places))})", parameters)

        assert len(cursor.fetchall()) == 50
        read = {table: entries_read(table) - before[table] for table in READ}
        # Where the timeline ends is found in its index.
        read["feeds_timelineentry"] -= settings.FEED_LENGTH if merged else 0
        assert max(read.values()) <= (4 + 2 * merged) * 50, read
        cursor.execute("DEALLOCATE page")
