from __future__ import annotations

from django.urls import path

from notifications import views

urlpatterns = [
    path("notifications/", views.NotificationList.as_view(), name="notifications"),
    path("notifications/unread-count/", views.UnreadCount.as_view(), name="unread-count"),
    path("notifications/mark-read/", views.MarkRead.as_view(), name="mark-read"),
]
