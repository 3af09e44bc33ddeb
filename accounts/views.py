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

# The same for a wrong name and a wrong password: who has an account is nobody's business.
WRONG_CREDENTIALS = "No account has this username and password."


class Register(APIView):
    """Make an account."""

    location = ("profile", "user.username")
    authentication_classes = ()
    permission_classes = (AllowAny,)
    may_be_repeated = True
    other_errors = frozenset({"429"})

    @extend_schema(request=RegistrationSerializer, responses={201: SessionSerializer})
    def post(self, request: Request) -> Response:
        """Make an account, and log in."""
        registration = RegistrationSerializer(data=request.data)
        registration.is_valid(raise_exception=True)
        user, repeated = registrations.register(request, registration.validated_data)
        headers = {"Idempotent-Replayed": "true"} if repeated else None
        return known_here(request, Response(session(user), status=201, headers=headers), user)


class Login(APIView):
    """Get a token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    other_errors = frozenset({"429"})

    @extend_schema(
        request=CredentialsSerializer,
        responses={200: SessionSerializer, 401: OpenApiResponse(description=WRONG_CREDENTIALS)},
    )
    def post(self, request: Request) -> Response:
        """Log in with username and password."""
        credentials = CredentialsSerializer(data=request.data)
        credentials.is_valid(raise_exception=True)
        user = authenticate(request, **credentials.validated_data)
        if not isinstance(user, User):
            raise AuthenticationFailed(WRONG_CREDENTIALS)
        user_logged_in.send(sender=User, request=request, user=user)
        return known_here(request, Response(session(user)), user)

    def get_authenticate_header(self, request: Request) -> str:
        """Make a refusal 401, for the framework knows no other reason for one here."""
        return "Token"


class Logout(APIView):
    """Give a token back."""

    without_body = frozenset({"POST"})

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Log out: the token of this request is no longer valid."""
        services.revoke_token(token=cast(Any, request.auth))
        user_logged_out.send(sender=User, request=request, user=person(request))
        return Response(status=204)


class LogoutAll(APIView):
    """Give all tokens back."""

    without_body = frozenset({"POST"})

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Log out everywhere: no token of yours is valid any more."""
        services.revoke_all_tokens(user=person(request))
        user_logged_out.send(sender=User, request=request, user=person(request))
        return Response(status=204)


class Me(ObjectView):
    """One's own profile."""

    def lock(self, request: Request, **kwargs: Any) -> None:
        """Let nobody else change the profile, and read it anew."""
        person(request).refresh_from_db(from_queryset=User.objects.select_for_update())

    @extend_schema(responses=OwnProfileSerializer)
    def get(self, request: Request) -> Response:
        """Read your own profile."""
        return Response(OwnProfileSerializer(person(request)).data)

    @extend_schema(request=OwnProfileSerializer, responses=OwnProfileSerializer)
    def patch(self, request: Request) -> Response:
        """Change your own profile."""
        profile = OwnProfileSerializer(data=request.data, partial=True)
        profile.is_valid(raise_exception=True)
        user = services.update_profile(user=person(request), **profile.validated_data)
        return Response(OwnProfileSerializer(user).data)


class Profile(ObjectView):
    """Somebody's profile."""

    @extend_schema(responses=ProfileSerializer)
    def get(self, request: Request, username: str) -> Response:
        """Read somebody's profile."""
        profile = queries.profile_named(username, viewer=person(request))
        return Response(ProfileSerializer(get_object_or_404(profile)).data)


class Following(APIView):
    """Whether one follows somebody."""

    @extend_schema(
        request=FollowInputSerializer,
        responses={200: FollowedSerializer, 201: FollowedSerializer},
    )
    def put(self, request: Request, username: str) -> Response:
        """Follow somebody (201), or change `notify` of a follow (200)."""
        wanted = FollowInputSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        followed = get_object_or_404(queries.user_named(username))
        created, notify = services.follow(
            follower=person(request), followed=followed, notify=wanted.validated_data.get("notify")
        )
        answer = FollowedSerializer({"username": followed.username, "notify": notify})
        return Response(answer.data, status=201 if created else 200)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, username: str) -> Response:
        """Stop following somebody."""
        followed = get_object_or_404(queries.user_named(username))
        services.unfollow(follower=person(request), followed=followed)
        return Response(status=204)


class Followers(ListAPIView[Follow]):
    """List who follows somebody, newest first."""

    queryset = Follow.objects.none()
    serializer_class = FollowerSerializer

    def get_queryset(self) -> QuerySet[Follow]:
        """Return the followers of the person in the address."""
        return queries.followers_of(self.person_in_address())

    def person_in_address(self) -> User:
        """Return the person in the address."""
        return get_object_or_404(queries.user_named(self.kwargs["username"]))


class FollowedPeople(Followers):
    """List whom somebody follows, newest first."""

    serializer_class = FollowingSerializer

    def get_queryset(self) -> QuerySet[Follow]:
        """Return whom the person in the address follows."""
        return queries.followed_by(self.person_in_address())


def session(user: User) -> dict[str, Any]:
    """Return a new token and whose it is."""
    try:
        record, token = services.issue_token(user=user)
    except services.PasswordChanged:
        raise AuthenticationFailed(WRONG_CREDENTIALS) from None
    return SessionSerializer({"token": token, "expiry": record.expiry, "user": user}).data


def known_here(request: Request, response: Response, user: User) -> Response:
    """Return the response with the cookie by which this device is known again."""
    remember_device(request, response, lookup_form(user.username))
    return response
