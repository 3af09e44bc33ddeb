"""Shortcuts with which tests create cards and collections, and read recorded events."""

from __future__ import annotations

import json
from typing import Any

from accounts.models import User, Visibility
from cards import services
from cards.models import Card, Collection
from eventbook.declare.events import Recorded, decode, type_of_class
from eventbook.models import Event

PAGE = "https://example.org/a-page"
# Creates %s users who all follow one user.
CROWD = """
    WITH crowd AS (
        INSERT INTO accounts_user (password, is_superuser, username, first_name, last_name, email,
                                   is_staff, is_active, date_joined, display_name, bio)
        SELECT '', false, 'fan' || n, '', '', 'fan' || n || '@example.org', false, true, now(), '',
               ''
        FROM generate_series(1, %s) AS n RETURNING id
    )
    INSERT INTO accounts_follow (follower_id, followed_id, notify, created_at)
    SELECT crowd.id, %s, true, now() FROM crowd
"""


def save(curator: User, url: str = PAGE, *, private: bool = False, **content: Any) -> Card:
    """Save a page, and return its card."""
    visibility = Visibility.PRIVATE if private else Visibility.PUBLIC
    card, _ = services.add_card(
        curator=curator, type="URL", url=url, visibility=visibility, **content
    )
    return card


def save_many(curator: User, count: int, *, private: bool = False) -> list[Card]:
    """Save `count` different pages, and return their cards, oldest first."""
    return [save(curator, f"{PAGE}/{curator.pk}/{n}", private=private) for n in range(count)]


def collection_of(owner: User, *, private: bool = False) -> Collection:
    """Create a collection named "Reading"."""
    visibility = Visibility.PRIVATE if private else Visibility.PUBLIC
    return services.create_collection(owner=owner, name="Reading", visibility=visibility)


def recorded(event_class: type[Any]) -> list[Recorded[Any]]:
    """Return all recorded events of one class, in the form that handlers get, oldest first."""
    return [
        Recorded(
            event.id,
            event.recorded_at,
            event.priority,
            decode(event.type, event.version, json.dumps(event.data)),
        )
        for event in Event.objects.filter(type=type_of_class[event_class].name).order_by("id")
    ]
