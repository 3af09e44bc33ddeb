"""Names deceive nobody, and passwords are not made of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from accounts.names import check_display_name, check_text, tidy_display_name, tidy_email

pytestmark = pytest.mark.django_db
DORA = {"username": "dora", "email": "dora@example.org", "password": "explores-a-lot"}

DECEIVING = {
    "override": "admin\u202egnp.exe",
    "embedding": "\u202aalice",
    "isolate": "\u2067alice\u2069",
    "mark": "alice\u200f",
    "zero width space": "al\u200bice",
    "word joiner": "al\u2060ice",
    "byte order mark": "\ufeffalice",
    "soft hyphen": "al\u00adice",
    "joiner between letters": "al\u200dice",
    "non-joiner between letters": "al\u200cice",
    "tag": "alice\U000e0041",
    "control": "alice\x07",
    "escape": "\x1b[31malice",
    "line break": "alice\nbob",
    "line separator": "alice\u2028bob",
    "private use": "alice\ue000",
    "unassigned": "alice\u0378",
    "hangul filler": "\u3164",
    "empty braille": "\u2800",
    "grapheme joiner": "al\u034fice",
    "piled marks": "a\u0301\u0302\u0303\u0304lice",
    "cyrillic in latin": "\u0430lice",
    "greek in latin": "\u0391lice",
    "latin in cyrillic": "\u0410\u043bic\u0430",
    "of the site": "Admin",
    "of the site in bold": "\U0001d400\U0001d41d\U0001d426\U0001d422\U0001d427",
    "of the site in wide": "Ｓｕｐｐｏｒｔ",
    "of the site spaced": "S t a f f",
}
HONEST = [
    "Alice Munro",
    "Zoë O’Brien-Smith",
    "Nguyễn Thị Minh Khai",
    "Лев Толстой",
    "Μαρία",
    "李白",
    "なかむら さくら",
    "김철수",
    "عبد الرحمن",
    "علی\u200cرضا",
    "क्\u200dष",
    "Dora 👩\u200d💻",
    "Dora 🏳️\u200d🌈",
    "Maria Мария",
    "O'Hara (she/her) #1",
]


@pytest.mark.parametrize("name", DECEIVING.values(), ids=DECEIVING.keys())
def test_a_name_that_deceives_is_refused(name: str, alice: User, client_of: Any) -> None:
    answer = client_of(alice).patch("/api/v1/users/me/", {"display_name": name})

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["display_name"]
    assert User.objects.get().display_name == ""


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_name_is_taken(name: str) -> None:
    check_display_name(name)

    assert tidy_display_name(name) == name


def test_names_are_stored_composed_and_without_spaces_around(alice: User, client_of: Any) -> None:
    client_of(alice).patch("/api/v1/users/me/", {"display_name": " Zoe\u0308 \u2003 A. "})

    assert User.objects.get().display_name == "Zoë A."


def test_a_bio_has_lines_but_nothing_unseen(alice: User, client_of: Any) -> None:
    client = client_of(alice)

    good = client.patch("/api/v1/users/me/", {"bio": "Reads.\n\n\tA lot."})
    bad = client.patch("/api/v1/users/me/", {"bio": "Reads \u202ebackwards"})

    assert (good.status_code, bad.status_code) == (200, 400)
    check_text("a\r\nb")


@pytest.mark.parametrize(
    "name", ["al\u200bice", "alice\u202e", "\u0430lice", "al ice", "-alice", "alïce", "Ａlice", ""]
)
def test_usernames_are_plain_letters_in_api_admin_and_commands(name: str) -> None:
    User.objects.create_superuser("root", "root@example.org", "the-right-one")
    root = Client()
    root.login(username="root", password="the-right-one")
    form = {"username": name, "usable_password": "true"}
    form |= {"password1": DORA["password"], "password2": DORA["password"]}

    api = APIClient().post("/api/v1/auth/register/", DORA | {"username": name})
    admin = root.post("/admin/accounts/user/add/", form)
    with pytest.raises(CommandError):
        call_command("createsuperuser", username=name, email="a@example.org", interactive=False)

    assert (api.status_code, admin.status_code) in {(400, 200), (400, 302)}
    made = set(User.objects.values_list("username", flat=True)) - {"root"}
    # The admin's form composes what is written wide, and then it is plain.
    assert made <= {"Alice"}


@pytest.mark.parametrize("name", ["me", "ME", "Admin", "a.d.m.i.n", "support_", "commonplace"])
def test_nobody_registers_under_a_name_of_the_site(name: str) -> None:
    answer = APIClient().post("/api/v1/auth/register/", DORA | {"username": name})

    assert answer.status_code == 400
    assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [("username", "reserved")]


@pytest.mark.parametrize(
    ("person", "password"),
    [
        ({}, "doradoradora"),
        ({}, "dora-dora-1"),
        ({}, "DORA12345"),
        ({}, "xx-dora-dora-xx"),
        ({"username": "d.explorer"}, "explorer-99!"),
        ({"email": "lady.ada@example.org"}, "lady-ada-1!"),
        ({"display_name": "Ada Lovelace"}, "ada.lovelace!1"),
        ({"first_name": "Augusta"}, "augusta2024"),
        ({}, "x" * 129),
    ],
)
def test_a_password_of_ones_own_names_is_refused_wherever_it_is_set(
    person: dict[str, str], password: str
) -> None:
    user = User(**({"username": "dora", "email": "dora@example.org"} | person))

    with pytest.raises(ValidationError):
        validate_password(password, user)


def test_the_api_the_admin_and_the_command_know_whose_password_it_is(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "alicealicealice"
    root = Client()
    root.force_login(User.objects.create_superuser("root", "root@example.org", "the-right-one"))
    twice = {"password1": own, "password2": own, "usable_password": "true"}
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: own)

    body = DORA | {"username": "alicealice", "password": own}
    registered = APIClient().post("/api/v1/auth/register/", body)
    added = root.post("/admin/accounts/user/add/", twice | {"username": "alicealice"})
    set_by_staff = root.post(f"/admin/accounts/user/{alice.pk}/password/", twice)
    with pytest.raises(CommandError):
        call_command("changepassword", "alice")

    assert registered.json()["errors"][0]["field"] == "password"
    assert (added.status_code, set_by_staff.status_code) == (200, 200)
    assert b"Besides your own names" in added.content
    assert User.objects.get(username="alice").check_password("alice-reads-a-lot")
    assert not User.objects.filter(username="alicealice").exists()


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Dora@EXAMPLE.org", "Dora@example.org"),
        ("dora@bücher.example", "dora@xn--bcher-kva.example"),
        ("\u212aim@example.org", "Kim@example.org"),
        ("ｄora@example.org", "dora@example.org"),
        ("nothing", "nothing"),
        ("a@..", "a@.."),
    ],
)
def test_an_address_has_one_form(written: str, stored: str) -> None:
    assert tidy_email(written) == stored


@pytest.mark.parametrize("email", ["dora@BÜCHER.example", "DORA@xn--bcher-kva.example"])
def test_one_address_has_one_account_however_it_is_written(email: str) -> None:
    first = APIClient().post("/api/v1/auth/register/", DORA | {"email": "dora@bücher.example"})
    second = APIClient().post("/api/v1/auth/register/", DORA | {"username": "emil", "email": email})

    assert (first.status_code, second.status_code) == (201, 400)
    assert second.json()["errors"][0]["code"] == "taken"


@pytest.mark.parametrize("value", ["a\x00b", "a\ud800b", "x" * 1_000_000, 7.5, [], {}, None, True])
@pytest.mark.parametrize("field", ["username", "email", "password"])
def test_what_can_be_no_name_or_password_is_400_and_says_where(field: str, value: Any) -> None:
    def send(path: str, body: dict[str, Any]) -> Any:
        text = json.dumps(body)  # lone surrogates as \\ud800
        return APIClient().post(f"/api/v1/auth/{path}/", text, content_type="application/json")

    answers = [send("register", DORA | {field: value})]
    if field != "email":
        login = {"username": "dora", "password": "explores-a-lot"}
        answers.append(send("login", login | {field: value}))

    for answer in answers:
        if value == 7.5 and answer.status_code != 400:
            continue  # a number is taken for its text
        assert answer.status_code == 400, answer.content[:300]
        problem = answer.json()
        if value == "a\ud800b":
            assert "is not JSON" in problem["detail"]  # and why
        else:
            assert {error["field"] for error in problem["errors"]} == {field}


@pytest.mark.parametrize("name", ["Read\u202eing", "Read\u200bing", "Read\ning"])
def test_a_collections_name_holds_nothing_unseen(name: str, alice: User, client_of: Any) -> None:
    client = client_of(alice)

    made = client.post("/api/v1/collections/", {"name": name})
    good = client.post("/api/v1/collections/", {"name": "Reading الكتب"}).json()
    changed = client.patch(f"/api/v1/collections/{good['id']}/", {"name": name})

    assert (made.status_code, changed.status_code) == (400, 400)
    assert made.json()["errors"][0]["field"] == "name"
