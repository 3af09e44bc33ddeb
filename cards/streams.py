"""The live stream's event `card`, sent only to the card's curator."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cards.models import Card
from cards.queries import with_representation
from cards.serializers import CardSerializer
from eventbook.stream import Pair, Source, register

# Cards whose pages were fetched just now. The join starts from these few pages; starting from the
# users would scan all of their cards.
CHANGES = """
    SELECT since.person_id, card.id, page.written
    FROM (
        SELECT url_id, xmin AS written FROM pages_metadata
        WHERE greatest(requested_at, registry_requested_at)
              > now() - %(seconds)s * interval '1 second'
          AND status <> 'pending'
        OFFSET 0
    ) page
    CROSS JOIN LATERAL (
        SELECT id, curator_id FROM cards_card
        WHERE url_id = page.url_id AND curator_id = ANY(%(people)s::bigint[])
        OFFSET 0
    ) card
    JOIN since ON since.person_id = card.curator_id
    WHERE age(page.written) BETWEEN 0 AND age(since.horizon)
"""


def load_cards(pairs: Collection[Pair]) -> dict[Pair, Any]:
    """Return the cards with the metadata of their pages, as their curators see them."""
    cards = with_representation(Card.objects.filter(pk__in={id for _, id in pairs}), own=True)
    return {
        pair: CardSerializer(card).data
        for card in cards
        if (pair := (card.curator_id, card.pk)) in pairs
    }


register(Source(name="card", changes_sql=CHANGES, load_data=load_cards))
