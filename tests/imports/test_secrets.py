"""The address of an import, with what is secret in it, is in its own row and nowhere else."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from eventbook.database.ids import new_id
from eventbook.models import Event, Priority, RateGroup
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


@pytest.mark.django_db(transaction=True)
def test_the_migration_takes_addresses_out_of_older_events() -> None:
    sources = {
        f"https://bob:{SECRET}@example.org:8443/x": "example.org",
        ADDRESS: "files.example.org",
        f"https://[2001:db8::1]/{SECRET}": "[2001:db8::1]",
        "upload of 7": "upload of 7",
    }
    for kind in ("import.requested", "import.batch_ready"):
        for source in sources:
            data = {"import_id": str(new_id()), "source": source}
            Event.objects.create(
                type=kind, version=1, subject="x", data=data, priority=Priority.BULK
            )
    RateGroup.objects.create(name=f"imports {ADDRESS}")
    migration = importlib.import_module("cards.migrations.0008_events_without_addresses")
    migration.STEP = 3  # type: ignore[attr-defined]

    with connection.schema_editor(atomic=False) as editor:
        migration.scrub(apps, editor)

    left = Event.objects.order_by("type", "id").values_list("data__source", flat=True)
    assert list(left) == [*sources.values()] * 2
    assert not RateGroup.objects.exists()
    assert tables_with(SECRET) == set()
