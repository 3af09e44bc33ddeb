"""The API's views of accounts: registration, login, logout, profiles and follows."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import queries, registrations, services
from accounts.authentication import person
from accounts.guard.devices import remember_device
from accounts.models import Follow, User
from accounts.names import lookup_form
from accounts.serializers import (
    CredentialsSerializer,
    FollowedSerializer,
    FollowerSerializer,
    FollowingSerializer,
    FollowInputSerializer,
    OwnProfileSerializer,
    ProfileSerializer,
    RegistrationSerializer,
    SessionSerializer,
)
from api.objects import ObjectView
from api.views import APIView, ListAPIView

# The same for a wrong name and a wrong password, so that nobody can find out who has an account.
WRONG_CREDENTIALS = "No account has this username and password."


class Register(APIView):
    """Create an account."""

    location = ("profile", "user.username")
    authentication_classes = ()
    permission_classes = (AllowAny,)
    may_be_repeated = True
    other_errors = frozenset({"429"})

    @extend_schema(request=RegistrationSerializer, responses={201: SessionSerializer})
    def post(self, request: Request) -> Response:
        """Create an account, and log in."""
        fields = RegistrationSerializer.checked(request.data)
        user, repeated = registrations.register(request, fields)
        headers = {"Idempotent-Replayed": "true"} if repeated else None
        return with_device_cookie(
            request, Response(session(user), status=201, headers=headers), user
        )


class Login(APIView):
    """Create a token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    other_errors = frozenset({"429"})

    @extend_schema(
        request=CredentialsSerializer,
        responses={200: SessionSerializer, 401: OpenApiResponse(description=WRONG_CREDENTIALS)},
    )
    def post(self, request: Request) -> Response:
        """Log in with username and password."""
        user = authenticate(request, **CredentialsSerializer.checked(request.data))
        if not isinstance(user, User):
            raise AuthenticationFailed(WRONG_CREDENTIALS)
        response = Response(session(user))
        user_logged_in.send(sender=User, request=request, user=user)
        return with_device_cookie(request, response, user)

    def get_authenticate_header(self, request: Request) -> str:
        """Return a challenge, without which REST framework would change the status 401 to 403."""
        return "Token"


class Logout(APIView):
    """Revoke the request's token."""

    without_body = frozenset({"POST"})

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Log out: the token of this request is no longer valid."""
        services.revoke_token(token=cast(Any, request.auth))
        user_logged_out.send(sender=User, request=request, user=person(request))
        return Response(status=204)


class LogoutAll(APIView):
    """Revoke all tokens of the user."""

    without_body = frozenset({"POST"})

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Log out everywhere: none of your tokens is valid any longer."""
        services.revoke_all_tokens(user=person(request))
        user_logged_out.send(sender=User, request=request, user=person(request))
        return Response(status=204)


class Me(ObjectView):
    """The user's own profile."""

    def lock(self, request: Request, **kwargs: Any) -> None:
        """Lock the user's row against other changes, and reload it."""
        person(request).refresh_from_db(from_queryset=User.objects.select_for_update())

    @extend_schema(responses=OwnProfileSerializer)
    def get(self, request: Request) -> Response:
        """Read your own profile."""
        return Response(OwnProfileSerializer(person(request)).data)

    @extend_schema(request=OwnProfileSerializer, responses=OwnProfileSerializer)
    def patch(self, request: Request) -> Response:
        """Change your own profile."""
        changes = OwnProfileSerializer.checked(request.data, partial=True)
        user = services.update_profile(user=person(request), **changes)
        return Response(OwnProfileSerializer(user).data)


class Profile(ObjectView):
    """A person's profile."""

    @extend_schema(responses=ProfileSerializer)
    def get(self, request: Request, username: str) -> Response:
        """Read a person's profile."""
        profile = queries.profile_named(username, viewer=person(request))
        return Response(ProfileSerializer(get_object_or_404(profile)).data)


class Following(APIView):
    """The user's follow of a person."""

    @extend_schema(
        request=FollowInputSerializer,
        responses={200: FollowedSerializer, 201: FollowedSerializer},
    )
    def put(self, request: Request, username: str) -> Response:
        """Follow a person (201), or change `notify` of an existing follow (200)."""
        fields = FollowInputSerializer.checked(request.data)
        followed = get_object_or_404(queries.user_named(username))
        created, notify = services.follow(follower=person(request), followed=followed, **fields)
        answer = FollowedSerializer({"username": followed.username, "notify": notify})
        return Response(answer.data, status=201 if created else 200)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, username: str) -> Response:
        """Stop following a person."""
        followed = get_object_or_404(queries.user_named(username))
        services.unfollow(follower=person(request), followed=followed)
        return Response(status=204)


class Followers(ListAPIView[Follow]):
    """List a person's followers, newest first."""

    queryset = Follow.objects.none()
    serializer_class = FollowerSerializer

    def get_queryset(self) -> QuerySet[Follow]:
        """Return the followers of the person in the URL."""
        return queries.followers_of(self.person_in_url())

    def person_in_url(self) -> User:
        """Return the person in the URL, or raise Http404."""
        return get_object_or_404(queries.user_named(self.kwargs["username"]))


class FollowedPeople(Followers):
    """List the people whom a person follows, newest first."""

    serializer_class = FollowingSerializer

    def get_queryset(self) -> QuerySet[Follow]:
        """Return the follows of the person in the URL."""
        return queries.followed_by(self.person_in_url())


def session(user: User) -> dict[str, Any]:
    """Create a token, and return the body of a login's response."""
    try:
        record, token = services.issue_token(user=user)
    except services.PasswordChanged:
        raise AuthenticationFailed(WRONG_CREDENTIALS) from None
    return SessionSerializer({"token": token, "expiry": record.expiry, "user": user}).data


def with_device_cookie(request: Request, response: Response, user: User) -> Response:
    """Set the cookie that marks this device as known, and return the response."""
    remember_device(request, response, lookup_form(user.username))
    return response
