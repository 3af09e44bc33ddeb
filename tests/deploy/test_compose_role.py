"""The role that the containers connect as: deploy/compose/role.sql on a real PostgreSQL."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo

from stack.binaries import postgres_bin
from tests.harness.processes import ROOT

pytestmark = pytest.mark.django_db

PASSWORD = 'it\'s a "secret"'


@pytest.fixture
def server() -> Iterator[str]:
    """Return the address of the server's `postgres` database, as who may do everything."""
    address = make_conninfo(settings.DATABASE_URL, dbname="postgres")
    with psycopg.connect(address, autocommit=True) as own:
        script = (ROOT / "deploy/compose/role.sql").read_text()
        # The test run has a database of that name already.
        renamed = script.replace("commonplace", "in_a_container")
        done = subprocess.run(
            [postgres_bin() / "psql", "--set=ON_ERROR_STOP=1", "--no-psqlrc", address],
            input=renamed.replace("template1", "postgres"),
            env=os.environ | {"COMMONPLACE_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield address
        own.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
        own.execute("DROP DATABASE in_a_container")
        own.execute("DROP ROLE in_a_container")


def test_it_owns_its_database_and_is_no_superuser(server: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolcanlogin,"
            " pg_get_userbyid(datdba) FROM pg_roles, pg_database"
            " WHERE rolname = 'in_a_container' AND datname = 'in_a_container'"
        )
        (row,) = cursor.fetchall()
    name = "in_a_container"
    own = make_conninfo(server, user=name, dbname=name, password=PASSWORD)
    with psycopg.connect(own) as as_processes_do:
        as_processes_do.execute("CREATE TABLE made_by_a_migration (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_processes_do.execute("CREATE ROLE another")

    assert row == (False, False, False, False, True, "in_a_container")
