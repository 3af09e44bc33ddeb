"""Staff who read what is private leave a trace, and lists in the admin show none of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as people
from accounts.models import User
from cards.models import Card, Collection, CollectionCard
from cards.services import add_card_to_collection, create_collection
from imports.models import FeedSubscription, Import, WebFeed
from notifications.models import Notification
from pages.models import Metadata, Robots, Url
from tests.library import save

pytestmark = pytest.mark.django_db
SECRET = "unspoken"


@pytest.fixture
def staff(db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("sam", "sam@example.org", "x"))
    return client


@pytest.fixture
def private(alice: User, bob: User) -> dict[str, Any]:
    """Return one private object for each page of the admin that shows any."""
    card = save(bob, f"https://{SECRET}.example.org/{SECRET}", private=True, title=SECRET)
    collection = create_collection(owner=bob, name=SECRET, visibility="PRIVATE")
    add_card_to_collection(collection=collection, card=card, added_by=bob)
    page = Url.objects.get()
    now = timezone.now()
    Robots.objects.create(origin=f"https://{SECRET}.example.org", fetched_at=now)
    known = Metadata.objects.create(url=page, title=SECRET, expires_at=now)
    job = Import.objects.create(owner=bob, source_kind="upload", source=f"{SECRET}.html")
    feed = WebFeed.objects.create(url=f"https://example.org/?key={SECRET}", next_refresh=now)
    subscription = FeedSubscription.objects.create(owner=bob, feed=feed, title=SECRET)
    return {
        "cards_card": card.pk,
        "cards_collection": collection.pk,
        "cards_collectioncard": CollectionCard.objects.get().pk,
        "pages_url": page.pk,
        "pages_metadata": known.pk,
        "imports_import": job.pk,
        "imports_webfeed": feed.pk,
        "imports_feedsubscription": subscription.pk,
    }


def test_each_look_at_something_private_is_noted(staff: Client, private: dict[str, Any]) -> None:
    for name, key in private.items():
        assert staff.get(reverse(f"admin:{name}_change", args=[key])).status_code == 200

    noted = LogEntry.objects.order_by("pk")
    assert [(each.user.username, each.object_id) for each in noted] == [
        ("sam", str(key)) for key in private.values()
    ]
    listed = staff.get(reverse("admin:admin_logentry_changelist")).content.decode()
    assert listed.count("Looked at.") == len(private)
    assert listed.count("Reading") == len(private)
    assert SECRET not in listed


def test_no_list_shows_what_is_private(staff: Client, private: dict[str, Any]) -> None:
    for name in (*private, "pages_robots"):
        answer = staff.get(reverse(f"admin:{name}_changelist"))

        assert answer.status_code == 200
        assert SECRET not in answer.content.decode(), name
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("name", "lookup"),
    [
        ("cards_card", "title__startswith"),
        ("cards_card", "text__icontains"),
        ("cards_card", "link__regex"),
        ("cards_card", "url__canonical__contains"),
        ("cards_card", "tags__contains"),
        ("cards_card", "reference__title__startswith"),
        ("cards_collection", "name__startswith"),
        ("pages_url", "canonical__contains"),
        ("pages_url", "host__startswith"),
        ("pages_metadata", "title__startswith"),
        ("imports_import", "source__startswith"),
        ("imports_webfeed", "url__contains"),
        ("imports_feedsubscription", "title__startswith"),
        ("cards_collectioncard", "card__title__startswith"),
    ],
)
def test_no_list_can_be_asked_what_a_private_text_begins_with(
    staff: Client, private: dict[str, Any], name: str, lookup: str
) -> None:
    answer = staff.get(reverse(f"admin:{name}_changelist"), {lookup: SECRET})

    assert answer.status_code == 400


def test_lists_are_filtered_by_what_they_offer(staff: Client, private: dict[str, Any]) -> None:
    cards = reverse("admin:cards_card_changelist")

    for lookup, value in (("visibility__exact", "PRIVATE"), ("type__exact", "URL")):
        assert "1 card" in staff.get(cards, {lookup: value}).content.decode()
    assert staff.get(cards, {"curator__id__exact": 1}).status_code == 200


def test_an_inbox_is_private_too(alice: User, bob: User, staff: Client) -> None:
    people.follow(follower=alice, followed=bob)
    event = save(bob).pk
    Notification.objects.create(
        recipient=alice, event_id=event, kind="FOLLOWED", actor=bob, created_at=timezone.now()
    )

    key = f"{alice.pk}-{event}"
    answer = staff.get(reverse("admin:notifications_notificationrow_change", args=[key]))

    assert answer.status_code == 200
    assert LogEntry.objects.get().change_message == "Looked at."


def test_what_is_public_is_read_without_a_note(staff: Client, bob: User) -> None:
    card = save(bob, title="Everybody's")
    collection = create_collection(owner=bob, name="Reading")

    public = {"cards_card": card.pk, "cards_collection": collection.pk, "pages_url": card.url_id}
    for name, key in public.items():
        shown = staff.get(reverse(f"admin:{name}_change", args=[key]))
        listed = staff.get(reverse(f"admin:{name}_changelist")).content.decode()
        assert shown.status_code == 200
        assert any(word in listed for word in ("Everybody&#x27;s", "Reading", "example.org"))

    assert not LogEntry.objects.exists()
    assert Card.objects.count() == Collection.objects.count() == 1
