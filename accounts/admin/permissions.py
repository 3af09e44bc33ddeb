"""The rule for staff: they can't act on a user who has more permissions than they have."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from accounts.models import User

# The fields that grant permissions; only superusers may change them.
PERMISSION_FIELDS = ("is_staff", "is_superuser", "groups", "user_permissions")


def is_superuser(staff: AbstractBaseUser | AnonymousUser) -> bool:
    """Return whether a member of the staff is an active superuser."""
    return bool(staff.is_active and getattr(staff, "is_superuser", False))


def may_act_on(staff: AbstractBaseUser | AnonymousUser, person: User) -> bool:
    """Return whether a member of the staff may change, delete or log out a person.

    Staff could set the person's password and log in as that person, so the person must not have
    more permissions. A deactivated account counts with the permissions of an active one.
    """
    if is_superuser(staff):
        return True
    if person.is_superuser:
        return False
    active = User(pk=person.pk, is_active=True)
    return cast(User, staff).has_perms(active.get_all_permissions())
