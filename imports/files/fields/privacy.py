"""Understand how other programs mark rows as private or public.

A *mark* is a field like `private`, `shared` or `visibility`. An unknown value of a mark means
private, with a warning that names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from imports.files.items import one_line

# The names of marks, without separators, and whether `yes` means private (None: no yes or no).
MARKS = {
    "private": True, "isprivate": True, "hidden": True, "secret": True, "unlisted": True,
    "isunlisted": True, "ishidden": True, "issecret": True, "privat": True, "privado": True,
    "confidential": True, "restricted": True, "share": False,
    "public": False, "ispublic": False, "shared": False, "isshared": False,
    "visibility": None, "privacy": None, "access": None, "audience": None, "sharing": None,
    "accesslevel": None, "sichtbarkeit": None, "visibilite": None, "visibilidad": None,
    "commonplacevisibility": None,
}  # fmt: skip
# Fields that also have many other meanings: only their private values count.
STATUS_FIELDS = ("status", "state")
BETWEEN = re.compile(r"[\W_]+")
YES = ("", "1", "true", "t", "yes", "y", "on", "x", "✓", "✔")
NO = ("0", "false", "f", "no", "n", "off", "-")
PUBLIC = (
    "public", "everyone", "everybody", "anyone", "all", "world", "open", "shared", "published",
    "listed",
)  # fmt: skip
PRIVATE = (
    "private", "unlisted", "only me", "me", "myself", "owner", "self", "nobody", "hidden", "secret",
    "followers", "friends", "contacts", "family", "group", "team", "members", "restricted",
    "protected", "draft", "unshared", "unpublished", "not shared", "direct", "internal",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Privacy:
    """Whether a row is private (None: not stated), and a warning about an unknown mark."""

    private: bool | None = None
    warning: str = ""


NOT_STATED = Privacy()


def privacy_of(fields: Mapping[str, Any]) -> Privacy:
    """Return the privacy stated by the marks among some fields; private outweighs public."""
    private, warnings = None, []
    for name, value in fields.items():
        mark = _mark(name[:40])
        if mark in STATUS_FIELDS and _word(value) in PRIVATE:
            private = True
        if mark not in MARKS:
            continue
        stated = stated_by(name, value)
        if stated.private is not None:
            private = private or stated.private
        if stated.warning:
            warnings.append(stated.warning)
    return Privacy(private, " ".join(sorted(warnings)))


def stated_by(name: str, value: Any) -> Privacy:
    """Return the privacy stated by one field; NOT_STATED if the field is no mark.

    An empty value means yes, because an HTML attribute without a value is empty.
    """
    mark = _mark(name[:40])
    if value is None or mark not in MARKS:
        return NOT_STATED
    word, yes_is_private = _word(value), MARKS[mark]
    if word in PRIVATE:
        return Privacy(True)
    if word in PUBLIC:
        return Privacy(False)
    if yes_is_private is not None and word in YES:
        return Privacy(yes_is_private)
    if yes_is_private is not None and word in NO:
        return Privacy(not yes_is_private)
    shown = one_line(str(value))[:50]
    return Privacy(True, f"{name} is “{shown}”, which is not understood: the card is private.")


@lru_cache(4096)
def _mark(name: str) -> str:
    return BETWEEN.sub("", name).lower().removeprefix("data")  # `data-private` of HTML


def _word(value: Any) -> str:
    """Return a mark's value for comparison: in lower case, with spaces between words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = one_line(value if isinstance(value, str) else str(value)).lower()
    text = " ".join(text.replace("_", " ").replace("-", " ").split()) or text
    return text.removesuffix(".0") if text in ("1.0", "0.0") else text
