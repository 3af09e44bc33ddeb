"""What people may be called, and under which form a name is looked up."""

from __future__ import annotations

import unicodedata


def lookup_form(username: str) -> str:
    """Return the form in which a username is looked up: one for all ways to write it.

    Logins, limits and addresses must agree on it, or a limit could be passed by another spelling.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).lower()).strip()
