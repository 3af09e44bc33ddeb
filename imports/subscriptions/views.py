from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import person
from api.objects import ObjectView
from api.views import ListAPIView
from imports import queries, services
from imports.models import FeedSubscription
from imports.subscriptions.serializers import SubscriptionInputSerializer, SubscriptionSerializer
from imports.views import require_own_collection


class Subscriptions(ListAPIView[FeedSubscription]):
    """List your subscriptions to web feeds, newest first."""

    location = ("subscription", "id")

    queryset = FeedSubscription.objects.none()
    serializer_class = SubscriptionSerializer

    def get_queryset(self) -> QuerySet[FeedSubscription]:
        """Return the client's subscriptions."""
        return queries.subscriptions_of(person(self.request))

    @extend_schema(
        request=SubscriptionInputSerializer,
        responses={200: SubscriptionSerializer, 201: SubscriptionSerializer},
    )
    def post(self, request: Request) -> Response:
        """Subscribe to a feed (201): its current and later entries become your cards.

        If you subscribe to it already, the subscription is returned unchanged (200). A worker
        fetches the feed within minutes; `error` says why it could not, for example because there
        is no feed at that address.
        """
        fields = SubscriptionInputSerializer.checked(request.data)
        require_own_collection(request, fields.get("collection"))
        found, created = services.subscribe_to(owner=person(request), **fields)
        return Response(SubscriptionSerializer(found).data, status=201 if created else 200)


class SubscriptionDetail(ObjectView):
    """One subscription."""

    model, key = FeedSubscription, "subscription_id"

    @extend_schema(responses=SubscriptionSerializer)
    def get(self, request: Request, subscription_id: UUID) -> Response:
        """Show a subscription, and when its feed was and will be fetched."""
        found = own_subscription(request, subscription_id)
        return Response(SubscriptionSerializer(found).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, subscription_id: UUID) -> Response:
        """End a subscription; its cards stay."""
        services.unsubscribe(own_subscription(request, subscription_id))
        return Response(status=204)


def own_subscription(request: Request, subscription_id: UUID) -> FeedSubscription:
    """Return one of the client's subscriptions; raise 404 for another user's."""
    return get_object_or_404(queries.subscriptions_of(person(request)), pk=subscription_id)
