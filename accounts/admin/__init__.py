"""What staff see of people, and may do to them."""

from accounts.admin import acts, groups, people, tokens

__all__ = ["acts", "groups", "people", "tokens"]
