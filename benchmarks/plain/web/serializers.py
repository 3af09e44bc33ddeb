from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from rest_framework import serializers

from accounts.models import User
from cards.models import Card
from notifications.models import Notification
from pages.models import Url


class PersonSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["username", "display_name"]


class CardSerializer(serializers.ModelSerializer[Card]):
    url = serializers.URLField(source="link", max_length=2048)
    canonical_url = serializers.CharField(source="url.canonical", read_only=True)
    curator = PersonSerializer(read_only=True)

    class Meta:
        model = Card
        fields = [
            "id", "type", "url", "canonical_url", "title", "text", "visibility", "curator",
            "created_at", "updated_at",
        ]  # fmt: skip

    def create(self, validated_data: dict[str, Any]) -> Card:
        """Create a card, and its page if that is new."""
        link = validated_data["link"]
        url, _ = Url.objects.get_or_create(
            canonical=link, defaults={"host": urlsplit(link).hostname}
        )
        return Card.objects.create(url=url, **validated_data)


class NotifiedCardSerializer(serializers.ModelSerializer[Card]):
    class Meta:
        model = Card
        fields = ["id", "type", "title", "link"]


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    actor = PersonSerializer()
    card = NotifiedCardSerializer()

    class Meta:
        model = Notification
        fields = ["event_id", "kind", "actor", "card", "created_at", "read_at"]
