"""The JSON of subscriptions to web feeds, in requests and responses."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Visibility
from api.serializers import ModelSerializer
from cards.limits import LINK_LENGTH, TITLE_LENGTH
from imports.models import FeedSubscription
from imports.serializers import BY_DEFAULT, FetchedSerializer


class SubscriptionInputSerializer(FetchedSerializer):
    """A feed to subscribe to."""

    url = serializers.CharField(max_length=LINK_LENGTH)
    title = serializers.CharField(required=False, allow_blank=True, max_length=TITLE_LENGTH)
    collection = serializers.UUIDField(
        required=False, help_text="One of your collections; the feed's cards join it."
    )
    visibility = serializers.ChoiceField(Visibility.choices, required=False, help_text=BY_DEFAULT)


class SubscriptionSerializer(ModelSerializer[FeedSubscription]):
    """A subscription: new entries of its feed become cards."""

    url = serializers.CharField(source="feed.url")
    collection = serializers.SerializerMethodField()
    visibility = serializers.SerializerMethodField()
    refreshed_at = serializers.DateTimeField(
        source="feed.refreshed_at", allow_null=True, help_text="When it was last fetched."
    )
    next_refresh = serializers.DateTimeField(source="feed.next_refresh")
    failures = serializers.IntegerField(
        source="feed.failures", help_text="Failures since the last successful fetch."
    )
    error = serializers.CharField(source="feed.error", help_text="Reason of the last failure.")

    class Meta:
        model = FeedSubscription
        fields = (
            "id", "url", "title", "collection", "visibility", "refreshed_at", "next_refresh",
            "failures", "error", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: FeedSubscription) -> dict[str, Any]:
        """Return the subscription, hiding the feed's state from before it was created.

        An earlier fetch would reveal that another user subscribes to the feed.
        """
        fields = super().to_representation(instance)
        feed, since = instance.feed, instance.created_at
        if not (feed.requested_at and feed.requested_at >= since):
            fields |= {"failures": 0, "error": "", "next_refresh": since}
        if not (feed.refreshed_at and feed.refreshed_at >= since):
            fields["refreshed_at"] = None
        return fields

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_collection(self, subscription: FeedSubscription) -> str | None:
        """Return the id of the collection that the feed's cards join, or None."""
        collection: str | None = subscription.options.get("collection")
        return collection

    @extend_schema_field(serializers.ChoiceField(Visibility.choices))
    def get_visibility(self, subscription: FeedSubscription) -> str:
        """Return the visibility of the feed's cards."""
        visibility: str = subscription.options.get("visibility")
        return visibility or subscription.owner.import_visibility
