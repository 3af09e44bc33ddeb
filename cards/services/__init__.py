"""All writes to cards and collections. Each sends a domain signal in its transaction."""

from cards.services.adding import AddedCard, CardDraft, RefusedCard, add_card, add_cards
from cards.services.cards import record_update, remove_card, update_card
from cards.services.collections import (
    add_card_to_collection,
    create_collection,
    remove_card_from_collection,
    remove_collection,
    update_collection,
)
from cards.services.parents import lock_parents
from cards.services.places import place
from cards.services.recomputing import Recomputed, recompute_pages

__all__ = [
    "AddedCard",
    "CardDraft",
    "Recomputed",
    "RefusedCard",
    "add_card",
    "add_card_to_collection",
    "add_cards",
    "create_collection",
    "lock_parents",
    "place",
    "recompute_pages",
    "record_update",
    "remove_card",
    "remove_card_from_collection",
    "remove_collection",
    "update_card",
    "update_collection",
]
