"""The domain events of accounts."""

from __future__ import annotations

from dataclasses import dataclass

from eventbook import event_type


@event_type("user.registered", version=1)
class UserRegistered:
    user_id: int

    @property
    def subject(self) -> str:
        return f"users/{self.user_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutFollow:
    follower_id: int
    followed_id: int

    @property
    def subject(self) -> str:
        return f"users/{self.followed_id}"


@event_type("user.followed", version=1)
class UserFollowed(_AboutFollow):
    pass


@event_type("user.unfollowed", version=1)
class UserUnfollowed(_AboutFollow):
    pass
