from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils import timezone

from eventbook.models import Delivery, Lease, Priority
from eventbook.operate.diagnosis import processes
from tests.harness.deliveries import expand_only
from tests.probe.sending import send

QUEUE = "notifications"
Staff = Callable[..., Client]


@pytest.fixture(autouse=True)
def quick_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the doctor's first query wait 0.3 s for workers; a second one waits as long as usual."""
    monkeypatch.setattr(processes, "REPLY_SECONDS", (0.3, 3.0))


@pytest.fixture
def staff(django_user_model: Any) -> Staff:
    """Return a function that creates a member of staff, and returns their logged-in browser."""

    def browser(name: str, *permissions: str) -> Client:
        user = django_user_model.objects.create(
            username=name, email=f"{name}@example.org", is_staff=True
        )
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    return browser


@pytest.fixture
def six() -> list[int]:
    """Six deliveries that wait in each of two queues; nobody runs them."""
    send(*"abcd")
    send("e", "f", priority=Priority.BULK)
    expand_only("probe.write", "probe.call")
    mine = Delivery.objects.filter(queue=QUEUE).order_by("id")
    return list(mine.values_list("id", flat=True))


@pytest.fixture
def in_hand(six: list[int]) -> Iterator[list[int]]:
    """Three of them in workers' hands: begun, leased, and locked by a transaction."""
    begun, leased, locked = six[:3]
    Delivery.objects.filter(id=begun).update(state="running")
    soon = timezone.now() + timedelta(minutes=1)
    Lease.objects.create(
        handler="probe.write", queue=QUEUE, worker="w", deliveries=[leased], expires_at=soon
    )
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute("SELECT FROM eventbook_delivery WHERE id = %s FOR UPDATE", [locked])
        yield six[:3]
        other.rollback()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The path of a self-signed certificate for this machine; its key has the suffix .key."""
    if not shutil.which("openssl"):
        pytest.skip("NOT TESTED: TLS. There is no openssl to make a certificate.")
    path = tmp_path / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-out", str(path), "-keyout", str(path.with_suffix(".key"))],
        check=True, capture_output=True,
    )  # fmt: skip
    return path
