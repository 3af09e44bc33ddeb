"""Users whom staff or a command create."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from eventbook.models import Event

pytestmark = pytest.mark.django_db


def test_a_user_made_by_staff_is_registered(admin_client: Client) -> None:
    form = {
        "username": "alice",
        "usable_password": "true",
        "password1": "alice-reads-a-lot",
        "password2": "alice-reads-a-lot",
    }

    assert admin_client.post("/admin/accounts/user/add/", form).status_code == 302

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
