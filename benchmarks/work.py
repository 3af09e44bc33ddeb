"""The work W: cards of people who are followed, each to be told and shown to every follower.

1,000 people follow each other by a power law (20 followers on average, 200 at most). Each event
writes one notification and one feed entry a follower; every system writes the same rows of the
same tables. The state at the end is compared with what follows from cards and follows, row by row.
Only for a celebrity Commonplace writes no feed entries: it finds those cards when a feed is read.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import psycopg

from events.ids import new_id

PEOPLE = 1_000
AVERAGE, MOST = 20, 200
SEED = 7
JOINED = ADDED = "2026-01-01T00:00Z"

# Cards to be told of, as (card id, curator id).
Cards = Sequence[tuple[UUID, int]]


class Wrong(AssertionError):
    """A system did not do the work."""


def follower_counts(dice: random.Random) -> list[int]:
    """Return how many follow each person, by a power law."""
    raw = [min(MOST, int(5 * dice.paretovariate(1.16))) for _ in range(PEOPLE)]
    scale = AVERAGE * PEOPLE / sum(raw)
    return [max(1, min(MOST, round(count * scale))) for count in raw]


def make_people(session: psycopg.Connection) -> None:
    """Make the people and their follows, and forget all that there was before."""
    clear(session)
    session.execute("TRUNCATE accounts_user, cards_url RESTART IDENTITY CASCADE")
    add_people(session, 1, PEOPLE)
    dice = random.Random(SEED)
    for followed, count in enumerate(follower_counts(dice), start=1):
        others = [id for id in range(1, PEOPLE + 1) if id != followed]
        add_followers(session, followed, sorted(dice.sample(others, count)))


def add_people(session: psycopg.Connection, first: int, last: int) -> None:
    """Make people with the ids from the first to the last."""
    with session.cursor().copy(
        "COPY accounts_user (id, password, is_superuser, username, first_name, last_name, email,"
        " is_staff, is_active, date_joined, display_name, bio) FROM STDIN"
    ) as copy:
        for id in range(first, last + 1):
            email = f"u{id}@example.org"
            copy.write_row((id, "", "f", f"u{id}", "", "", email, "f", "t", JOINED, "", ""))
    session.execute("SELECT setval('accounts_user_id_seq', %s)", [last])


def add_followers(session: psycopg.Connection, followed: int, followers: Sequence[int]) -> None:
    """Let people follow one, and ask to be told."""
    with session.cursor().copy(
        "COPY accounts_follow (follower_id, followed_id, notify, created_at) FROM STDIN"
    ) as copy:
        for follower in followers:
            copy.write_row((follower, followed, "t", JOINED))


CLEARED = (
    *("cards_card", "feeds_timelineentry", "feeds_mergedcurator", "notifications_notification"),
    *("events_event", "events_outboxentry", "events_delivery", "events_attempt", "events_lease"),
)


def clear(session: psycopg.Connection) -> None:
    """Forget all cards and what came of them."""
    while True:
        # A system at work locks the same tables, a row each, in another order.
        with suppress(psycopg.errors.DeadlockDetected):
            session.execute(f"TRUNCATE {', '.join(CLEARED)} CASCADE")
            return


FILLED = """
    SELECT string_agg(relid::regclass::text, ', ') FROM pg_stat_user_tables
    WHERE pg_relation_size(relid) > 0
"""


def settle(session: psycopg.Connection) -> None:
    """Let PostgreSQL do its upkeep now: nobody pays for what another one left behind.

    But it leaves alone the tables that are empty for the moment: plans that are made for them as
    empty would be kept, and no installation at work has them.
    """
    (filled,) = session.execute(FILLED).fetchone() or ("",)
    session.execute(f"VACUUM (ANALYZE) {filled}")
    session.execute("CHECKPOINT")


def plan(events: int, *, seed: int = SEED) -> Cards:
    """Return cards that are not there yet."""
    dice = random.Random(seed)
    return [(new_id(), dice.randint(1, PEOPLE)) for _ in range(events)]


def insert(session: psycopg.Connection, cards: Cards) -> None:
    """Put cards into the library, and tell nobody."""
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
    # In timelines, or merged into feeds as they are read.
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
    """Return how many rows each of the two tables has.

    Raises Wrong unless so many cards are there, and both tables have the rows that they must have.
    """
    if (found := count(session, "SELECT * FROM cards_card")) != cards:
        raise Wrong(f"{found} cards, not {cards}")
    for what, rows in FOUND.items():
        for difference, text in (
            (f"({EXPECTED}) EXCEPT ALL ({rows})", "missing"),
            (f"({rows}) EXCEPT ALL ({EXPECTED})", "too many"),
        ):
            if differing := count(session, difference):
                raise Wrong(f"{differing} {what} {text}")
    return count(session, EXPECTED)


def count(session: psycopg.Connection, query: str) -> int:
    """Return how many rows a query has."""
    row = session.execute(f"SELECT count(*) FROM ({query}) AS rows").fetchone()
    assert row
    return int(row[0])
