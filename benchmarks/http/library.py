"""Fill the database for the HTTP benchmark: a few writers, or one reader and very many cards."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import closing

import psycopg
import redis

from benchmarks import work
from benchmarks.http.lengths import Size
from stack.embedded import Servers

WRITERS = 200
FOLLOWS = 10  # followers of each writer
TOKEN_LENGTH, KEY_LENGTH = 64, 15  # the lengths that knox uses
TIMELINE = 1_000  # the setting FEED_LENGTH
MERGED = 500  # one in this many people is a curator whose cards are merged into feeds on reading
TABLES = f"{work.CLEARED}, pages_url, api_idempotentrequest"


def forget_cards(servers: Servers, session: psycopg.Connection) -> None:
    """Delete all cards and their effects, so that no system is slowed down by another's rows."""
    session.execute(f"TRUNCATE {TABLES} CASCADE")
    with closing(redis.Redis.from_url(servers.unix_url)) as broker:
        broker.flushall()
    session.execute("CHECKPOINT")


def make_writers(session: psycopg.Connection) -> Sequence[str]:
    """Create the writers, each followed by FOLLOWS others; return their tokens."""
    _make_people(session, WRITERS)
    session.execute(
        """
        INSERT INTO accounts_follow (follower_id, followed_id, notify, created_at)
        SELECT 1 + (followed + step) %% %(people)s, 1 + followed, true, now()
        FROM generate_series(0, %(people)s - 1) AS followed, generate_series(1, %(each)s) AS step
        """,
        {"people": WRITERS, "each": FOLLOWS},
    )
    tokens = make_tokens(session, range(1, WRITERS + 1))
    session.execute("VACUUM ANALYZE accounts_user, accounts_follow, knox_authtoken")
    return tokens


def make_reader(session: psycopg.Connection, size: Size) -> Sequence[str]:
    """Fill the database around one reader, the person with id 1; return the reader's token."""
    _make_people(session, size.people)
    sizes = vars(size) | {"timeline": TIMELINE, "merged": MERGED}
    # Skip foreign key checks, which would take longer than everything else.
    session.execute("SET session_replication_role = replica")
    for statement in FILL:
        session.execute(statement, sizes)
    session.execute("SET session_replication_role = origin")
    tokens = make_tokens(session, [1])
    session.execute("VACUUM (ANALYZE)")
    session.execute("CHECKPOINT")
    return tokens


def _make_people(session: psycopg.Connection, people: int) -> None:
    """Delete all data, and create people with the ids 1 to `people`."""
    session.execute(f"TRUNCATE accounts_user, {TABLES} RESTART IDENTITY CASCADE")
    work.add_people(session, 1, people)


def make_tokens(session: psycopg.Connection, people: Sequence[int]) -> Sequence[str]:
    """Create an API token for each person id, and return the tokens."""
    tokens = [secrets.token_hex(TOKEN_LENGTH // 2) for _ in people]
    with session.cursor().copy(
        "COPY knox_authtoken (digest, token_key, created, user_id) FROM STDIN"
    ) as copy:
        for person, token in zip(people, tokens, strict=True):
            digest = hashlib.sha512(token.encode()).hexdigest()
            copy.write_row((digest, token[:KEY_LENGTH], "2026-01-01T00:00Z", person))
    return tokens


# PostgreSQL generates these rows itself, which is faster than sending them. Person 1 is the reader,
# who follows the next `followed` people. Keys are UUIDv7, one per second.
KEY = "(lpad(to_hex(1750000000000 + n * 1000), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))"
PAGES = """
    INSERT INTO pages_url (id, canonical, host, created_at)
    SELECT nextval('pages_url_id_seq'),
           'https://www.journal-' || n %% 997 || '.example.org/articles/' || n,
           'www.journal-' || n %% 997 || '.example.org', now()
    FROM generate_series(1, %(cards)s / 4 + 1) AS n
"""
CARDS = f"""
    INSERT INTO cards_card (id, curator_id, type, url_id, link, title, text, reference, visibility,
                            created_at, updated_at)
    SELECT {KEY}::uuid, 2 + n %% (%(people)s - 1), 'URL', page.id, page.canonical,
           'On the measurement of ' || n, repeat('Why it was worth keeping. ', 6), '{{}}',
           'PUBLIC', to_timestamp(1750000000 + n), to_timestamp(1750000000 + n)
    FROM generate_series(1, %(cards)s) AS n JOIN pages_url page ON page.id = 1 + n / 4
"""
FOLLOWED = """
    INSERT INTO accounts_follow (follower_id, followed_id, notify, created_at)
    SELECT 1, followed, true, now() FROM generate_series(2, %(followed)s + 1) AS followed
    UNION ALL
    SELECT follower, 2 + (follower * 7 + step * 13) %% (%(people)s - 1), true, now()
    FROM generate_series(2, %(people)s) AS follower, generate_series(1, 20) AS step
    WHERE 2 + (follower * 7 + step * 13) %% (%(people)s - 1) <> follower
"""
TIMELINES = """
    INSERT INTO feeds_timeline (owner_id, read_at) SELECT id, now() FROM accounts_user
"""
# The newest cards of followed people: a full timeline for the reader, short ones for others.
OWN_ENTRIES = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT 1, card.id, card.curator_id FROM cards_card card
    WHERE card.curator_id BETWEEN 2 AND %(followed)s + 1
    ORDER BY card.id DESC LIMIT %(timeline)s
"""
ENTRIES = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT follow.follower_id, card.id, card.curator_id
    FROM (SELECT id, curator_id FROM cards_card ORDER BY id DESC LIMIT %(people)s) card
    JOIN accounts_follow follow ON follow.followed_id = card.curator_id
    WHERE follow.follower_id > 1
"""
NOTIFICATIONS = f"""
    INSERT INTO notifications_notification
           (recipient_id, event_id, kind, actor_id, card_id, created_at, read_at)
    SELECT recipient, {KEY}::uuid, CASE n %% 3 WHEN 0 THEN 'PAGE_SAVED' ELSE 'CARD_ADDED' END,
           card.curator_id, card.id, card.created_at, CASE n %% 2 WHEN 0 THEN now() END
    FROM (
        SELECT 1 AS recipient, %(cards)s + 1 - n AS n
        FROM generate_series(1, %(notifications)s) AS n
        UNION ALL
        SELECT recipient, %(cards)s + 1 - n AS n
        FROM generate_series(2, %(people)s) AS recipient, generate_series(1, 20) AS n
    ) notified
    JOIN cards_card card ON card.id = {KEY}::uuid
"""
# Timelines hold the cards of merged curators too, because the peers read timelines only.
MERGED_CURATORS = """
    INSERT INTO feeds_mergedcurator (curator_id, since)
    SELECT id, now() FROM generate_series(2, %(people)s, %(merged)s) AS id
"""
FILL = (
    PAGES, CARDS, FOLLOWED, TIMELINES, ENTRIES, OWN_ENTRIES, MERGED_CURATORS, NOTIFICATIONS,
)  # fmt: skip
