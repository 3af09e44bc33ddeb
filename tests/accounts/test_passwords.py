"""A new password ends all sessions of its person, whoever sets it and wherever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts import services
from accounts.models import User

pytestmark = pytest.mark.django_db
NEW = "quite-another-word-9"
HASHERS = ("MD5PasswordHasher", "PBKDF2PasswordHasher")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", "admin@example.org", "the-right-one")


def logged_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def set_by_staff(alice: User, admin: User) -> None:
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    answer = logged_in(admin).post(f"/admin/accounts/user/{alice.pk}/password/", form)
    assert answer.status_code == 302


def taken_away_by_staff(alice: User, admin: User) -> None:
    form = {"password1": "", "password2": "", "usable_password": "false", "unset-password": "x"}
    answer = logged_in(admin).post(f"/admin/accounts/user/{alice.pk}/password/", form)
    assert answer.status_code == 302


def changed_in_the_admin(alice: User, admin: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    alice.refresh_from_db()
    form = {"old_password": "alice-reads-a-lot", "new_password1": NEW, "new_password2": NEW}
    assert logged_in(alice).post("/admin/password_change/", form).status_code == 302


def set_by_command(alice: User, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: NEW)
    call_command("changepassword", "alice")


def set_by_code(alice: User, admin: User) -> None:
    alice.set_password(NEW)
    alice.save(update_fields=["password"])


WAYS = [set_by_staff, taken_away_by_staff, changed_in_the_admin, set_by_command, set_by_code]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_new_password_ends_all_tokens_of_its_person_alone(
    way: Callable[..., None],
    alice: User,
    bob: User,
    admin: User,
    client_of: Callable[[Any], APIClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = [client_of(alice), client_of(alice), client_of(bob)]
    before = User.objects.get(pk=alice.pk).password

    way(alice, admin, **({"monkeypatch": monkeypatch} if way is set_by_command else {}))

    assert User.objects.get(pk=alice.pk).password != before
    codes = [client.get("/api/v1/users/me/").status_code for client in clients]
    assert codes == [401, 401, 200]


def test_a_new_password_ends_the_persons_sessions_in_the_admin(admin: User) -> None:
    other = User.objects.create_superuser("other", "other@example.org", "the-right-one")
    session = logged_in(other)

    set_by_staff(other, admin)

    assert session.get("/admin/").status_code == 302


def test_a_hash_that_is_renewed_or_a_profile_that_changes_ends_nothing(
    alice: User, client_of: Callable[[Any], APIClient], settings: Any
) -> None:
    client = client_of(alice)
    settings.PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{name}" for name in HASHERS]
    old = make_password("alice-reads-a-lot", hasher="pbkdf2_sha256")
    User.objects.filter(pk=alice.pk).update(password=old)

    assert authenticate(None, username="alice", password="alice-reads-a-lot") == alice
    assert client.patch("/api/v1/users/me/", {"bio": "Reads"}).status_code == 200

    assert User.objects.get(pk=alice.pk).password != old
    assert client.get("/api/v1/users/me/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_login_with_the_old_password_does_not_slip_through_behind_the_change(
    alice: User,
) -> None:
    checked = authenticate(None, username="alice", password="alice-reads-a-lot")
    assert isinstance(checked, User)
    changed = Event()

    def log_in() -> str:
        changed.wait(10)
        try:
            services.issue_token(user=checked)
        except services.PasswordChanged:
            return "refused"
        finally:
            connections.close_all()
        return "let in"

    with ThreadPoolExecutor(1) as pool:
        login = pool.submit(log_in)
        with transaction.atomic():
            alice.set_password(NEW)
            alice.save()
            changed.set()

    assert login.result() == "refused"
    assert AuthToken.objects.count() == 0
