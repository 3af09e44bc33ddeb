from __future__ import annotations


class UsernameConverter:
    """A username in an address; anything else there is 404 before a query is made."""

    regex = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,149}"

    def to_python(self, value: str) -> str:
        """Return the name as it stands."""
        return value

    def to_url(self, value: str) -> str:
        """Return the name as it stands."""
        return value
