"""Staff have the power that they were given, and can give themselves and others no more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import Client
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts import services
from accounts.models import TokenUse, User
from api.models import IdempotentRequest
from cards.models import Card, Collection
from cards.services import add_card, create_collection
from eventbook.models import Event

pytestmark = pytest.mark.django_db
NEW = "quite-another-word-9"
POWERS = ("user", "group", "authtoken", "logentry")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", "admin@example.org", "the-right-one")


@pytest.fixture
def helper(bob: User) -> User:
    """Bob is staff, and may do everything to people, groups, tokens and logs; no more."""
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    bob.user_permissions.set(Permission.objects.filter(content_type__model__in=POWERS))
    return User.objects.get(pk=bob.pk)


def as_staff(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def change(client: Client, person: User, **fields: Any) -> Any:
    """Send the form of a person, as a browser that was made to send more would."""
    form = {
        "username": person.username,
        "email": person.email,
        "is_active": "on",
        "display_name": person.display_name,
        "import_visibility": person.import_visibility,
        "bio": person.bio,
    }
    return client.post(f"/admin/accounts/user/{person.pk}/change/", form | fields)


def power_of(person: User) -> tuple[Any, ...]:
    now = User.objects.get(pk=person.pk)
    return now.is_staff, now.is_superuser, now.groups.count(), now.user_permissions.count()


def test_staff_give_no_power_to_anybody(helper: User, alice: User) -> None:
    group = Group.objects.create(name="editors")
    wanted = {
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [group.pk],
        "user_permissions": [Permission.objects.earliest("pk").pk],
    }
    client = as_staff(helper)
    before = [power_of(person) for person in (helper, alice)]

    answers = [change(client, person, **wanted) for person in (helper, alice)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert [power_of(person) for person in (helper, alice)] == before


def test_staff_change_what_gives_no_power(helper: User, alice: User) -> None:
    client = as_staff(helper)

    assert change(client, alice, display_name="Alice A.").status_code == 302

    assert User.objects.get(pk=alice.pk).display_name == "Alice A."
    assert set_password(client, alice).status_code == 302


def set_password(client: Client, person: User) -> Any:
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    return client.post(f"/admin/accounts/user/{person.pk}/password/", form)


def make_superuser(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_superuser=True)


def make_superuser_asleep(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_superuser=True, is_active=False)


def give_more(person: User) -> None:
    person.user_permissions.add(Permission.objects.get(codename="delete_card"))


def give_more_by_group_asleep(person: User) -> None:
    group = Group.objects.create(name="editors")
    group.permissions.add(Permission.objects.get(codename="delete_card"))
    person.groups.add(group)
    User.objects.filter(pk=person.pk).update(is_active=False)


MORE = [make_superuser, make_superuser_asleep, give_more, give_more_by_group_asleep]


@pytest.mark.parametrize("more", MORE, ids=lambda more: more.__name__)
def test_staff_do_nothing_to_who_may_do_more(
    more: Callable[[User], None],
    helper: User,
    alice: User,
    client_of: Callable[[Any], APIClient],
) -> None:
    client_of(alice)
    more(alice)
    client, before = as_staff(helper), User.objects.values().get(pk=alice.pk)
    (token,) = AuthToken.objects.all()
    chosen = {"action": "delete_selected", "_selected_action": [token.pk], "post": "yes"}

    answers = [
        change(client, alice, email="helper@example.org"),
        set_password(client, alice),
        client.post(f"/admin/accounts/user/{alice.pk}/delete/", {"post": "yes"}),
        client.post(f"/admin/knox/authtoken/{token.pk}/delete/", {"post": "yes"}),
    ]
    client.post("/admin/knox/authtoken/", chosen)
    of_people = chosen | {"_selected_action": [alice.pk]}
    client.post("/admin/accounts/user/", of_people)

    assert [answer.status_code for answer in answers] == [403] * 4
    assert AuthToken.objects.count() == 1
    assert User.objects.values().get(pk=alice.pk) == before
    assert AuthToken.objects.count() == 1


def test_groups_are_changed_by_superusers_alone(helper: User, admin: User) -> None:
    group = Group.objects.create(name="editors")
    helper.groups.add(group)
    every = [permission.pk for permission in Permission.objects.all()]
    form = {"name": "editors", "permissions": every}

    for path in (f"{group.pk}/change/", "add/", f"{group.pk}/delete/"):
        answer = as_staff(helper).post(f"/admin/auth/group/{path}", form | {"post": "yes"})
        assert answer.status_code == 403
    assert group.permissions.count() == 0

    answer = as_staff(admin).post(f"/admin/auth/group/{group.pk}/change/", form)
    assert (answer.status_code, group.permissions.count()) == (302, len(every))


def test_a_superuser_gives_power(admin: User, alice: User) -> None:
    assert change(as_staff(admin), alice, is_staff="on", is_superuser="on").status_code == 302

    assert power_of(alice)[:2] == (True, True)


def test_nobody_makes_a_token_for_another(admin: User, alice: User) -> None:
    answer = as_staff(admin).post("/admin/knox/authtoken/add/", {"user": alice.pk})

    assert answer.status_code == 403
    assert AuthToken.objects.count() == 0


def test_a_token_is_shown_in_short_and_can_be_ended(
    helper: User, alice: User, client_of: Callable[[Any], APIClient]
) -> None:
    api, client = client_of(alice), as_staff(helper)
    (token,) = AuthToken.objects.all()
    page = f"/admin/knox/authtoken/{token.pk}"
    TokenUse.objects.create(digest=token.digest, used_at=datetime(2026, 2, 3, 4, 5, tzinfo=UTC))

    shown = [
        client.get(path).content.decode()
        for path in ("/admin/knox/authtoken/", f"{page}/change/", f"{page}/delete/")
    ]
    assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 302

    assert all(f"{token.token_key[:8]}…" in text for text in shown)
    assert all(f">{token.digest}" not in text for text in shown)
    assert all("Feb. 3, 2026, 4:05" in text for text in shown[:2])
    assert api.get("/api/v1/users/me/").status_code == 401
    act = LogEntry.objects.get()
    assert (act.user, act.object_repr) == (helper, f"{token.token_key[:8]}…")


def test_what_staff_did_is_written_down_and_cannot_be_changed(
    helper: User, admin: User, alice: User
) -> None:
    change(as_staff(helper), alice, display_name="Alice A.")
    (act,) = LogEntry.objects.all()
    client = as_staff(admin)

    page = client.get("/admin/admin/logentry/").content.decode()

    assert "bob" in page
    assert "Changed Display name" in page
    for path in (f"{act.pk}/change/", f"{act.pk}/delete/", "add/"):
        answer = client.post(f"/admin/admin/logentry/{path}", {"post": "yes"})
        assert answer.status_code == 403


# -- Deleting and switching off --------------------------------------------------------------------


def test_a_person_is_deleted_with_what_is_theirs_and_that_is_told(
    helper: User, alice: User, charlie: User, client_of: Callable[[Any], APIClient]
) -> None:
    client_of(alice)
    collection = create_collection(owner=alice, name="Reading")
    card, _ = add_card(curator=alice, type="NOTE", text="hers", collections=[collection.pk])
    kept, _ = add_card(curator=charlie, type="NOTE", text="his", parent=card.pk)
    services.follow(follower=charlie, followed=alice)
    client, page = as_staff(helper), f"/admin/accounts/user/{alice.pk}/delete/"

    asked = client.get(page).content.decode()
    before = User.objects.count()
    done = client.post(page, {"post": "yes"})

    for words in ("1 cards", "1 collections", "1 follows", "1 auth tokens", "These are not"):
        assert words in asked
    assert (before, done.status_code) == (3, 302)
    assert set(User.objects.values_list("username", flat=True)) == {"bob", "charlie"}
    assert list(Card.objects.values_list("pk", "parent")) == [(kept.pk, None)]
    assert Collection.objects.count() == AuthToken.objects.count() == 0
    types = Event.objects.order_by("id").values_list("type", flat=True)
    assert {"card.removed", "collection.removed"} <= set(types)
    assert LogEntry.objects.get().object_repr == "alice"


def test_nobody_deletes_oneself_or_staff_whose_acts_are_written_down(
    helper: User, admin: User, alice: User
) -> None:
    change(as_staff(helper), alice, display_name="Alice A.")
    chosen = {"action": "delete_selected", "_selected_action": [helper.pk], "post": "yes"}
    client = as_staff(admin)

    answers = [
        client.post(f"/admin/accounts/user/{person.pk}/delete/", {"post": "yes"})
        for person in (admin, helper)
    ]
    client.post("/admin/accounts/user/", chosen)

    with pytest.raises(CommandError, match="must stay on record"):
        call_command("delete_person", "bob", "--yes", stdout=StringIO())

    assert [answer.status_code for answer in answers] == [403, 403]
    assert User.objects.count() == 3


def test_a_person_who_is_switched_off_and_on_again_has_to_log_in_again(
    helper: User, alice: User, client_of: Callable[[Any], APIClient]
) -> None:
    api, client = client_of(alice), as_staff(helper)

    change(client, alice, is_active="")
    off = api.get("/api/v1/users/me/").status_code
    change(client, alice)

    assert User.objects.get(pk=alice.pk).is_active
    assert (off, api.get("/api/v1/users/me/").status_code) == (401, 401)


def test_a_command_deletes_a_person_when_told_to(alice: User) -> None:
    add_card(curator=alice, type="NOTE", text="hers")

    asked = StringIO()
    call_command("delete_person", "ALICE", stdout=asked)
    there = User.objects.count()
    call_command("delete_person", "ALICE", "--yes", stdout=StringIO())

    assert "1 cards" in asked.getvalue()
    assert (there, User.objects.count(), Card.objects.count()) == (1, 0, 0)
    with pytest.raises(CommandError, match="Nobody"):
        call_command("delete_person", "alice")


def test_one_click_deletes_no_crowd(admin: User) -> None:
    people = [User(username=f"fan{n}", email=f"fan{n}@example.org") for n in range(21)]
    User.objects.bulk_create(people)
    chosen = {"action": "delete_selected", "_selected_action": [p.pk for p in people]}

    answer = as_staff(admin).post("/admin/accounts/user/", chosen | {"post": "yes"})

    assert b"Choose 20 people at most." in answer.content
    assert User.objects.count() == 22


LISTS = ("accounts/user", "accounts/follow", "cards/card", "pages/robots", "knox/authtoken")
CHOSEN = [{"_selected_action": key} for key in ("x", "\0", "9" * 40)]


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("where", ["\0/change/", "\0/delete/", "\0/history/", "?pk=\0"])
def test_an_address_that_names_nothing_is_no_fault_of_the_server(
    admin: User, model: str, where: str
) -> None:
    answer = as_staff(admin).get(f"/admin/{model}/{quote(where, safe='/?=')}")

    assert answer.status_code in (302, 400)


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
def test_nothing_is_done_to_what_can_not_be_there(
    admin: User, alice: User, model: str, chosen: dict[str, str]
) -> None:
    form = {"action": "delete_selected", "post": "yes"} | chosen

    answer = as_staff(admin).post(f"/admin/{model}/", form)

    assert answer.status_code in (302, 400)
    assert User.objects.count() == 2


@pytest.mark.parametrize(
    "query",
    ["created_at__year=99999999999", "answer=a", "answer__startswith=a", "body_digest__contains=a"],
)
def test_lists_are_not_asked_for_what_no_page_asks(admin: User, query: str) -> None:
    IdempotentRequest.objects.create(key="k", body_digest="abc", answer=b"a secret")

    answer = as_staff(admin).get(f"/admin/api/idempotentrequest/?{query}")

    assert answer.status_code == 400


def test_a_fault_of_the_server_is_not_taken_for_the_clients(
    admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("accounts.admin.people.PersonAdmin.get_queryset", fail)

    with pytest.raises(ValueError, match="a mistake of ours"):
        as_staff(admin).get("/admin/accounts/user/")
