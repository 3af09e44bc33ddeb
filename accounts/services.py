"""Writes about people; each that changes something tells of it by a domain signal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib.admin.models import LogEntry
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from knox.models import AuthToken
from psycopg.errors import UniqueViolation

from accounts import names
from accounts.events import UserFollowed, UserRegistered, UserUnfollowed
from accounts.models import Follow, User
from accounts.signals import person_leaving, user_followed, user_registered, user_unfollowed
from events.sql import execute

# One field for each constraint that a new user can meet.
TAKEN = {
    "one_user_per_username": ("username", "This username is taken."),
    "accounts_user_username_key": ("username", "This username is taken."),
    "one_user_per_email": ("email", "There is an account with this address already."),
}

# `xmax` is zero in a row that this statement inserted, and not in one that it updated.
FOLLOW = """
    INSERT INTO accounts_follow (follower_id, followed_id, notify, created_at)
    VALUES (%(follower)s, %(followed)s, coalesce(%(notify)s, false), now())
    ON CONFLICT (follower_id, followed_id)
    DO UPDATE SET notify = coalesce(%(notify)s, accounts_follow.notify)
    RETURNING notify, xmax = 0
"""

UNFOLLOW = "DELETE FROM accounts_follow WHERE follower_id = %s AND followed_id = %s RETURNING 1"


def register(*, username: str, email: str, password: str, display_name: str = "") -> User:
    """Make a user; raises ValidationError with the fields that cannot be."""
    user = User(
        username=username,
        email=names.tidy_email(email),
        display_name=names.tidy_display_name(display_name),
    )
    _check("username", names.check_username, username)
    _check("username", names.check_not_of_the_site, username)
    _check("display_name", names.check_display_name, user.display_name)
    _check("display_name", names.check_not_of_the_site, user.display_name)
    _check("password", partial(validate_password, user=user), password)
    user.set_password(password)
    try:
        add_user(user=user)
    except IntegrityError as error:
        raise _taken(error) from error
    return user


def add_user(*, user: User) -> None:
    """Store a new user; raise IntegrityError when the name or the address is taken."""
    with transaction.atomic():
        user.save(force_insert=True)
        user_registered.send(sender=User, event=UserRegistered(user_id=user.pk))


# Sessions of one person; with another one, the oldest ends. A client that logs in for each request
# would make many thousands.
MOST_TOKENS = 200
END_OLDEST = """
    DELETE FROM knox_authtoken WHERE digest IN (
        SELECT digest FROM knox_authtoken WHERE user_id = %s ORDER BY created DESC OFFSET %s
    )
"""


class PasswordChanged(Exception):
    """The password that was checked is not the person's any more."""


def issue_token(*, user: User) -> tuple[AuthToken, str]:
    """Return a new token's record, and the token itself: it can be read only now.

    Raises PasswordChanged, if the password was changed after it was checked: that ends all tokens,
    and the row's lock lets no new one slip through behind it.
    """
    with transaction.atomic():
        people = User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True)
        if user.password != people.values_list("password", flat=True).first():
            raise PasswordChanged
        record, token = AuthToken.objects.create(user=user)
        execute(END_OLDEST, [user.pk, MOST_TOKENS])
    return record, token


def revoke_token(*, token: AuthToken) -> None:
    """End one session of a user."""
    AuthToken.objects.filter(pk=token.pk).delete()


def revoke_all_tokens(*, user: User) -> None:
    """End all sessions of a user."""
    AuthToken.objects.filter(user=user).delete()


# What is told before a person is deleted.
STAYS = (
    "Events that happened stay, under the person's id; so do other people's cards, and backups "
    "until they are thrown away."
)


def delete_person(*, person: User) -> None:
    """Delete a person with all that is theirs; cards and collections go with their events.

    Raises ValidationError for a member of the staff whose acts would be forgotten.
    """
    with transaction.atomic():
        # Whoever adds something of theirs at this moment waits, and is then refused.
        locked = User.objects.select_for_update().filter(pk=person.pk).first()
        if locked is None:
            return
        if LogEntry.objects.filter(user=locked).exists():
            message = f"{locked} did things as staff, which stay written down; switch them off."
            raise ValidationError(message, code="has_acted")
        person_leaving.send(sender=User, person=locked)
        locked.delete()


def update_profile(
    *,
    user: User,
    display_name: str | None = None,
    bio: str | None = None,
    import_visibility: str | None = None,
) -> User:
    """Change what others read about a user, and what their imports are by default."""
    if display_name is not None:
        display_name = names.tidy_display_name(display_name)
    given = {"display_name": display_name, "bio": bio, "import_visibility": import_visibility}
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in changes.items():
        setattr(user, name, value)
    if changes:
        user.save(update_fields=list(changes))
    return user


def follow(*, follower: User, followed: User, notify: bool | None = None) -> tuple[bool, bool]:
    """Follow a person; the answer is whether that is new, and the `notify` now in force.

    Without `notify`, a new follow asks for no notifications and an existing one stays as it is.
    """
    if follower.pk == followed.pk:
        raise ValidationError("You cannot follow yourself.", code="self_follow")
    row = {"follower": follower.pk, "followed": followed.pk, "notify": notify}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FOLLOW, row)
        notifies, created = cursor.fetchone()
        if created:
            event = UserFollowed(follower_id=follower.pk, followed_id=followed.pk)
            user_followed.send(sender=Follow, event=event)
    return created, notifies


def unfollow(*, follower: User, followed: User) -> bool:
    """Stop following a person; the answer is whether that changed anything."""
    pair = [follower.pk, followed.pk]
    event = UserUnfollowed(follower_id=follower.pk, followed_id=followed.pk)
    return bool(user_unfollowed.send_with(UNFOLLOW, pair, sender=Follow, event=event))


def _check(field: str, check: Callable[[str], None], value: str) -> None:
    try:
        check(value)
    except ValidationError as error:
        raise ValidationError({field: error.error_list}) from error


def _taken(error: IntegrityError) -> Exception:
    cause = error.__cause__
    name = cause.diag.constraint_name if isinstance(cause, UniqueViolation) else None
    if name not in TAKEN:
        return error
    field, message = TAKEN[name]
    return ValidationError({field: ValidationError(message, code="taken")})
