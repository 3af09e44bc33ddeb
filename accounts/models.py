from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models.functions import Lower


class People(UserManager["User"]):
    """Users, found by their name however it is capitalised."""

    def get_by_natural_key(self, username: str | None) -> User:
        """This answers the user of that name, for log in by API and admin."""
        return self.alias(name=Lower("username")).get(name=(username or "").lower())


class User(AbstractUser):
    """A person with a library; known to others by the username."""

    display_name = models.CharField(max_length=100, blank=True)
    bio = models.TextField(max_length=1000, blank=True)

    objects: ClassVar[People] = People()

    class Meta(AbstractUser.Meta):
        constraints = [
            # Two people whose names differ only in case could pass for each other.
            models.UniqueConstraint(Lower("username"), name="one_user_per_username"),
            # A second account on the same address could take over the first by its mail.
            models.UniqueConstraint(
                Lower("email"), name="one_user_per_email", condition=~models.Q(email="")
            ),
        ]


class Follow(models.Model):
    """The follower sees what the followed person adds; `notify` asks for a notification too."""

    # Neither has an index of its own: those below begin with them.
    follower = models.ForeignKey(User, models.CASCADE, related_name="following", db_index=False)
    followed = models.ForeignKey(User, models.CASCADE, related_name="followers", db_index=False)
    notify = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Following twice, at once, would write each feed entry's cause twice.
            models.UniqueConstraint(fields=["follower", "followed"], name="one_follow_per_pair"),
            models.CheckConstraint(
                condition=~models.Q(follower=models.F("followed")), name="nobody_follows_oneself"
            ),
        ]
        indexes = [
            # The fan-out of every card reads the followers of one person.
            models.Index(
                fields=["followed", "follower"], include=["notify"], name="follow_by_followed"
            ),
            # The two lists of a profile, newest first.
            models.Index(fields=["followed", "-id"], name="followers_in_order"),
            models.Index(fields=["follower", "-id"], name="following_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.follower_id} follows {self.followed_id}"


class IdempotentRequest(models.Model):
    """A POST that was sent with an `Idempotency-Key`, and the answer it got."""

    # SHA-256 of who sent it, to which path, with which key.
    key = models.CharField(max_length=64, primary_key=True)
    # SHA-256 of the body: the same key with another body is a mistake of the client's.
    body_digest = models.CharField(max_length=64)
    status = models.SmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    answer = models.BinaryField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotent_request_age")]

    def __str__(self) -> str:
        return self.key
