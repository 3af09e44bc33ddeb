from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.serializers import PersonSerializer
from api.serializers import ModelSerializer, Serializer
from api.views import QuerySerializer
from cards.models import Card, Collection
from notifications.models import Kind, Notification

MAX_IDS = 1000


class NotifiedCardSerializer(ModelSerializer[Card]):
    url = serializers.CharField(
        source="link", allow_null=True, help_text="As the curator typed it."
    )

    class Meta:
        model = Card
        fields = ["id", "type", "title", "url"]


class NotifiedCollectionSerializer(ModelSerializer[Collection]):
    class Meta:
        model = Collection
        fields = ["id", "name"]


class NotificationSerializer(ModelSerializer[Notification]):
    """One notification. Its id is the id of the event that caused it."""

    id = serializers.UUIDField(source="event_id")
    text = serializers.CharField(help_text="What happened, in one sentence.")
    actor = PersonSerializer()
    card = NotifiedCardSerializer(allow_null=True)
    collection = NotifiedCollectionSerializer(allow_null=True)
    read = serializers.BooleanField(help_text="Whether the recipient has read it.")

    class Meta:
        model = Notification
        fields = ["id", "kind", "text", "actor", "card", "collection", "created_at", "read"]
        read_only_fields = fields

    def to_representation(self, instance: Notification) -> dict[str, Any]:
        """Build the response by hand: the framework would take most of the time of a request."""
        actor, card, collection = instance.actor, instance.card, instance.collection
        return {
            "id": str(instance.event_id),
            "kind": instance.kind,
            "text": text_of(instance),
            "actor": {"username": actor.username, "display_name": actor.display_name},
            "card": card and card_of(card),
            "collection": collection and {"id": str(collection.pk), "name": collection.name},
            "created_at": instance.created_at,
            "read": instance.read_at is not None,
        }


def text_of(notification: Notification) -> str:
    """Return the notification as one sentence, for example "Bob added a card: Title"."""
    actor = notification.actor.display_name or notification.actor.username
    if notification.kind == Kind.IMPORTED and notification.count:
        noun = "card" if notification.count == 1 else "cards"
        return f"{actor} imported {notification.count:,} {noun}"
    sentence = f"{actor} {Kind(notification.kind).label}"
    return f"{sentence}: {about}" if (about := about_of(notification)) else sentence


def about_of(notification: Notification) -> str:
    """Return the name of the collection or card of a notification, or an empty string."""
    if notification.collection:
        return notification.collection.name
    card = notification.card
    return (card.title or card.link or "a note") if card else ""


def card_of(card: Card) -> dict[str, Any]:
    """Return the representation of a card in a notification."""
    return {"id": str(card.pk), "type": card.type, "title": card.title, "url": card.link or None}


class NotificationFilterSerializer(QuerySerializer):
    unread = serializers.BooleanField(default=False, help_text="Only unread notifications.")


class UnreadCountSerializer(Serializer):
    count = serializers.IntegerField()


class MarkReadSerializer(Serializer):
    """The notifications to mark as read: those with these ids, or all."""

    ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MAX_IDS, allow_empty=False
    )
    all = serializers.BooleanField(required=False)

    def validate_all(self, value: bool) -> bool:
        """Refuse `false`, which would have no meaning."""
        if not value:
            raise serializers.ValidationError("Must be true or omitted.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require exactly one of the two fields."""
        if len(attrs) != 1:
            raise serializers.ValidationError({"ids": "Give either ids or all: true."})
        return attrs


class MarkedSerializer(Serializer):
    marked = serializers.IntegerField()
