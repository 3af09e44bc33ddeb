from __future__ import annotations

from typing import cast

from django.db import transaction
from django.db.models import QuerySet
from rest_framework import generics
from rest_framework.pagination import CursorPagination
from rest_framework.serializers import BaseSerializer

from accounts.models import User, Visibility
from benchmarks.plain.tasks import fan_out, notify
from benchmarks.plain.web.serializers import CardSerializer, NotificationSerializer
from cards.models import Card
from feeds.models import TimelineEntry
from notifications.models import Notification


class NewestCard(CursorPagination):
    ordering = "-id"


class NewestEvent(CursorPagination):
    ordering = "-event_id"


class CardList(generics.CreateAPIView[Card]):
    serializer_class = CardSerializer

    @transaction.atomic
    def perform_create(self, serializer: BaseSerializer[Card]) -> None:
        """Save the card, and send its tasks after the commit."""
        card = serializer.save(curator=cast(User, self.request.user))
        transaction.on_commit(lambda: notify.apply_async((str(card.pk),)))
        transaction.on_commit(lambda: fan_out.apply_async((str(card.pk),)))


class FollowingFeed(generics.ListAPIView[Card]):
    serializer_class = CardSerializer
    pagination_class = NewestCard

    def get_queryset(self) -> QuerySet[Card]:
        """Return the public cards of followed people in the reader's timeline."""
        reader = cast(User, self.request.user)
        entries = TimelineEntry.objects.filter(owner=reader)
        return Card.objects.filter(
            pk__in=entries.values("card_id"),
            curator__followers__follower=reader,
            visibility=Visibility.PUBLIC,
        ).select_related("curator", "url")


class NotificationList(generics.ListAPIView[Notification]):
    serializer_class = NotificationSerializer
    pagination_class = NewestEvent

    def get_queryset(self) -> QuerySet[Notification]:
        """Return the reader's notifications."""
        notifications = Notification.objects.filter(recipient=cast(User, self.request.user))
        return notifications.filter(actor__is_active=True).select_related("actor", "card")
