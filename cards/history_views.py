"""The API of the past: a user's cards and collections as they were at a moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers

from accounts.authentication import person
from api.views import ListAPIView, QuerySerializer
from cards import history
from cards.models import Card, Collection
from cards.serializers import PastCardSerializer, PastCollectionSerializer

# Before the first, nothing existed; after the last, nothing has happened yet. Times at the ends of
# Python's calendar would overflow when intervals are added to them.
FIRST_MOMENT, LAST_MOMENT = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class Moment(serializers.DateTimeField):
    """A time with a UTC offset, moved into the range from FIRST_MOMENT to LAST_MOMENT."""

    def enforce_timezone(self, value: datetime) -> datetime:
        """Refuse a time without an offset: each client would read it differently."""
        if value.tzinfo is None:
            raise serializers.ValidationError("Add the UTC offset, as in 2026-01-31T12:00:00Z.")
        return min(max(super().enforce_timezone(value), FIRST_MOMENT), LAST_MOMENT)


class MomentSerializer(QuerySerializer):
    """The query parameter `at`."""

    at = Moment(
        help_text="A time in ISO 8601, with its UTC offset.",
        error_messages={"required": "Give a time, for example 2026-01-31T12:00:00Z."},
    )


class PastView(ListAPIView[Any]):
    """A list of the user's own objects, as they were at the moment `at`."""

    query_serializer = MomentSerializer
    other_errors = frozenset({"404"})  # the moment is older than the events that are kept
    objects_at: ClassVar[Callable[..., list[history.Past]]]  # reads a page of the list

    def page_rows(
        self, queryset: Any, after: UUID | None, *, descending: bool, limit: int
    ) -> list[history.Past]:
        """Return one page of objects; the paginator calls this."""
        return type(self).objects_at(
            person(self.request), self.query["at"], after, descending=descending, limit=limit
        )


class PastLibrary(PastView):
    """List the cards that your library had at a past moment, newest first, removed ones too.

    Events record no titles and texts, so these are not returned. Unknown values are null.
    """

    queryset = Card.objects.none()  # gives the paginator the model of the rows
    serializer_class = PastCardSerializer
    objects_at = staticmethod(history.cards_at)


class PastCollections(PastView):
    """List the collections that you had at a past moment, newest first, removed ones too."""

    queryset = Collection.objects.none()  # gives the paginator the model of the rows
    serializer_class = PastCollectionSerializer
    objects_at = staticmethod(history.collections_at)
