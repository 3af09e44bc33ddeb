from __future__ import annotations

from typing import Any

from rest_framework import serializers

from cards.models import CollectionCard
from cards.serializers import CardSerializer


class CollectionFeedItemSerializer(CardSerializer):
    """A card, and when it was added to the collection."""

    added_to_collection_at = serializers.DateTimeField(read_only=True)

    class Meta(CardSerializer.Meta):
        fields = (*CardSerializer.Meta.fields, "added_to_collection_at")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    def to_representation(self, place: CollectionCard) -> dict[str, Any]:  # type: ignore[override]
        """Return the card, with the time it was added to the collection."""
        place.card.shown_parent_id = place.shown_parent_id  # type: ignore[attr-defined]
        card = super().to_representation(place.card)
        return card | {"added_to_collection_at": place.created_at}
