from __future__ import annotations

from django.urls import path

from feeds import views

urlpatterns = [
    path("feeds/global/", views.GlobalFeed.as_view(), name="global-feed"),
    path("feeds/following/", views.FollowingFeed.as_view(), name="following-feed"),
    path("feeds/users/<username:username>/", views.UserFeed.as_view(), name="user-feed"),
    path("feeds/collections/<uuid:id>/", views.CollectionFeed.as_view(), name="collection-feed"),
]
