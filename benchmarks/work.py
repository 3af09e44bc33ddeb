"""The work W: cards of people who are followed, each to be told and shown to every follower.

1,000 people follow each other by a power law (20 followers on average, 200 at most). Each event
writes one notification and one feed entry a follower; every system writes the same rows of the
same tables. The state at the end is compared with what follows from cards and follows, row by row.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from events.ids import new_id

PEOPLE = 1_000
AVERAGE, MOST = 20, 200
SEED = 7


@dataclass(frozen=True)
class Work:
    """The cards to be told of, as (card id, curator id), and the number of rows they make."""

    cards: Sequence[tuple[UUID, int]]
    rows: int


class Wrong(AssertionError):
    """A system did not do the work."""


def follower_counts(dice: random.Random) -> list[int]:
    """This answers how many follow each person, by a power law."""
    raw = [min(MOST, int(5 * dice.paretovariate(1.16))) for _ in range(PEOPLE)]
    scale = AVERAGE * PEOPLE / sum(raw)
    return [max(1, min(MOST, round(count * scale))) for count in raw]


def make_people(session: psycopg.Connection) -> None:
    """This makes the people and their follows, in an empty database."""
    dice = random.Random(SEED)
    session.execute("TRUNCATE accounts_user, cards_url RESTART IDENTITY CASCADE")
    with session.cursor().copy(
        "COPY accounts_user (id, password, is_superuser, username, first_name, last_name, email,"
        " is_staff, is_active, date_joined, display_name, bio) FROM STDIN"
    ) as copy:
        for id in range(1, PEOPLE + 1):
            name = f"u{id}"
            copy.write_row(
                (id, "", False, name, "", "", f"{name}@example.org", False, True,
                 "2026-01-01T00:00Z", "", "")
            )  # fmt: skip
    with session.cursor().copy(
        "COPY accounts_follow (follower_id, followed_id, notify, created_at) FROM STDIN"
    ) as copy:
        for followed, count in enumerate(follower_counts(dice), start=1):
            others = [id for id in range(1, PEOPLE + 1) if id != followed]
            for follower in sorted(dice.sample(others, count)):
                copy.write_row((follower, followed, True, "2026-01-01T00:00Z"))
    session.execute("SELECT setval('accounts_user_id_seq', %s)", [PEOPLE])


def make_work(session: psycopg.Connection, events: int, *, seed: int = SEED) -> Work:
    """This forgets all cards and what came of them, and makes so many new ones, untold."""
    session.execute(
        "TRUNCATE cards_card, feeds_timelineentry, notifications_notification, events_event,"
        " events_outboxentry, events_delivery, events_attempt, events_lease CASCADE"
    )
    dice = random.Random(seed)
    cards = [(new_id(), dice.randint(1, PEOPLE)) for _ in range(events)]
    with session.cursor().copy(
        "COPY cards_card (id, curator_id, type, link, title, text, reference, visibility,"
        " created_at, updated_at) FROM STDIN"
    ) as copy:
        for id, curator in cards:
            copy.write_row(
                (id, curator, "NOTE", "", "", "a note", "{}", "PUBLIC",
                 "2026-02-01T00:00Z", "2026-02-01T00:00Z")
            )  # fmt: skip
    # Nobody pays for what another one left behind.
    session.execute("VACUUM (ANALYZE)")
    session.execute("CHECKPOINT")
    return Work(cards, count_expected(session))


EXPECTED = """
    SELECT follow.follower_id AS person, card.id AS card
    FROM cards_card card JOIN accounts_follow follow ON follow.followed_id = card.curator_id
"""
FOUND = {
    "feed entries": "SELECT owner_id AS person, card_id AS card FROM feeds_timelineentry",
    "notifications": (
        "SELECT recipient_id AS person, card_id AS card FROM notifications_notification"
        " WHERE kind = 'CARD_ADDED'"
    ),
}


def count_expected(session: psycopg.Connection) -> int:
    """This answers how many rows each of the two tables must have."""
    row = session.execute(f"SELECT count(*) FROM ({EXPECTED}) AS expected").fetchone()
    assert row
    return int(row[0])


def check(session: psycopg.Connection) -> None:
    """This raises Wrong unless both tables have exactly the rows that they must have."""
    for what, found in FOUND.items():
        for difference, text in (
            (f"({EXPECTED}) EXCEPT ALL ({found})", "missing"),
            (f"({found}) EXCEPT ALL ({EXPECTED})", "too many"),
        ):
            row = session.execute(f"SELECT count(*) FROM ({difference}) AS differing").fetchone()
            if row and row[0]:
                raise Wrong(f"{row[0]} {what} {text}")
