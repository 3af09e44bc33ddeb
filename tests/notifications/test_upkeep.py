"""The sweep that stands in for foreign keys, and what an operator sees."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.services import follow
from cards.events import CardAdded
from cards.services import remove_card
from notifications.handlers import notify_card_added
from notifications.models import Notification, NotificationRow
from notifications.tasks import prune_orphans
from tests.harness.deliveries import recorded
from tests.library import save_many

pytestmark = pytest.mark.django_db

LIST = "admin:notifications_notificationrow_changelist"


@pytest.fixture
def three(alice: User, bob: User) -> None:
    follow(follower=bob, followed=alice, notify=True)
    cards = save_many(alice, 3)
    notify_card_added(recorded(CardAdded))
    remove_card(card=cards[0])


@pytest.mark.usefixtures("three")
def test_the_sweep_deletes_notifications_of_what_is_gone_and_nothing_else() -> None:
    assert (prune_orphans(), prune_orphans()) == (1, 0)

    assert Notification.objects.count() == 2


@pytest.mark.usefixtures("three")
def test_the_sweep_deletes_what_a_deleted_user_was_told(bob: User) -> None:
    bob.delete()

    assert prune_orphans() == 3
    assert Notification.objects.count() == 0


@pytest.mark.usefixtures("three")
def test_the_admin_lists_one_recipient_and_nothing_unasked(admin_client: Client) -> None:
    unasked = admin_client.get(reverse(LIST))
    stranger = admin_client.get(reverse(LIST), {"q": "nobody\x00"})
    asked = admin_client.get(reverse(LIST), {"q": "Bob", "kind__exact": "CARD_ADDED"})

    assert [page.context["cl"].result_count for page in (unasked, stranger, asked)] == [0, 0, 3]


@pytest.mark.usefixtures("three")
def test_the_admin_shows_a_notification_even_of_a_removed_card(admin_client: Client) -> None:
    pages = [
        admin_client.get(reverse("admin:notifications_notificationrow_change", args=[row.pk]))
        for row in NotificationRow.objects.all()
    ]
    garbage = admin_client.get(reverse("admin:notifications_notificationrow_change", args=["1-x"]))

    assert [page.status_code for page in pages] == [200] * 3
    assert garbage.status_code == 302


@pytest.mark.usefixtures("three")
def test_the_admin_changes_nothing(admin_client: Client) -> None:
    row = NotificationRow.objects.first()
    assert row is not None

    add = admin_client.post(reverse("admin:notifications_notificationrow_add"))
    delete = admin_client.post(
        reverse("admin:notifications_notificationrow_delete", args=[row.pk]), {"post": "yes"}
    )

    assert (add.status_code, delete.status_code) == (403, 403)
    assert Notification.objects.count() == 3
