from __future__ import annotations

from functools import cache
from typing import Any

from rest_framework import serializers

from accounts.names import check_line
from accounts.serializers import PersonSerializer
from api.serializers import FIXED, ModelSerializer, Serializer
from cards import limits
from cards.metadata.serializers import MetadataSerializer, shown
from cards.metadata.showing import shown_of
from cards.models import Card, Collection, Visibility
from cards.references import ReferenceSerializer


class CardSerializer(ModelSerializer[Card]):
    """A card, as everybody who may see it sees it; read it with `queries.with_representation`."""

    display_title = serializers.CharField(
        help_text="What to show as its title: its curator's, else the page's, else the address."
    )
    metadata = MetadataSerializer(allow_null=True, help_text="Null for a card without an address.")
    url = serializers.CharField(source="link", allow_null=True, help_text="As its curator gave it.")
    canonical_url = serializers.CharField(source="url.canonical", allow_null=True)
    reference = serializers.DictField(help_text="CSL-JSON fields of a card of type REFERENCE.")
    # The frameworks' `parent` is another thing; the metaclass takes this one out of its way.
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
        """Return the fields by hand: the framework's way costs ten times as much a card."""
        page = instance.url
        known = shown_of(instance)
        return {
            "id": str(instance.pk),
            "type": instance.type,
            "url": instance.link or None,
            "canonical_url": page.canonical if page else None,
            "title": instance.title,
            "display_title": instance.title or (known and known.title) or instance.link,
            "metadata": shown(known) if page else None,
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
    """Return the id of a card's parent, as far as the query says that the viewer may know it."""
    parent = card.__dict__.get("shown_parent_id")
    return str(parent) if parent else None


class PlacedCardSerializer(CardSerializer):
    """The card in a place of a collection; read it with `queries.with_cards`."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return the card alone: pages are made of places only for their order."""
        instance.card.shown_parent_id = instance.shown_parent_id
        return super().to_representation(instance.card)


# What a response shows of a card and no request sets.
MADE_BY_SERVER = ("id", "curator", "created_at", "updated_at", "canonical_url", "display_title")


class CardContentSerializer(Serializer):
    """What a curator writes on a card, now or later."""

    fixed = {
        **dict.fromkeys((*MADE_BY_SERVER, "metadata"), FIXED),
        "type": "The type of a card stays; add another card.",
        "collections": "Put a card into collections at collections/{id}/cards/.",
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
        """Return the address; null means none."""
        return url or ""


class CardInputSerializer(CardContentSerializer):
    """A card to be added."""

    type = serializers.ChoiceField(Card.Type.choices)
    collections = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=limits.COLLECTIONS_PER_CARD
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take the title of a reference from the reference, if it is only there."""
        reference = attrs.get("reference")
        if reference and attrs["type"] != Card.Type.REFERENCE:
            message = "Only a card of type REFERENCE has a reference."
            raise serializers.ValidationError({"reference": message}, code="not_allowed")
        if reference and not attrs.get("title"):
            attrs["title"] = reference.get("title", "")
        return attrs


@cache
def card_input() -> CardInputSerializer:
    """Return the one serializer whose `run_validation` checks every card.

    Making one takes longer than its work; checking leaves nothing behind in it.
    """
    return CardInputSerializer()


class BulkInputSerializer(Serializer):
    """Cards to be added together."""

    cards = serializers.ListField(
        child=CardInputSerializer(), min_length=1, max_length=limits.CARDS_PER_REQUEST
    )


class BulkErrorSerializer(Serializer):
    field = serializers.CharField()
    detail = serializers.CharField()
    code = serializers.CharField()


class BulkResultSerializer(Serializer):
    """What became of one card of the request."""

    status = serializers.ChoiceField(["created", "existing", "invalid"])
    card = CardSerializer(required=False)
    errors = BulkErrorSerializer(many=True, required=False)  # type: ignore[assignment]


class BulkResultsSerializer(Serializer):
    """One result a card, in the order of the request."""

    results = BulkResultSerializer(many=True)


class CollectionSerializer(ModelSerializer[Collection]):
    """A collection: its name and owner, not its cards."""

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
        """Refuse characters that are not seen: others read the name."""
        check_line(name)
        return name


class PlaceInputSerializer(Serializer):
    """A card to be put into a collection."""

    card = serializers.UUIDField()


class PastCollectionSerializer(Serializer):
    """A collection as it was at a moment; its name is not kept."""

    id = serializers.UUIDField()
    visibility = serializers.ChoiceField(
        Visibility.choices, allow_null=True, help_text="Null where it is not known any more."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(allow_null=True)


class PastCardSerializer(PastCollectionSerializer):
    """A card as it was at a moment; its texts are not kept."""

    type = serializers.ChoiceField(Card.Type.choices, allow_null=True)
    canonical_url = serializers.CharField(allow_null=True)
    collections = serializers.ListField(
        child=serializers.UUIDField(), help_text="Your collections that it was in."
    )
