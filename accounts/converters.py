from __future__ import annotations


class UsernameConverter:
    """A username in a URL's path; any other text there gets 404 without a query."""

    regex = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,149}"

    def to_python(self, value: str) -> str:
        """Return the name unchanged."""
        return value

    def to_url(self, value: str) -> str:
        """Return the name unchanged."""
        return value
