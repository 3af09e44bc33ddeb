"""The live stream's event `feed`: new and changed cards of the following feed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cards.queries import CHANGED_CARDS
from cards.serializers import CardSerializer
from eventbook.stream import Pair, Source, register
from feeds import queries

# Finds, in order: new entries of timelines; new cards of merged curators (feeds/models.py), looked
# up once for all readers; and known cards that were changed, or whose pages were fetched. The pages
# of imported cards are left out, because an import can have thousands.
CHANGES = f"""
    , {CHANGED_CARDS}, touched AS MATERIALIZED (
        SELECT *, row_number() OVER (PARTITION BY curator_id ORDER BY card_id DESC) AS place
        FROM (
            SELECT card_id, curator_id, written FROM changed WHERE is_public
            UNION ALL
            SELECT card.id, card.curator_id, page.written
            FROM (
                SELECT url_id, xmin AS written FROM pages_metadata
                WHERE greatest(requested_at, registry_requested_at)
                      > now() - %(seconds)s * interval '1 second'
                  AND status <> 'pending'
                  AND age(xmin) BETWEEN 0 AND (SELECT max(age(horizon)) FROM since)
                OFFSET 0
            ) page
            CROSS JOIN LATERAL (
                SELECT id, curator_id FROM cards_card
                WHERE url_id = page.url_id AND visibility = 'PUBLIC' LIMIT 200
            ) card
            WHERE EXISTS (SELECT FROM eventbook_event
                          WHERE subject = 'cards/' || card.id AND type = 'card.added')
        ) card
    ), reader AS MATERIALIZED (
        SELECT follow.follower_id AS person_id, curator.curator_id
        FROM (SELECT DISTINCT curator_id FROM touched) curator
        JOIN accounts_follow follow
          ON follow.followed_id = curator.curator_id
         AND follow.follower_id = ANY(%(people)s::bigint[])
    )
    SELECT since.person_id, newest.card_id, newest.written
    FROM since CROSS JOIN LATERAL (
        SELECT card_id, xmin AS written FROM feeds_timelineentry
        WHERE owner_id = since.person_id AND card_id >= since.first
        ORDER BY card_id DESC LIMIT %(max_rows)s
    ) newest
    WHERE age(newest.written) BETWEEN 0 AND age(since.horizon)
    UNION ALL
    SELECT since.person_id, newest.id, newest.written
    FROM feeds_mergedcurator merged CROSS JOIN LATERAL (
        SELECT id, xmin AS written FROM cards_card
        WHERE curator_id = merged.curator_id AND id >= %(earliest)s
        ORDER BY id DESC LIMIT %(max_rows)s
    ) newest
    JOIN since ON age(newest.written) BETWEEN 0 AND age(since.horizon)
    JOIN accounts_follow follow
      ON follow.follower_id = since.person_id AND follow.followed_id = merged.curator_id
    WHERE NOT EXISTS (
        SELECT FROM feeds_timelineentry
        WHERE owner_id = since.person_id AND card_id = newest.id
    )
    UNION ALL
    SELECT since.person_id, touched.card_id, touched.written
    FROM touched JOIN reader USING (curator_id)
    JOIN since ON since.person_id = reader.person_id
    WHERE age(touched.written) BETWEEN 0 AND age(since.horizon) AND touched.place <= %(max_rows)s
"""  # noqa: S608 - put together from constants
# The followers of curators of whom a public card was removed or made private.
RESETS = f"""
    , {CHANGED_CARDS}, hidden AS MATERIALIZED (
        SELECT curator_id, written::xid AS written FROM (
            SELECT DISTINCT curator_id, written::text AS written FROM changed WHERE NOT is_public
        ) changed
    )
    SELECT since.person_id, hidden.written
    FROM hidden
    JOIN accounts_follow follow
      ON follow.followed_id = hidden.curator_id AND follow.follower_id = ANY(%(people)s::bigint[])
    JOIN since ON since.person_id = follow.follower_id
    WHERE age(hidden.written) BETWEEN 0 AND age(since.horizon)
"""  # noqa: S608 - put together from constants


def load_cards(pairs: Collection[Pair]) -> dict[Pair, Any]:
    """Return the cards of the pairs (reader, card) that the reader's following feed shows now."""
    cards = {card.pk: card for card in queries.public_feed(pk__in={card for _, card in pairs})}
    follows = queries.follows_between(
        {reader for reader, _ in pairs}, {card.curator_id for card in cards.values()}
    )
    data = {id: CardSerializer(card).data for id, card in cards.items()}
    return {
        (reader, id): data[id]
        for reader, id in pairs
        if id in cards and (reader, cards[id].curator_id) in follows
    }


register(Source(name="feed", changes_sql=CHANGES, load_data=load_cards, resets_sql=RESETS))
