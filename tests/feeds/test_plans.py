"""A celebrity costs nobody else anything: PostgreSQL reads the few followers of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import User
from accounts.services import follow
from cards.events import CardAdded, CardRemoved, CardUpdated
from cards.models import Visibility
from cards.queries import ranges_of_followers
from cards.services import remove_card, update_card
from events.envelope import FEW
from events.sql import plan
from feeds.handlers import fan_out, refresh_card, retract_card
from notifications.handlers import notify_card_added
from tests.library import CROWD, recorded, save_many

pytestmark = pytest.mark.django_db(transaction=True)

FANS = 20_000
MANY = 30  # times the few events: a batch of more than FEW
# Entries of the table of follows, and of its indexes, that this transaction has read so far.
READ = """
    SELECT pg_stat_get_xact_tuples_returned('accounts_follow'::regclass)
         + sum(pg_stat_get_xact_tuples_returned(indexrelid))::bigint
    FROM pg_index WHERE indrelid = 'accounts_follow'::regclass
"""


@pytest.fixture
def few_among_many(alice: User, bob: User, charlie: User) -> User:
    """This is somebody with one follower, beside somebody with very many."""
    follow(follower=charlie, followed=bob, notify=True)
    with connection.cursor() as cursor:
        cursor.execute(CROWD, [FANS, alice.pk])
        cursor.execute("ANALYZE accounts_follow, accounts_user, cards_card")
    first, second, *_ = save_many(bob, 5)
    update_card(card=first, visibility=Visibility.PRIVATE)
    remove_card(card=second)
    return bob


def entries_read(work: Callable[[], object], *, few: bool) -> int:
    """This answers how many entries were read, as an execution lets statements be planned."""
    plan(lean=few)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            work()
            cursor.execute(READ)
            return int(cursor.fetchone()[0])
    finally:
        plan(lean=False)


@pytest.mark.parametrize(
    ("work", "about"),
    [
        (ranges_of_followers, CardAdded),
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
    assert (len(events) <= FEW) == (times == 1)

    assert entries_read(lambda: work(events), few=times == 1) < 10 * len(events)
