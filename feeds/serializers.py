from __future__ import annotations

from typing import Any

from rest_framework import serializers

from cards.models import CollectionCard
from cards.serializers import PlacedCardSerializer


class CollectionFeedItemSerializer(PlacedCardSerializer):
    """A card, and when it was added to the collection."""

    added_to_collection_at = serializers.DateTimeField(read_only=True)

    class Meta(PlacedCardSerializer.Meta):
        fields = (*PlacedCardSerializer.Meta.fields, "added_to_collection_at")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    def to_representation(self, place: CollectionCard) -> dict[str, Any]:  # type: ignore[override]
        """Return the card, with the time it was added to the collection."""
        return super().to_representation(place) | {"added_to_collection_at": place.created_at}
