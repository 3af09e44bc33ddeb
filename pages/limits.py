"""How much of a page's metadata is kept, in characters; cards have the same limits."""

from __future__ import annotations

TITLE_LENGTH = 500
LINK_LENGTH = 2048
REFERENCE_PEOPLE = 500  # names of authors and editors
