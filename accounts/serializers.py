"""The JSON forms of users, follows and logins."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import Follow, User
from accounts.names import (
    EMAIL_MAX_LENGTH,
    USERNAME_MAX_LENGTH,
    check_not_of_the_site,
    tidy_email,
)
from accounts.passwords import PASSWORD_MAX_LENGTH
from api.serializers import ModelSerializer, Serializer


class PersonSerializer(ModelSerializer[User]):
    """A person in another object, for example a card's curator."""

    class Meta:
        model = User
        fields = ("username", "display_name")
        read_only_fields = fields


class ProfileSerializer(ModelSerializer[User]):
    """A user's profile as other users see it."""

    followers_count = serializers.IntegerField(read_only=True)
    following_count = serializers.IntegerField(read_only=True)
    followed_by_me = serializers.BooleanField(read_only=True)

    class Meta:
        model = User
        fields = (
            "username",
            "display_name",
            "bio",
            "followers_count",
            "following_count",
            "followed_by_me",
        )
        read_only_fields = fields


class OwnProfileSerializer(ModelSerializer[User]):
    """A user's own profile."""

    class Meta:
        model = User
        fields = (
            "username",
            "email",
            "display_name",
            "bio",
            "import_visibility",
            "date_joined",
        )
        read_only_fields = ("username", "email", "date_joined")

    def validate_display_name(self, name: str) -> str:
        """Refuse a name that suggests a member of staff; only the admin can set one."""
        check_not_of_the_site(name)
        return name


class TidyEmailField(serializers.EmailField):
    """A mail address in its normal form."""

    def to_internal_value(self, data: Any) -> str:
        """Validate the address, and return its normal form."""
        return tidy_email(super().to_internal_value(data))


class CredentialsSerializer(Serializer):
    username = serializers.CharField(max_length=USERNAME_MAX_LENGTH)
    password = serializers.CharField(
        max_length=PASSWORD_MAX_LENGTH, trim_whitespace=False, write_only=True
    )


class RegistrationSerializer(CredentialsSerializer):
    email = TidyEmailField(max_length=EMAIL_MAX_LENGTH)


class SessionSerializer(Serializer):
    """A new token and its user; the token can't be read again later."""

    token = serializers.CharField(read_only=True)
    expiry = serializers.DateTimeField(read_only=True, allow_null=True)
    user = OwnProfileSerializer(read_only=True)


class FollowInputSerializer(Serializer):
    notify = serializers.BooleanField(required=False)


class FollowedSerializer(Serializer):
    """A follow, as its follower sees it."""

    username = serializers.CharField(read_only=True)
    notify = serializers.BooleanField(read_only=True)


class FollowerSerializer(ModelSerializer[Follow]):
    """A follower in a list."""

    username = serializers.CharField(source="follower.username", read_only=True)
    display_name = serializers.CharField(source="follower.display_name", read_only=True)

    class Meta:
        model = Follow
        fields = ("username", "display_name", "created_at")
        read_only_fields = fields


class FollowingSerializer(FollowerSerializer):
    """A followed person in a list."""

    username = serializers.CharField(source="followed.username", read_only=True)
    display_name = serializers.CharField(source="followed.display_name", read_only=True)
