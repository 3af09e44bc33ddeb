"""New entries of the following feed on the live stream, as the feed shows them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cards.serializers import CardSerializer
from events.stream import Pair, Source, register
from feeds import queries

# In timelines, and in the libraries of those who have very many followers: there once for all
# readers, and only cards that were added lately.
CHANGED = """
    SELECT since.person_id, newest.card_id, newest.written
    FROM since CROSS JOIN LATERAL (
        SELECT card_id, xmin AS written FROM feeds_timelineentry
        WHERE owner_id = since.person_id AND card_id >= since.first
        ORDER BY card_id DESC LIMIT %(most)s
    ) newest
    WHERE age(newest.written) BETWEEN 0 AND age(since.horizon)
    UNION ALL
    SELECT since.person_id, newest.id, newest.written
    FROM feeds_mergedcurator merged CROSS JOIN LATERAL (
        SELECT id, xmin AS written FROM cards_card
        WHERE curator_id = merged.curator_id AND id >= %(earliest)s
        ORDER BY id DESC LIMIT %(most)s
    ) newest
    JOIN since ON age(newest.written) BETWEEN 0 AND age(since.horizon)
    JOIN accounts_follow follow
      ON follow.follower_id = since.person_id AND follow.followed_id = merged.curator_id
    WHERE NOT EXISTS (
        SELECT FROM feeds_timelineentry
        WHERE owner_id = since.person_id AND card_id = newest.id
    )
"""


def shown(pairs: Collection[Pair]) -> dict[Pair, Any]:
    """This answers the cards that readers find in their following feed now."""
    cards = {card.pk: card for card in queries.feed_cards({card for _, card in pairs})}
    follows = queries.follows_between(
        {reader for reader, _ in pairs}, {card.curator_id for card in cards.values()}
    )
    data = {id: CardSerializer(card).data for id, card in cards.items()}
    return {
        (reader, id): data[id]
        for reader, id in pairs
        if id in cards and (reader, cards[id].curator_id) in follows
    }


register(Source("feed", CHANGED, shown))
