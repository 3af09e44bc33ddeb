from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import person
from api.views import ListAPIView, QuerySerializer
from cards import history
from cards.history import Past
from cards.models import Card, Collection
from cards.serializers import PastCardSerializer, PastCollectionSerializer


class Moment(serializers.DateTimeField):
    """A moment that means the same everywhere: with its offset."""

    def enforce_timezone(self, value: datetime) -> datetime:
        """Refuse a moment without an offset."""
        if value.tzinfo is None:
            raise serializers.ValidationError("Give its offset too, as 2026-01-31T12:00:00Z.")
        return super().enforce_timezone(value)


class MomentSerializer(QuerySerializer):
    """The moment in the address."""

    at = Moment(
        help_text="The moment, in ISO 8601 and with its offset.",
        error_messages={"required": "Give a moment, such as 2026-01-31T12:00:00Z."},
    )


class LibraryThen(ListAPIView[Any]):
    """One's own cards, as they were at a moment."""

    queryset = Card.objects.none()  # tells the paginator what the keys are
    serializer_class = PastCardSerializer
    query_serializer = MomentSerializer
    other_errors = frozenset({"404"})  # a moment of which nothing is kept

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the cards that your library had at a moment, newest first, removed ones too.

        It tells what events tell: not the texts that a card had. What is not known is null.
        """
        return super().get(request, *args, **kwargs)

    def page_rows(self, beside: UUID | None, *, descending: bool, limit: int) -> list[Past]:
        """Return the cards of a page, for the paginator."""
        return history.cards_at(
            person(self.request), self.query["at"], beside, descending=descending, limit=limit
        )


class CollectionsThen(ListAPIView[Any]):
    """One's own collections, as they were at a moment."""

    queryset = Collection.objects.none()  # tells the paginator what the keys are
    serializer_class = PastCollectionSerializer
    query_serializer = MomentSerializer
    other_errors = frozenset({"404"})  # a moment of which nothing is kept

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the collections that you had at a moment, newest first, removed ones too."""
        return super().get(request, *args, **kwargs)

    def page_rows(self, beside: UUID | None, *, descending: bool, limit: int) -> list[Past]:
        """Return the collections of a page, for the paginator."""
        return history.collections_at(
            person(self.request), self.query["at"], beside, descending=descending, limit=limit
        )
