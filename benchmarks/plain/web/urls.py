from __future__ import annotations

from django.urls import path

from benchmarks.plain.web import views

urlpatterns = [
    path("api/v1/cards/", views.CardList.as_view()),
    path("api/v1/feeds/following/", views.FollowingFeed.as_view()),
    path("api/v1/notifications/", views.NotificationList.as_view()),
]
