"""A celebrity costs nobody else anything: PostgreSQL reads the few followers of the others."""

from __future__ import annotations

import json
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
from feeds.handlers import fan_out, refresh_card, retract_card
from notifications.handlers import notify_card_added
from tests.library import CROWD, recorded, save_many

pytestmark = pytest.mark.django_db(transaction=True)

FANS = 20_000
FEW_BLOCKS = 120  # the table of follows alone has more; each index, too


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


def blocks_read(work: Callable[[], object]) -> int:
    """This answers how many blocks PostgreSQL read for the statement that read most."""
    read = [0]

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        with connection.connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
            (plans,) = cursor.fetchone()
        plan = (plans if isinstance(plans, list) else json.loads(plans))[0]["Plan"]
        read.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(explain):
        work()
    assert len(read) > 1
    return max(read)


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
def test_few_followers_are_found_among_very_many(
    few_among_many: User, work: Callable[[Any], object], about: type[Any]
) -> None:
    assert blocks_read(lambda: work(recorded(about))) < FEW_BLOCKS
