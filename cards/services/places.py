"""Add cards to collections. A card's place is its membership in a collection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.models import User
from cards.events import CollectionCardAdded, CollectionCardImported
from cards.models import CollectionCard
from cards.signals import collection_card_added, collection_card_imported
from eventbook.database import execute, new_id

# Inserted in the order of the pairs, so that two requests never deadlock. The ids are created
# before, in the order of adding.
PLACE = """
    INSERT INTO cards_collectioncard (id, collection_id, card_id, added_by_id, created_at)
    SELECT id, collection_id, card_id, %s, %s
    FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS place (id, collection_id, card_id)
    ORDER BY collection_id, card_id
    ON CONFLICT (collection_id, card_id) DO NOTHING
    RETURNING collection_id, card_id
"""


def place(
    pairs: Iterable[tuple[UUID, UUID]], *, added_by: User, import_id: UUID | None = None
) -> int:
    """Add cards to collections, and return how many are new there.

    Each pair is the id of a collection and of a card. The caller has checked the permissions.
    `import_id` is set if an import adds its own cards; no user is notified of these.
    """
    unique = list(dict.fromkeys(pairs))
    collections, cards = [pair[0] for pair in unique], [pair[1] for pair in unique]
    ids = [new_id() for _ in unique]
    placed = execute(PLACE, [added_by.pk, timezone.now(), ids, collections, cards]).rows
    for collection_id, card_id in placed:
        fields: dict[str, Any] = {
            "collection_id": collection_id,
            "card_id": card_id,
            "added_by_id": added_by.pk,
        }
        if import_id:
            imported = CollectionCardImported(**fields, import_id=import_id)
            collection_card_imported.send(sender=CollectionCard, event=imported)
        else:
            collection_card_added.send(sender=CollectionCard, event=CollectionCardAdded(**fields))
    return len(placed)
