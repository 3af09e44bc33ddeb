"""The admin pages of users, follows, tokens, groups and the admin's own log."""

from accounts.admin import groups, log_entries, people, tokens

__all__ = ["groups", "log_entries", "people", "tokens"]
