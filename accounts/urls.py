from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from accounts import views


class UsernameConverter(StringConverter):
    """A username in a URL's path; any other text there gets 404 without a query."""

    regex = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,149}"


register_converter(UsernameConverter, "username")

urlpatterns = [
    path("auth/register/", views.Register.as_view(), name="register"),
    path("auth/login/", views.Login.as_view(), name="login"),
    path("auth/logout/", views.Logout.as_view(), name="logout"),
    path("auth/logout-all/", views.LogoutAll.as_view(), name="logout-all"),
    path("users/me/", views.Me.as_view(), name="me"),
    path("users/<username:username>/", views.Profile.as_view(), name="profile"),
    path("users/<username:username>/follow/", views.Following.as_view(), name="follow"),
    path("users/<username:username>/followers/", views.Followers.as_view(), name="followers"),
    path("users/<username:username>/following/", views.FollowedPeople.as_view(), name="following"),
]
