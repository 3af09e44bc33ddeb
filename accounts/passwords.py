"""The hash of passwords, and rules beyond Django's own that apply wherever a password is set."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.exceptions import ValidationError

PASSWORD_MAX_LENGTH = 128
# Shorter names are ignored: they occur in many ordinary words.
MIN_NAME_LENGTH = 3


class LeanArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with the parameters that OWASP recommends: 19 MiB, two passes, one lane.

    With Django's 100 MiB and eight lanes, a few simultaneous logins would fill a small machine
    (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
    """

    memory_cost = 19_456
    time_cost = 2
    parallelism = 1


class BesidesNamesValidator:
    """Refuses a password that is little more than the user's own names: `alicealice1`.

    Django's similarity check compares each name with the whole password, so that a short name
    repeated is not similar enough to be refused.
    """

    def __init__(self, min_length: int = 8) -> None:
        self.min_length = min_length

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError if the password without the user's names is too short."""
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
    """Refuses a password that is too long for the API's login."""

    def __init__(self, max_length: int = PASSWORD_MAX_LENGTH) -> None:
        self.max_length = max_length

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for a password that is too long."""
        if len(password) > self.max_length:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return f"A password has {self.max_length} characters at most."


def own_names(user: Any) -> set[str]:
    """Return a user's names and their parts, in lower case; parts of MIN_NAME_LENGTH or longer."""
    fields = ("username", "display_name", "first_name", "last_name", "email")
    texts = [str(getattr(user, field, "") or "").lower() for field in fields]
    texts += [text.partition("@")[0] for text in texts]
    parts = {
        part for text in texts for part in (text, *re.split(r"[\W_]+", text.partition("@")[0]))
    }
    return {part for part in parts if len(part) >= MIN_NAME_LENGTH}
