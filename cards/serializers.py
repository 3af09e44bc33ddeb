from __future__ import annotations

from functools import cache
from typing import Any

from rest_framework import serializers

from accounts.models import Visibility
from accounts.names import check_line
from accounts.serializers import PersonSerializer
from api.serializers import FIXED, ModelSerializer, Serializer
from cards import limits
from cards.metadata import visible_metadata
from cards.models import Card, Collection
from cards.references import ReferenceSerializer
from cards.services import rules
from pages.metadata.serializers import MetadataSerializer, metadata_json


class CardSerializer(ModelSerializer[Card]):
    """A card as shown to all who may see it; load it with `queries.with_representation`."""

    display_title = serializers.CharField(
        help_text="The title to show: the card's own, else the page's, else the address."
    )
    metadata = MetadataSerializer(allow_null=True, help_text="Null for a card without an address.")
    url = serializers.CharField(
        source="link", allow_null=True, help_text="As the curator typed it."
    )
    canonical_url = serializers.CharField(source="url.canonical", allow_null=True)
    reference = serializers.DictField(help_text="CSL-JSON fields of a card of type REFERENCE.")
    # Serializers have an attribute `parent`, too. The metaclass moves this field elsewhere.
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    curator = PersonSerializer()

    class Meta:
        model = Card
        fields = (
            "id",
            "type",
            "url",
            "canonical_url",
            "title",
            "display_title",
            "metadata",
            "text",
            "tags",
            "reference",
            "parent",
            "visibility",
            "curator",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def to_representation(self, instance: Card) -> dict[str, Any]:
        """Build the response by hand: the framework takes ten times as long per card."""
        page = instance.url
        metadata = visible_metadata(instance)
        return {
            "id": str(instance.pk),
            "type": instance.type,
            "url": instance.link or None,
            "canonical_url": page.canonical if page else None,
            "title": instance.title,
            "display_title": instance.title or (metadata and metadata.title) or instance.link,
            "metadata": metadata_json(metadata) if page else None,
            "text": instance.text,
            "tags": instance.tags,
            "reference": instance.reference,
            "parent": shown_parent(instance),
            "visibility": instance.visibility,
            "curator": {
                "username": instance.curator.username,
                "display_name": instance.curator.display_name,
            },
            "created_at": instance.created_at,
            "updated_at": instance.updated_at,
        }


def shown_parent(card: Card) -> str | None:
    """Return the id of a card's parent, if the query allowed the viewer to know it."""
    parent = card.__dict__.get("shown_parent_id")
    return str(parent) if parent else None


class PlacedCardSerializer(CardSerializer):
    """The card in a place (its membership in a collection); load it with `queries.with_cards`."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return only the card; the list's query selects places, as these have its order."""
        instance.card.shown_parent_id = instance.shown_parent_id
        return super().to_representation(instance.card)


# Fields of a card that responses show and no request may set.
MADE_BY_SERVER = ("id", "curator", "created_at", "updated_at", "canonical_url", "display_title")


class CardContentSerializer(Serializer):
    """The fields of a card that its curator can set, when adding or changing it."""

    fixed = {
        **dict.fromkeys((*MADE_BY_SERVER, "metadata"), FIXED),
        "type": "The type of a card cannot be changed; add another card.",
        "collections": "Add a card to a collection at collections/{id}/cards/.",
    }

    url = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, max_length=limits.LINK_LENGTH
    )
    title = serializers.CharField(required=False, allow_blank=True, max_length=limits.TITLE_LENGTH)
    text = serializers.CharField(
        required=False, allow_blank=True, max_length=limits.TEXT_LENGTH, trim_whitespace=False
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=limits.TAG_LENGTH),
        required=False,
        max_length=limits.TAGS_PER_CARD,
    )
    reference = ReferenceSerializer(required=False)
    parent = serializers.UUIDField(  # type: ignore[assignment]
        required=False, allow_null=True
    )
    visibility = serializers.ChoiceField(Visibility.choices, required=False)

    def validate_url(self, url: str | None) -> str:
        """Return the address; null becomes an empty string."""
        return url or ""


class CardInputSerializer(CardContentSerializer):
    """The fields of a card in a request that adds it."""

    type = serializers.ChoiceField(Card.Type.choices)
    collections = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=limits.COLLECTIONS_PER_CARD
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a reference on other types; use its title for the card if the card has none."""
        reference = attrs.get("reference")
        if reference and attrs["type"] != Card.Type.REFERENCE:
            raise serializers.ValidationError({"reference": rules.NO_REFERENCE}, code="not_allowed")
        if reference and not attrs.get("title"):
            attrs["title"] = reference.get("title", "")
        return attrs


@cache
def card_input() -> CardInputSerializer:
    """Return the shared serializer whose `run_validation` checks cards that are added.

    It is shared because building a serializer takes longer than a check. A check changes nothing in
    the serializer.
    """
    return CardInputSerializer()


class BulkInputSerializer(Serializer):
    """The cards to add in one request."""

    cards = serializers.ListField(
        child=CardInputSerializer(), min_length=1, max_length=limits.CARDS_PER_REQUEST
    )


class BulkErrorSerializer(Serializer):
    field = serializers.CharField()
    detail = serializers.CharField()
    code = serializers.CharField()


class BulkResultSerializer(Serializer):
    """The result for one card of the request."""

    status = serializers.ChoiceField(["created", "existing", "invalid"])
    card = CardSerializer(required=False)
    errors = BulkErrorSerializer(many=True, required=False)  # type: ignore[assignment]


class BulkResultsSerializer(Serializer):
    """One result per card, in the order of the request."""

    results = BulkResultSerializer(many=True)


class CollectionSerializer(ModelSerializer[Collection]):
    """A collection without its cards."""

    name = serializers.CharField(max_length=limits.COLLECTION_NAME_LENGTH)
    description = serializers.CharField(
        required=False, allow_blank=True, max_length=limits.COLLECTION_DESCRIPTION_LENGTH
    )
    visibility = serializers.ChoiceField(Visibility.choices, required=False)
    owner = PersonSerializer(read_only=True)

    class Meta:
        model = Collection
        fields = (
            "id",
            "name",
            "description",
            "visibility",
            "owner",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("id", "owner", "created_at", "updated_at")

    def validate_name(self, name: str) -> str:
        """Refuse invisible characters and piles of marks, which could mislead other users."""
        check_line(name)
        return name


class PlaceInputSerializer(Serializer):
    """The card to add to a collection."""

    card = serializers.UUIDField()


class PastCollectionSerializer(Serializer):
    """A collection as it was at a past moment; events don't record its name."""

    id = serializers.UUIDField()
    visibility = serializers.ChoiceField(
        Visibility.choices, allow_null=True, help_text="Null if it is no longer known."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(allow_null=True)


class PastCardSerializer(PastCollectionSerializer):
    """A card as it was at a past moment; events don't record its title and text."""

    type = serializers.ChoiceField(Card.Type.choices, allow_null=True)
    canonical_url = serializers.CharField(allow_null=True)
    collections = serializers.ListField(
        child=serializers.UUIDField(), help_text="The ids of your collections that the card was in."
    )
