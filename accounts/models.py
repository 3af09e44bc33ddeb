"""Users, follows, rate-limit state, and the last uses of tokens."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth import models as auth
from django.db import models, transaction
from django.db.models.functions import Lower
from knox.models import AuthToken

from accounts import names


class UserManager(auth.UserManager["User"]):
    """The manager of users; finds a user by any spelling of the username."""

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user of this name in any spelling; every login uses it."""
        return self.alias(name=Lower("username")).get(name=names.lookup_form(username or ""))


class Visibility(models.TextChoices):
    """Who may see an object: everybody, or its owner alone."""

    PUBLIC = "PUBLIC", "Public"
    PRIVATE = "PRIVATE", "Private"


# The options of a foreign key without constraint and index, for tables that are written often.
LOOSE: dict[str, Any] = {"related_name": "+", "db_constraint": False, "db_index": False}


class User(auth.AbstractUser):
    """A person with a library; others see the username."""

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
    # The visibility of imported cards, unless the request or the file sets it.
    import_visibility = models.CharField(
        max_length=7,
        choices=Visibility,
        default=Visibility.PRIVATE,
        db_default=Visibility.PRIVATE,
    )

    objects: ClassVar[UserManager] = UserManager()
    _password_removed = False

    class Meta(auth.AbstractUser.Meta):
        constraints = [
            # Two people whose names differ only in case could impersonate each other.
            models.UniqueConstraint(Lower("username"), name="one_user_per_username"),
            # A second account with the same address could take over the first by mail.
            models.UniqueConstraint(
                Lower("email"), name="one_user_per_email", condition=~models.Q(email="")
            ),
        ]
        indexes = [
            # For the counts of profiles, which subtract the few inactive users.
            models.Index(fields=["id"], name="user_inactive", condition=models.Q(is_active=False)),
        ]

    def clean(self) -> None:
        """Normalise the display name and the mail address, as services do."""
        super().clean()
        self.email = names.tidy_email(self.email)
        self.display_name = names.tidy_display_name(self.display_name)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the user; if the password was changed, in any way, revoke all tokens."""
        password_changed = getattr(self, "_password", None) is not None or self._password_removed
        if self._state.adding or not password_changed:
            return super().save(*args, **kwargs)
        with transaction.atomic():
            super().save(*args, **kwargs)
            AuthToken.objects.filter(user=self).delete()
        self._password_removed = False
        return None

    def set_unusable_password(self) -> None:
        """Remove the password; like any change of it, this revokes all tokens on `save`."""
        super().set_unusable_password()
        self._password_removed = True


class Follow(models.Model):
    """A follow: the follower's feed gets the followed person's cards.

    With `notify`, the follower is also notified of each.
    """

    # Without indexes of their own: the indexes below begin with these columns.
    follower = models.ForeignKey(User, models.CASCADE, related_name="following", db_index=False)
    followed = models.ForeignKey(User, models.CASCADE, related_name="followers", db_index=False)
    notify = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Two follow requests at once would otherwise create two follows.
            models.UniqueConstraint(fields=["follower", "followed"], name="one_follow_per_pair"),
            models.CheckConstraint(
                condition=~models.Q(follower=models.F("followed")), name="nobody_follows_oneself"
            ),
        ]
        indexes = [
            # For the fan-out of each card, which reads all followers of its author.
            models.Index(
                fields=["followed", "follower"], include=["notify"], name="follow_by_followed"
            ),
            # For a profile's two lists, newest first.
            models.Index(fields=["followed", "-id"], name="followers_in_order"),
            models.Index(fields=["follower", "-id"], name="following_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.follower_id} follows {self.followed_id}"


class SpentBudget(models.Model):
    """The spent part of one rate-limit budget, for example of an account (accounts/guard)."""

    # HMAC of the budget's name and of its holder: an account, an address or a device.
    key = models.CharField(max_length=64, primary_key=True)
    # The time at which the whole budget is available again; the row can then be deleted.
    full_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class KnownPlace(models.Model):
    """An address from which an account has logged in.

    There, strangers' wrong guesses can't lock the account's owner out (accounts/guard).
    """

    # HMAC of the account and the address.
    key = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class TokenUse(models.Model):
    """The last use of a token, to the hour, so that old tokens can be found."""

    # The token's hash, without a foreign key: tokens are deleted by single statements, and the rows
    # left behind are pruned later.
    digest = models.CharField(max_length=128, primary_key=True)
    used_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.used_at:%F %H:%M}"
