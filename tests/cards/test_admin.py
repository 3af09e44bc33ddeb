from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import Follow, User
from accounts.services import follow
from cards.models import Card, Collection
from cards.services import add_card, create_collection
from eventbook.models import Event

pytestmark = pytest.mark.django_db


def event_types() -> list[str]:
    events = Event.objects.exclude(type="user.registered").order_by("id")
    return list(events.values_list("type", flat=True))


def test_a_card_edited_or_deleted_by_staff_tells_of_it(admin_client: Client, alice: User) -> None:
    card, _ = add_card(curator=alice, type="NOTE", text="note")
    second, _ = add_card(curator=alice, type="NOTE", text="second")
    path = f"/admin/cards/card/{card.pk}/"

    form = {"title": "", "text": "changed", "visibility": "PRIVATE"}
    assert admin_client.post(f"{path}change/", form).status_code == 302
    assert admin_client.post(f"{path}delete/", {"post": "yes"}).status_code == 302
    chosen = {"action": "delete_selected", "_selected_action": [str(second.pk)], "post": "yes"}
    assert admin_client.post("/admin/cards/card/", chosen).status_code == 302

    assert Card.objects.count() == 0
    assert event_types() == [
        "card.added",
        "card.added",
        "card.updated",
        "card.removed",
        "card.removed",
    ]


def test_a_card_that_staff_cannot_have_so_is_told_in_the_form(
    admin_client: Client, alice: User
) -> None:
    card, _ = add_card(curator=alice, type="NOTE", text="note")

    form = {"title": "", "text": "", "visibility": "PUBLIC"}
    response = admin_client.post(f"/admin/cards/card/{card.pk}/change/", form)

    assert response.status_code == 200
    assert b"A note needs a text or a title." in response.content


def test_a_collection_and_a_follow_ended_by_staff_tell_of_it(
    admin_client: Client, alice: User, bob: User
) -> None:
    collection = create_collection(owner=alice, name="Reading")
    follow(follower=alice, followed=bob)
    (followed,) = Follow.objects.all()

    admin_client.post(f"/admin/cards/collection/{collection.pk}/delete/", {"post": "yes"})
    admin_client.post(f"/admin/accounts/follow/{followed.pk}/delete/", {"post": "yes"})

    assert Collection.objects.count() == Follow.objects.count() == 0
    assert event_types()[-2:] == ["collection.removed", "user.unfollowed"]
