"""The domain signals of accounts; sent by its services only."""

from __future__ import annotations

from accounts.events import UserFollowed, UserRegistered, UserUnfollowed
from events.signals import DomainSignal

user_registered = DomainSignal(UserRegistered)
user_followed = DomainSignal(UserFollowed)
user_unfollowed = DomainSignal(UserUnfollowed)
