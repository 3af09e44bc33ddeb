"""The address of an import, with what is secret in it, is in its own row and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from eventbook.models import Event
from imports.jobs.turns import host_of
from tests.conftest import Drain

SECRET = "s3cr3t-of-the-address"
ADDRESS = f"http://files.example.org/list?token={SECRET}"
# Where people's own words and addresses belong.
THEIRS = {"imports_import", "imports_webfeed", "imports_importfile", "cards_card", "pages_url"}


def tables_with(text: str) -> set[str]:
    """Return the tables in which a text stands anywhere."""
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f'SELECT EXISTS (SELECT FROM "{table}" AS row WHERE row::text LIKE %s)',
                [f"%{text}%"],
            )
            if cursor.fetchone()[0]:
                found.add(table)
    return found


def test_no_table_but_ones_own_has_the_address_of_an_import(
    alice: User, client_of: Callable[[Any], APIClient], drain: Drain
) -> None:
    client = client_of(alice)

    accepted = client.post("/api/v1/imports/", {"url": ADDRESS})
    client.post("/api/v1/subscriptions/", {"url": ADDRESS})
    drain()

    assert accepted.json()["source"] == ADDRESS
    assert tables_with(SECRET) == {"imports_import", "imports_webfeed"}
    (event,) = Event.objects.filter(type="import.requested")
    assert event.data == {"import_id": accepted.json()["id"], "source": "files.example.org"}


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://bob:pass@Example.org:8443/x", "example.org"),
        ("https://[2001:db8::1]/x", "2001:db8::1"),
        ("no address", "nowhere"),
        ("https://[", "nowhere"),
    ],
)
def test_a_host_is_all_that_is_told_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host
