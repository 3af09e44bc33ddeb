from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import person
from api.views import APIView, ListAPIView
from notifications import queries, services
from notifications.models import Notification
from notifications.serializers import (
    MarkedSerializer,
    MarkReadSerializer,
    NotificationFilterSerializer,
    NotificationSerializer,
    UnreadCountSerializer,
)


class NotificationList(ListAPIView[Notification]):
    """List your notifications, newest first."""

    queryset = Notification.objects.none()  # gives the schema the model of the rows
    serializer_class = NotificationSerializer
    query_serializer = NotificationFilterSerializer
    cursor_ordering = "-event_id"

    def get_queryset(self) -> QuerySet[Notification]:
        """Return the user's notifications that match the query parameters."""
        user = person(self.request)
        return queries.notifications_of(user, unread=self.query["unread"])


class UnreadCount(APIView):
    @extend_schema(responses=UnreadCountSerializer)
    def get(self, request: Request) -> Response:
        """Count your unread notifications."""
        return Response({"count": queries.unread_count(person(request))})


class MarkRead(APIView):
    @extend_schema(request=MarkReadSerializer, responses=MarkedSerializer)
    def post(self, request: Request) -> Response:
        """Mark some or all of your notifications as read; unknown ids are ignored."""
        ids = MarkReadSerializer.checked(request.data).get("ids")
        marked = services.mark_read(recipient=person(request), ids=ids)
        return Response({"marked": marked})
