"""Who of the staff may act on whom: nobody on a person who may do more than they."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from accounts.models import User

# What gives power; only superusers may give it, or take it.
POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


def is_superuser(staff: AbstractBaseUser | AnonymousUser) -> bool:
    """Return whether a member of the staff is an active superuser."""
    return bool(staff.is_active and getattr(staff, "is_superuser", False))


def may_act_on(staff: AbstractBaseUser | AnonymousUser, person: User) -> bool:
    """Return whether staff may change, delete or log out a person.

    Who sets the password of another could log in as the other: so never that of a person with
    more power. An account that is switched off has the power that it would have again.
    """
    if is_superuser(staff):
        return True
    if person.is_superuser:
        return False
    awake = User(pk=person.pk, is_active=True)
    return cast(User, staff).has_perms(awake.get_all_permissions())
