from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import person
from api.views import ListAPIView, QuerySerializer
from cards import history
from cards.serializers import PastCardSerializer, PastCollectionSerializer
from events.models import Event


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


class LibraryThen(ListAPIView[Event]):
    """One's own cards, as they were at a moment."""

    queryset = Event.objects.none()
    serializer_class = PastCardSerializer
    query_serializer = MomentSerializer

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the cards that your library had at a moment, newest first, removed ones too.

        It tells what events tell: not the texts that a card had.
        """
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Event]:
        """This answers the cards of the person who asks."""
        return history.cards_at(person(self.request), self.query["at"])

    def paginate_queryset(self, queryset: Any) -> Any:
        """This reads along, for one page, what its cards were about and where they were."""
        page: list[Event] = super().paginate_queryset(queryset) or []
        ids = [event.data["card_id"] for event in page]
        owner, moment = person(self.request), self.query["at"]
        self.pages = history.pages_of(page)
        self.places = history.places_at(owner, moment, cards=ids)
        return page

    def get_serializer_context(self) -> dict[str, Any]:
        """This hands on what was read along."""
        along = {"pages": getattr(self, "pages", {}), "places": getattr(self, "places", {})}
        return {**super().get_serializer_context(), **along}


class CollectionsThen(ListAPIView[Event]):
    """One's own collections, as they were at a moment."""

    queryset = Event.objects.none()
    serializer_class = PastCollectionSerializer
    query_serializer = MomentSerializer

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the collections that you had at a moment, newest first, removed ones too."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Event]:
        """This answers the collections of the person who asks."""
        return history.collections_at(person(self.request), self.query["at"])
