"""Statements that are prepared, planned and inserted as their number of rows deserves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from eventbook.database.statements import execute, insert_new, plan

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = """
    INSERT INTO numbers (number) SELECT unnest(%s::int[]) ON CONFLICT DO NOTHING
"""
# Without this it refuses some rows for good.
CHECK = "ALTER TABLE numbers ADD CONSTRAINT is_small CHECK (number < 100)"


@pytest.fixture(autouse=True)
def numbers() -> None:
    execute("CREATE TEMPORARY TABLE IF NOT EXISTS numbers (number int PRIMARY KEY)", prepare=False)
    execute("TRUNCATE numbers", prepare=False)


def found() -> list[int]:
    return [number for (number,) in execute("SELECT number FROM numbers ORDER BY number").rows]


@pytest.mark.parametrize("many", [True, False])
def test_rows_that_are_there_already_are_left_alone(many: bool) -> None:
    insert_new(INSERT, [[2, 3]], many=many)

    count = insert_new(INSERT, [[1, 2, 3, 4]], many=many)

    assert (count, found()) == (2, [1, 2, 3, 4])


def test_a_conflict_leaves_the_transaction_around_it_well() -> None:
    with transaction.atomic():
        insert_new(INSERT, [[1]], many=True)
        insert_new(INSERT, [[1, 2]], many=True)

    assert found() == [1, 2]


def test_a_row_that_can_never_be_is_an_error_all_the_same() -> None:
    execute(CHECK, prepare=False)

    with pytest.raises(IntegrityError):
        insert_new(INSERT, [[1, 100]], many=True)

    assert found() == []
    execute("ALTER TABLE numbers DROP CONSTRAINT is_small", prepare=False)


def test_a_statement_without_on_conflict_is_refused() -> None:
    with pytest.raises(ValueError, match="ON CONFLICT DO NOTHING"):
        insert_new("INSERT INTO numbers VALUES (1)", [], many=True)


def test_a_prepared_statement_is_known_to_the_server() -> None:
    statement = "SELECT number + %s FROM numbers"

    execute(statement, [1])

    known = execute("SELECT statement FROM pg_prepared_statements", prepare=False).rows
    assert any(text.startswith("SELECT number +") for (text,) in known)


def test_the_way_of_planning_outlives_a_transaction_that_fails() -> None:
    def mode() -> str:
        return str(execute("SHOW plan_cache_mode", prepare=False).rows[0][0])

    plan(lean=True)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError

    assert mode() == "force_generic_plan"
    plan(lean=False)
    assert mode() == "auto"
    connection.close()
    assert mode() == "auto"


def test_for_many_rows_nothing_is_prepared() -> None:
    def kept(text: str) -> bool:
        known = execute("SELECT statement FROM pg_prepared_statements", prepare=False).rows
        return any(statement.startswith(text) for (statement,) in known)

    plan(lean=False)
    execute("SELECT number * %s FROM numbers", [1])
    plan(lean=True)
    execute("SELECT number / %s FROM numbers", [1])

    assert not kept("SELECT number *")
    assert kept("SELECT number /")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [-(2**63), 0, 2**63 - 1]),
        ("uuid", [UUID(int=0), UUID(int=2**128 - 1)]),
        ("timestamptz", [datetime(2026, 3, 29, 1, 59, 59, 999999, UTC), datetime.now(UTC)]),
        ("text", ["plain", "", "NULL", 'quoted "words"', "{a,b}", "back\\slash", " "]),
        ("bigint", [1, None, 3]),
        ("boolean", [True, False]),
        ("bigint", []),
    ],
)  # fmt: skip
def test_lists_arrive_as_they_are(kind: str, values: list[Any]) -> None:
    assert execute(f"SELECT %s::{kind}[]", [values]).rows == [(values,)]
