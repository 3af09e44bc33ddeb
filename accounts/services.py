"""All writes of users, tokens and follows; those that other apps react to send a domain signal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib.admin.models import LogEntry
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from knox.models import AuthToken
from psycopg.errors import UniqueViolation

from accounts import names
from accounts.events import UserFollowed, UserRegistered, UserUnfollowed
from accounts.models import Follow, User
from accounts.signals import person_deleting, user_followed, user_registered, user_unfollowed
from eventbook.database import execute

# The field and the message for each constraint that a new user can violate.
TAKEN = {
    "one_user_per_username": ("username", "This username is taken."),
    "accounts_user_username_key": ("username", "This username is taken."),
    "one_user_per_email": ("email", "There is an account with this address already."),
}

# `xmax` is 0 in a row that this statement inserted, and not 0 in one that it updated.
FOLLOW = """
    INSERT INTO accounts_follow (follower_id, followed_id, notify, created_at)
    VALUES (%(follower)s, %(followed)s, coalesce(%(notify)s, false), now())
    ON CONFLICT (follower_id, followed_id)
    DO UPDATE SET notify = coalesce(%(notify)s, accounts_follow.notify)
    RETURNING notify, xmax = 0
"""

UNFOLLOW = "DELETE FROM accounts_follow WHERE follower_id = %s AND followed_id = %s RETURNING 1"


def register(*, username: str, email: str, password: str, display_name: str = "") -> User:
    """Create a user; raise ValidationError with the invalid fields."""
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
    """Store a new user and send `user_registered`.

    Raise IntegrityError if the username or the mail address is taken.
    """
    with transaction.atomic():
        user.save(force_insert=True)
        user_registered.send(sender=User, event=UserRegistered(user_id=user.pk))


# The most tokens of one person; a further login deletes the oldest. A client that logs in for each
# request would create many thousands.
MAX_TOKENS = 200
DELETE_OLDEST_TOKENS = """
    DELETE FROM knox_authtoken WHERE digest IN (
        SELECT digest FROM knox_authtoken WHERE user_id = %s ORDER BY created DESC OFFSET %s
    )
"""


class PasswordChanged(Exception):
    """The password was changed after it was checked."""


def issue_token(*, user: User) -> tuple[AuthToken, str]:
    """Create a token; return its record, and the token itself, which can't be read later.

    `user` must be as it was when the password was checked. Raise PasswordChanged if the password
    has been changed since. A change revokes all tokens; the lock on the user's row prevents a token
    for the old password from being created just after it.
    """
    with transaction.atomic():
        people = User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True)
        if user.password != people.values_list("password", flat=True).first():
            raise PasswordChanged
        record, token = AuthToken.objects.create(user=user)
        execute(DELETE_OLDEST_TOKENS, [user.pk, MAX_TOKENS])
    return record, token


def revoke_token(*, token: AuthToken) -> None:
    """Delete a token, so that its client is logged out."""
    AuthToken.objects.filter(pk=token.pk).delete()


def revoke_all_tokens(*, user: User) -> None:
    """Delete all tokens of a user."""
    AuthToken.objects.filter(user=user).delete()


# The key of the advisory lock on deletions; an arbitrary number that no other code uses.
DELETION_LOCK = 0x6465
LOCK_DELETION = "SELECT pg_advisory_xact_lock(%s, 0)"
# Shown before a person is deleted.
NOT_DELETED = (
    "These are not deleted: past events, which have the person's id; other people's cards; "
    "existing backups; and, for two days at most, responses stored for repeated requests."
)


def delete_person(*, person: User) -> None:
    """Delete a person and everything they own; cards and collections are deleted with events.

    Raise ValidationError for a member of the staff with entries in the admin's log, which would be
    deleted too.
    """
    with transaction.atomic():
        # Deletions run one by one: people who follow each other, or have cards below each other's,
        # have rows in common, and two deletions would lock these in different orders.
        execute(LOCK_DELETION, [DELETION_LOCK])
        # A concurrent request that adds a row for this person waits for the lock, and then fails.
        locked = User.objects.select_for_update().filter(pk=person.pk).first()
        if locked is None:
            return
        if LogEntry.objects.filter(user=locked).exists():
            message = f"{locked} has acted as staff, which must stay on record: deactivate instead."
            raise ValidationError(message, code="has_acted")
        person_deleting.send(sender=User, person=locked)
        locked.delete()


def update_profile(*, user: User, **changes: str) -> User:
    """Change `display_name`, `bio` or `import_visibility` of a user's profile.

    Raise User.DoesNotExist if the user has been deleted meanwhile.
    """
    if unknown := changes.keys() - {"display_name", "bio", "import_visibility"}:
        raise TypeError(f"A profile's {', '.join(sorted(unknown))} cannot be changed.")
    if "display_name" in changes:
        changes["display_name"] = names.tidy_display_name(changes["display_name"])
    if changes and not User.objects.filter(pk=user.pk).update(**changes):
        raise User.DoesNotExist
    for name, value in changes.items():
        setattr(user, name, value)
    return user


def follow(*, follower: User, followed: User, notify: bool | None = None) -> tuple[bool, bool]:
    """Follow a person; return whether the follow is new, and its `notify`.

    If `notify` is None, a new follow has no notifications and an existing one is unchanged. Raise
    ValidationError if both are the same person.
    """
    if follower.pk == followed.pk:
        raise ValidationError("You cannot follow yourself.", code="self_follow")
    row = {"follower": follower.pk, "followed": followed.pk, "notify": notify}
    with transaction.atomic():
        ((notifies, created),) = execute(FOLLOW, row).rows
        if created:
            event = UserFollowed(follower_id=follower.pk, followed_id=followed.pk)
            user_followed.send(sender=Follow, event=event)
    return created, notifies


def unfollow(*, follower: User, followed: User) -> bool:
    """Stop following a person; return whether there was a follow."""
    pair = [follower.pk, followed.pk]
    event = UserUnfollowed(follower_id=follower.pk, followed_id=followed.pk)
    return bool(user_unfollowed.send_with(UNFOLLOW, pair, sender=Follow, event=event))


def _check(field: str, check: Callable[[str], None], value: str) -> None:
    """Run a check of one field, and raise its ValidationError under the field's name."""
    try:
        check(value)
    except ValidationError as error:
        raise ValidationError({field: error.error_list}) from error


def _taken(error: IntegrityError) -> Exception:
    """Return the ValidationError for a violated unique constraint, or the error itself."""
    cause = error.__cause__
    name = cause.diag.constraint_name if isinstance(cause, UniqueViolation) else None
    if name not in TAKEN:
        return error
    field, message = TAKEN[name]
    return ValidationError({field: ValidationError(message, code="taken")})
