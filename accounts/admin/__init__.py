"""The admin pages of users, follows, tokens, groups and the admin's own log."""

from accounts.admin import acts, groups, people, tokens

__all__ = ["acts", "groups", "people", "tokens"]
