from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

PATH = "/.well-known/security.txt"


def test_whom_to_tell_of_a_weakness_is_said_where_tools_look(settings: Any) -> None:
    settings.SECURITY_CONTACT = ["security@example.org", "https://example.org/security"]

    answer = Client().get(PATH)

    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    fields = [line.split(": ", 1) for line in answer.content.decode().splitlines()]
    assert fields[:2] == [
        ["Contact", "mailto:security@example.org"],
        ["Contact", "https://example.org/security"],
    ]
    rest = dict(fields[2:])
    expires = datetime.fromisoformat(rest["Expires"])
    assert timedelta(days=30) < expires - datetime.now(UTC) < timedelta(days=365)
    assert rest["Canonical"] == f"http://testserver{PATH}"


@pytest.mark.parametrize("method", ["get", "head"])
def test_without_a_contact_there_is_no_such_page(method: str) -> None:
    assert getattr(Client(), method)(PATH).status_code == 404
