"""Secrets are changed while everything runs: the sequences of docs/deploying.md."""

from __future__ import annotations

from contextlib import closing

import pytest
import redis
from django.conf import settings
from django.core import signing
from django.test import Client, override_settings

from accounts.models import User
from stack.embedded import Servers

NEW = "the-new-key-" + "n" * 50


@pytest.mark.django_db
def test_a_session_outlives_a_change_of_the_key_as_long_as_the_old_one_is_a_fallback() -> None:
    staff = User.objects.create_superuser("operator", "operator@example.org", "reads-a-lot-too")
    browser = Client()
    browser.force_login(staff)
    signed = signing.dumps("a link")
    old = settings.SECRET_KEY

    with override_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[old]):
        read = signing.loads(signed)
        during = browser.get("/admin/").status_code
    with override_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[]):
        after = browser.get("/admin/").status_code

        with pytest.raises(signing.BadSignature):
            signing.loads(signed)

    assert (read, during, after) == ("a link", 200, 200)
    assert signing.dumps("a link", key=NEW) != signed


def test_two_passwords_of_the_broker_are_good_until_the_old_one_is_taken_away() -> None:
    server = Servers(settings.DATA_DIR).unix_url
    with closing(redis.Redis.from_url(server)) as operator:
        operator.acl_setuser(
            "worker", enabled=True, passwords=["+old"], keys=["*"], commands=["+@all"]
        )
        try:
            with client(server, "old") as running:
                running.ping()
                operator.acl_setuser("worker", enabled=True, passwords=["+new"])
                with client(server, "new") as restarted, client(server, "old") as not_yet:
                    assert restarted.ping()
                    assert not_yet.ping()
                operator.acl_setuser("worker", enabled=True, passwords=["-old"])

                assert running.ping(), "an open connection was broken"
                with pytest.raises(redis.AuthenticationError):
                    client(server, "old")
        finally:
            operator.acl_deluser("worker")


def client(url: str, password: str) -> redis.Redis:
    """Return a logged-in client with a single connection."""
    return redis.Redis.from_url(
        url, username="worker", password=password, single_connection_client=True
    )
