from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import Follow, User
from accounts.services import follow
from cards.models import Card, Collection
from cards.services import add_card, create_collection
from eventbook.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin", "admin@example.org", "secret"))
    return client


def event_types() -> list[str]:
    events = Event.objects.exclude(type="user.registered").order_by("id")
    return list(events.values_list("type", flat=True))


@pytest.mark.parametrize(
    "path",
    [
        "accounts/user/",
        "accounts/follow/",
        "cards/card/",
        "cards/collection/",
        "cards/collectioncard/",
        "pages/url/",
        "imports/import/",
        "imports/feedsubscription/",
        "imports/webfeed/",
        "pages/metadata/",
        "pages/robots/",
        "knox/authtoken/",
    ],
)
def test_each_list_shows_finds_and_costs_few_queries(
    staff: Client, alice: User, bob: User, path: str, django_assert_max_num_queries: Any
) -> None:
    follow(follower=alice, followed=bob)
    collection = create_collection(owner=alice, name="Reading")
    for number in range(30):
        url = f"https://example.org/{number}"
        add_card(curator=alice, type="URL", url=url, collections=[collection])

    with django_assert_max_num_queries(8):
        assert staff.get(f"/admin/{path}").status_code == 200
    for words in ("alice", "example.org", "01890000-0000-7000-8000-000000000000", "%00", "'"):
        assert staff.get(f"/admin/{path}", {"q": words}).status_code == 200


def test_a_card_edited_or_deleted_by_staff_tells_of_it(staff: Client, alice: User) -> None:
    card, _ = add_card(curator=alice, type="NOTE", text="note")
    second, _ = add_card(curator=alice, type="NOTE", text="second")
    path = f"/admin/cards/card/{card.pk}/"

    form = {"title": "", "text": "changed", "visibility": "PRIVATE"}
    assert staff.post(f"{path}change/", form).status_code == 302
    assert staff.post(f"{path}delete/", {"post": "yes"}).status_code == 302
    chosen = {"action": "delete_selected", "_selected_action": [str(second.pk)], "post": "yes"}
    assert staff.post("/admin/cards/card/", chosen).status_code == 302

    assert Card.objects.count() == 0
    assert event_types() == [
        "card.added",
        "card.added",
        "card.updated",
        "card.removed",
        "card.removed",
    ]


def test_a_card_that_staff_cannot_have_so_is_told_in_the_form(staff: Client, alice: User) -> None:
    card, _ = add_card(curator=alice, type="NOTE", text="note")

    form = {"title": "", "text": "", "visibility": "PUBLIC"}
    response = staff.post(f"/admin/cards/card/{card.pk}/change/", form)

    assert response.status_code == 200
    assert b"A note needs a text or a title." in response.content


def test_a_collection_and_a_follow_ended_by_staff_tell_of_it(
    staff: Client, alice: User, bob: User
) -> None:
    collection = create_collection(owner=alice, name="Reading")
    follow(follower=alice, followed=bob)
    (followed,) = Follow.objects.all()

    staff.post(f"/admin/cards/collection/{collection.pk}/delete/", {"post": "yes"})
    staff.post(f"/admin/accounts/follow/{followed.pk}/delete/", {"post": "yes"})

    assert Collection.objects.count() == Follow.objects.count() == 0
    assert event_types()[-2:] == ["collection.removed", "user.unfollowed"]


def test_a_user_made_by_staff_is_registered(staff: Client) -> None:
    form = {
        "username": "alice",
        "usable_password": "true",
        "password1": "alice-reads-a-lot",
        "password2": "alice-reads-a-lot",
    }

    assert staff.post("/admin/accounts/user/add/", form).status_code == 302

    assert User.objects.get(username="alice").check_password("alice-reads-a-lot")
    assert Event.objects.filter(type="user.registered").count() == 1


def test_the_admin_of_the_local_stack_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.management import call_command

    monkeypatch.setenv("ADMIN_PASSWORD", "first")
    call_command("demo_admin")
    hashed = User.objects.get().password
    call_command("demo_admin")
    assert User.objects.get().password == hashed

    monkeypatch.setenv("ADMIN_PASSWORD", "second")
    call_command("demo_admin")
    admin = User.objects.get()
    assert admin.check_password("second")
    assert admin.is_superuser
