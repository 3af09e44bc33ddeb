from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, transaction
from django.db.models.functions import Lower
from knox.models import AuthToken

from accounts import names


class People(UserManager["User"]):
    """Users, found by their name however it is written."""

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user of that name, for logins by API and admin."""
        return self.alias(name=Lower("username")).get(name=names.lookup_form(username or ""))


class Visibility(models.TextChoices):
    """Who may see something: everybody, or the person whose it is."""

    PUBLIC = "PUBLIC", "Public"
    PRIVATE = "PRIVATE", "Private"


class User(AbstractUser):
    """A person with a library; known to others by the username."""

    username = models.CharField(
        max_length=names.USERNAME_MAX_LENGTH,
        unique=True,
        validators=[names.check_username],
        error_messages={"unique": "This username is taken."},
        help_text="Letters, digits and @ . + - _; it begins with a letter, digit or underscore.",
    )
    display_name = models.CharField(
        max_length=100, blank=True, validators=[names.check_display_name]
    )
    bio = models.TextField(max_length=1000, blank=True, validators=[names.check_text])
    # Of what is imported, where neither the request nor the file says it.
    import_visibility = models.CharField(
        max_length=7,
        choices=Visibility,
        default=Visibility.PRIVATE,
        db_default=Visibility.PRIVATE,
    )

    objects: ClassVar[People] = People()
    _password_taken_away = False

    class Meta(AbstractUser.Meta):
        constraints = [
            # Two people whose names differ only in case could pass for each other.
            models.UniqueConstraint(Lower("username"), name="one_user_per_username"),
            # A second account on the same address could take over the first by its mail.
            models.UniqueConstraint(
                Lower("email"), name="one_user_per_email", condition=~models.Q(email="")
            ),
        ]
        indexes = [
            # Few are not active; profiles leave them out of their counts.
            models.Index(fields=["id"], name="user_inactive", condition=models.Q(is_active=False)),
        ]

    def clean(self) -> None:
        """Bring names and address into the form in which they are stored and compared."""
        super().clean()
        self.email = names.tidy_email(self.email)
        self.display_name = names.tidy_display_name(self.display_name)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the person; a new password ends all tokens, whoever set it and however."""
        set_anew = getattr(self, "_password", None) is not None or self._password_taken_away
        if self._state.adding or not set_anew:
            return super().save(*args, **kwargs)
        with transaction.atomic():
            super().save(*args, **kwargs)
            AuthToken.objects.filter(user=self).delete()
        self._password_taken_away = False
        return None

    def set_unusable_password(self) -> None:
        """Take the password away, which is a change of it too."""
        super().set_unusable_password()
        self._password_taken_away = True


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


class SpentBudget(models.Model):
    """Tries of a password that were made: how much is spent of one budget (accounts/guard)."""

    # HMAC of the budget's name and of whose it is.
    key = models.CharField(max_length=64, primary_key=True)
    # When all that was spent has grown back; until then the row counts.
    full_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class KnownPlace(models.Model):
    """An account has logged in from an address: strangers' guesses don't shut it out there."""

    # HMAC of account and address.
    key = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class TokenUse(models.Model):
    """When a token was last used, to the hour; for its owner and staff to find old ones."""

    # The token's hash. No foreign key: tokens end by one statement, and old rows are pruned.
    digest = models.CharField(max_length=128, primary_key=True)
    used_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.used_at:%F %H:%M}"
