"""The domain signals of accounts; sent by its services only."""

from __future__ import annotations

from django.dispatch import Signal

from accounts.events import UserFollowed, UserRegistered, UserUnfollowed
from events.signals import DomainSignal

user_registered = DomainSignal(UserRegistered)
user_followed = DomainSignal(UserFollowed)
user_unfollowed = DomainSignal(UserUnfollowed)

# Sent with `person` in the transaction that deletes them, before it does: what other apps hold of
# theirs goes first, with its events.
person_leaving = Signal()
