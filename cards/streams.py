"""The live stream's events `import` and `card`, each sent only to the owner."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cards.imports.models import Import
from cards.imports.queries import count_dead_letters
from cards.imports.serializers import ImportSerializer
from cards.models import Card
from cards.queries import with_representation
from cards.serializers import CardSerializer
from events.stream import Pair, Source, register

# Changed rows among the newest imports of each user. The key alone doesn't find them: an import
# runs, and changes, long after its id was created.
IMPORTS = """
    SELECT since.person_id, newest.id, newest.written
    FROM since CROSS JOIN LATERAL (
        SELECT id, xmin AS written FROM cards_import
        WHERE owner_id = since.person_id ORDER BY id DESC LIMIT %(most)s
    ) newest
    WHERE age(newest.written) BETWEEN 0 AND age(since.horizon)
"""
# Cards whose pages were fetched just now. The join starts from these few pages; starting from the
# users would scan all of their cards.
FILLED_IN = """
    SELECT since.person_id, card.id, page.written
    FROM (
        SELECT url_id, xmin AS written FROM cards_metadata
        WHERE greatest(asked_at, registered_at) > now() - %(seconds)s * interval '1 second'
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


def shown_imports(pairs: Collection[Pair]) -> dict[Pair, Any]:
    """Return the state of imports, in the format of `imports/{id}/`."""
    ids = {id for _, id in pairs}
    context = {"dead_letters": count_dead_letters(ids)}
    return {
        pair: ImportSerializer(job, context=context).data
        for job in Import.objects.filter(pk__in=ids)
        if (pair := (job.owner_id, job.pk)) in pairs
    }


def shown_cards(pairs: Collection[Pair]) -> dict[Pair, Any]:
    """Return the cards with the metadata of their pages, as their curators see them."""
    cards = with_representation(Card.objects.filter(pk__in={id for _, id in pairs}), own=True)
    return {
        pair: CardSerializer(card).data
        for card in cards
        if (pair := (card.curator_id, card.pk)) in pairs
    }


register(Source("import", IMPORTS, shown_imports))
register(Source("card", FILLED_IN, shown_cards))
