"""The work that all systems do: notify the followers of each card's curator, and fill their feeds.

1,000 people follow each other by a power law (20 followers on average, 200 at most). Each event
writes one notification and one feed entry per follower. Every system writes the same rows to the
same tables, and the final rows are compared with those that cards and follows imply. One exception:
Commonplace writes no feed entries for a celebrity, whose cards are merged into feeds on reading.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg

from eventbook.database.ids import new_id

PEOPLE = 1_000
AVERAGE, MOST = 20, 200
SEED = 7
ADDED = "2026-01-01T00:00Z"

# Cards as (card id, curator id).
Cards = Sequence[tuple[UUID, int]]


class WrongRows(AssertionError):
    """A system left missing or wrong rows, or rows that its responses don't match."""


def follower_counts(dice: random.Random) -> list[int]:
    """Return the number of followers of each person, distributed by a power law."""
    raw = [min(MOST, int(5 * dice.paretovariate(1.16))) for _ in range(PEOPLE)]
    scale = AVERAGE * PEOPLE / sum(raw)
    return [max(1, min(MOST, round(count * scale))) for count in raw]


def make_people(session: psycopg.Connection) -> None:
    """Delete all data, and create the people and their follows."""
    clear(session)
    session.execute("TRUNCATE accounts_user, pages_url RESTART IDENTITY CASCADE")
    add_people(session, 1, PEOPLE)
    dice = random.Random(SEED)
    for followed, count in enumerate(follower_counts(dice), start=1):
        others = [id for id in range(1, PEOPLE + 1) if id != followed]
        add_followers(session, followed, sorted(dice.sample(others, count)))


PEOPLE_ROWS = """
    INSERT INTO accounts_user (id, password, is_superuser, username, first_name, last_name, email,
                               is_staff, is_active, date_joined, display_name, bio)
    SELECT id, '', false, 'u' || id, '', '', 'u' || id || '@example.org', false, true, now(),
           'Person ' || id, ''
    FROM generate_series(%s::bigint, %s::bigint) AS id
"""


def add_people(session: psycopg.Connection, first: int, last: int) -> None:
    """Create people with the ids `first` to `last`."""
    session.execute(PEOPLE_ROWS, [first, last])
    session.execute("SELECT setval('accounts_user_id_seq', %s)", [last])


def add_followers(session: psycopg.Connection, followed: int, followers: Sequence[int]) -> None:
    """Let people follow one person, with notifications on."""
    with session.cursor().copy(
        "COPY accounts_follow (follower_id, followed_id, notify, created_at) FROM STDIN"
    ) as copy:
        for follower in followers:
            copy.write_row((follower, followed, "t", ADDED))


# Cards, and all that is written because of them.
CLEARED = (
    "cards_card, feeds_timelineentry, feeds_mergedcurator, notifications_notification,"
    " eventbook_event, eventbook_outboxentry, eventbook_delivery, eventbook_attempt,"
    " eventbook_lease"
)
# Whether events or deliveries of Commonplace are unfinished.
UNFINISHED = """
    SELECT EXISTS (SELECT FROM eventbook_outboxentry)
        OR EXISTS (SELECT FROM eventbook_delivery WHERE due_at IS NOT NULL)
"""


def clear(session: psycopg.Connection) -> None:
    """Delete all cards, their events and their effects."""
    while True:
        # A running system may lock the same tables in another order.
        with suppress(psycopg.errors.DeadlockDetected):
            session.execute(f"TRUNCATE {CLEARED} CASCADE")
            return


FILLED = """
    SELECT string_agg(relid::regclass::text, ', ') FROM pg_stat_user_tables
    WHERE pg_relation_size(relid) > 0
"""


def settle(session: psycopg.Connection) -> None:
    """Vacuum, analyze and checkpoint now, so that no system pays for the rows of another.

    Skip empty tables: once analyzed as empty, they would get plans that a real installation never
    has, and sessions keep their plans.
    """
    (filled,) = session.execute(FILLED).fetchone() or ("",)
    session.execute(f"VACUUM (ANALYZE) {filled}")
    session.execute("CHECKPOINT")


def plan(events: int, *, seed: int = SEED) -> Cards:
    """Return new cards of random curators, without inserting them."""
    dice = random.Random(seed)
    return [(new_id(), dice.randint(1, PEOPLE)) for _ in range(events)]


def insert(session: psycopg.Connection, cards: Cards) -> None:
    """Insert cards without recording events."""
    with session.cursor().copy(
        "COPY cards_card (id, curator_id, type, link, title, text, reference, visibility,"
        " created_at, updated_at) FROM STDIN"
    ) as copy:
        for id, curator in cards:
            row = (id, curator, "NOTE", "", "", "a note", "{}", "PUBLIC", ADDED, ADDED)
            copy.write_row(row)


EXPECTED = """
    SELECT follow.follower_id AS person, card.id AS card
    FROM cards_card card JOIN accounts_follow follow ON follow.followed_id = card.curator_id
"""
FOUND = {
    # Entries of timelines, and cards that are merged into feeds on reading.
    "feed entries": (
        "SELECT owner_id AS person, card_id AS card FROM feeds_timelineentry UNION ALL"
        " SELECT follower_id, card.id FROM feeds_mergedcurator"
        " JOIN accounts_follow ON followed_id = curator_id JOIN cards_card card USING (curator_id)"
    ),
    "notifications": (
        "SELECT recipient_id AS person, card_id AS card FROM notifications_notification"
        " WHERE kind = 'CARD_ADDED'"
    ),
}


def check(session: psycopg.Connection, cards: int) -> int:
    """Return the number of rows in each of the two tables of effects.

    Raise WrongRows unless there are `cards` cards, and both tables have exactly the expected rows.
    """
    if (found := count(session, "cards_card")) != cards:
        raise WrongRows(f"{found} cards, not {cards}")
    for what, rows in FOUND.items():
        for difference, text in (
            (f"(({EXPECTED}) EXCEPT ALL ({rows})) AS rows", "missing"),
            (f"(({rows}) EXCEPT ALL ({EXPECTED})) AS rows", "too many"),
        ):
            if differing := count(session, difference):
                raise WrongRows(f"{differing} {what} {text}")
    return count(session, f"({EXPECTED}) AS rows")


def count(session: psycopg.Connection, rows: str) -> int:
    """Count rows: of a table, optionally with a WHERE clause, or of a subquery."""
    return int(scalar(session, f"SELECT count(*) FROM {rows}"))


def scalar(session: psycopg.Connection, statement: str, parameters: Sequence[Any] = ()) -> Any:
    """Return the single value that a statement selects."""
    ((value,),) = session.execute(statement, parameters or None).fetchall()
    return value
