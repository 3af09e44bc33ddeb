"""Create what tests need of people, cards and notifications, and read recorded events."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from knox.models import AuthToken

from accounts.models import Follow, User, Visibility
from cards import services
from cards.models import Card, Collection
from eventbook.database.ids import new_id
from notifications.models import Kind, Notification

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


def followers_of(author: User, count: int) -> list[User]:
    """Create users who follow the author, with notifications on."""
    people = [User(username=f"f{n}", email=f"f{n}@example.org") for n in range(count)]
    people = User.objects.bulk_create(people)
    Follow.objects.bulk_create(
        [Follow(follower=person, followed=author, notify=True) for person in people]
    )
    return people


def notify(recipient: User, actor: User, count: int = 1) -> list[str]:
    """Create notifications without an event, and return the event ids that they name."""
    rows = [
        Notification(
            recipient=recipient, event_id=new_id(), kind=Kind.IMPORTED, actor=actor,
            created_at=timezone.now(),
        )
        for _ in range(count)
    ]  # fmt: skip
    Notification.objects.bulk_create(rows)
    return [str(row.event_id) for row in rows]


def token_of(user: User) -> str:
    """Create an API token of a user."""
    token: str = AuthToken.objects.create(user)[1]
    return token
