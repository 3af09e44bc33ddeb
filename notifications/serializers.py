from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.serializers import PersonSerializer
from cards.models import Card, Collection
from notifications.models import Kind, Notification

MAX_IDS = 1000


class NotifiedCardSerializer(serializers.ModelSerializer[Card]):
    url = serializers.SerializerMethodField()

    class Meta:
        model = Card
        fields = ["id", "type", "title", "url"]

    def get_url(self, card: Card) -> str | None:
        """This answers the address as its curator gave it, if there is one."""
        return card.link or None


class NotifiedCollectionSerializer(serializers.ModelSerializer[Collection]):
    class Meta:
        model = Collection
        fields = ["id", "name"]


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    """One notification; its id is that of the event that caused it."""

    id = serializers.UUIDField(source="event_id")
    text = serializers.SerializerMethodField()
    actor = PersonSerializer()
    card = NotifiedCardSerializer(allow_null=True)
    collection = NotifiedCollectionSerializer(allow_null=True)
    read = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = ["id", "kind", "text", "actor", "card", "collection", "created_at", "read"]
        read_only_fields = fields

    def get_text(self, notification: Notification) -> str:
        """This says what happened in one sentence."""
        actor = notification.actor.display_name or notification.actor.username
        sentence = f"{actor} {Kind(notification.kind).label}"
        return f"{sentence}: {about}" if (about := self._about(notification)) else sentence

    def _about(self, notification: Notification) -> str:
        if notification.collection:
            return notification.collection.name
        card = notification.card
        return (card.title or card.link or "a note") if card else ""

    def get_read(self, notification: Notification) -> bool:
        """This says whether the recipient has read it."""
        return notification.read_at is not None


class NotificationFilterSerializer(serializers.Serializer[dict[str, bool]]):
    unread = serializers.BooleanField(default=False, help_text="Only those that were not read yet.")


class UnreadCountSerializer(serializers.Serializer[dict[str, int]]):
    count = serializers.IntegerField()


class MarkReadSerializer(serializers.Serializer[dict[str, Any]]):
    """Which notifications were read: those with these ids, or all of them."""

    ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MAX_IDS, allow_empty=False
    )
    all = serializers.BooleanField(required=False)

    def validate_all(self, value: bool) -> bool:
        """This refuses `false`, which would say nothing."""
        if not value:
            raise serializers.ValidationError("Must be true, or left out.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """This wants exactly one of the two fields."""
        if len(attrs) != 1:
            raise serializers.ValidationError({"ids": "Give either ids or all: true."})
        return attrs


class MarkedSerializer(serializers.Serializer[dict[str, int]]):
    marked = serializers.IntegerField()
