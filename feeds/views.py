from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import person
from accounts.queries import user_named
from api.views import ListAPIView
from cards.filters import CardList
from cards.models import Card, CollectionCard
from cards.queries import visible_collections
from eventbook.database import in_order
from feeds import queries, services
from feeds.serializers import CollectionFeedItemSerializer


class GlobalFeed(CardList):
    """List all public cards, newest first."""

    def get_queryset(self) -> QuerySet[Card]:
        """Return all public cards."""
        return queries.public_feed()


class FollowingFeed(CardList):
    """The public cards of the people whom the user follows, newest first."""

    def get(self, request: Request) -> Response:
        """List the public cards of the people you follow, newest first."""
        services.open_timeline(owner=person(request))
        with in_order():
            return self.list(request)

    def page_rows(
        self, queryset: QuerySet[Card], after: UUID | None, *, descending: bool, limit: int
    ) -> QuerySet[Card]:
        """Return one page of cards; the paginator calls this."""
        reader = person(self.request)
        return queries.following_page(reader, after, descending=descending, limit=limit)


class UserFeed(CardList):
    """List one person's public cards, newest first."""

    @extend_schema(operation_id="feeds_users_list")
    def get(self, request: Request, username: str) -> Response:
        """List one person's public cards, newest first."""
        curator = get_object_or_404(user_named(username))
        self.queryset = queries.public_feed(curator=curator)
        return self.list(request)


class CollectionFeed(ListAPIView[Any]):
    """List a collection's public cards, most recently added first."""

    serializer_class = CollectionFeedItemSerializer
    queryset = CollectionCard.objects.none()  # gives the schema the model of the rows

    @extend_schema(operation_id="feeds_collections_list")
    def get(self, request: Request, id: UUID) -> Response:
        """List a collection's public cards, most recently added first."""
        collection = get_object_or_404(visible_collections(person(request)), pk=id)
        self.queryset = queries.collection_feed(collection)
        return self.list(request)
