"""The domain signals of accounts; sent by its services only."""

from __future__ import annotations

from django.dispatch import Signal

from accounts.events import UserFollowed, UserRegistered, UserUnfollowed
from eventbook import DomainSignal

user_registered = DomainSignal(UserRegistered)
user_followed = DomainSignal(UserFollowed)
user_unfollowed = DomainSignal(UserUnfollowed)

# Sent with `person` in the transaction that deletes a person, before the deletion, so that other
# apps can delete the person's objects and send the events for that.
person_deleting = Signal()
