"""What Django asks before it takes a password, wherever it is set."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError

# Names shorter than this are in every other word.
SHORTEST_NAME = 3


class BesidesNamesValidator:
    """Refuse a password that is a person's own names and little else: `alicealice1`.

    Django's check of similarity looks at each name beside the whole password, and finds a short
    name that is repeated not similar.
    """

    def __init__(self, min_length: int = 8) -> None:
        self.min_length = min_length

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError, if too little is left besides the names of the user."""
        names = sorted(own_names(user), key=len, reverse=True)
        if not names:
            return
        pattern = "|".join(re.escape(name) for name in names)
        rest, found = re.subn(pattern, "", password.lower())
        if found and len(rest) < self.min_length:
            raise ValidationError(self.get_help_text(), code="password_of_names")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return f"Besides your own names, a password needs {self.min_length} characters or more."


class MaximumLengthValidator:
    """Refuse a password that the API's login would not take."""

    def __init__(self, max_length: int = 128) -> None:
        self.max_length = max_length

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for a password that is too long."""
        if len(password) > self.max_length:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return f"A password has {self.max_length} characters at most."


def own_names(user: Any) -> set[str]:
    """Return the names of a person, and their parts, in small letters."""
    fields = ("username", "display_name", "first_name", "last_name", "email")
    texts = [str(getattr(user, field, "") or "").lower() for field in fields]
    texts += [text.partition("@")[0] for text in texts]
    parts = {
        part for text in texts for part in (text, *re.split(r"[\W_]+", text.partition("@")[0]))
    }
    return {part for part in parts if len(part) >= SHORTEST_NAME}
