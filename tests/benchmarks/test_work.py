"""The data of the benchmarks fit the tables, and the check of their results finds every fault."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from benchmarks import imports, work
from benchmarks.http import library, reads
from benchmarks.http.lengths import Size
from benchmarks.statements import FAN_OUT, NOTIFY, OF_ALL
from imports.files.documents import Document
from imports.files.formats import rows
from imports.files.items import Item
from tests.harness.processes import environment


@pytest.fixture
def session(transactional_db: None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(environment()["DATABASE_URL"], autocommit=True) as session:
        yield session
        session.execute(f"TRUNCATE accounts_user, {library.TABLES} RESTART IDENTITY CASCADE")


def test_rows_that_are_missing_or_too_many_are_found(session: psycopg.Connection) -> None:
    work.make_people(session)
    cards = work.plan(3)
    work.insert(session, cards)
    with pytest.raises(work.WrongRows, match="feed entries missing"):
        work.check(session, 3)

    session.execute(f"{NOTIFY} {OF_ALL}")
    session.execute(f"{FAN_OUT} {OF_ALL}")
    with pytest.raises(work.WrongRows, match="3 cards, not 4"):
        work.check(session, 4)
    assert work.check(session, 3) > 0

    session.execute("DELETE FROM accounts_follow WHERE followed_id = %s", [cards[0][1]])
    with pytest.raises(work.WrongRows, match="feed entries too many"):
        work.check(session, 3)


def test_the_reader_has_full_pages_and_a_token(session: psycopg.Connection) -> None:
    (token,) = library.make_reader(
        session, Size(cards=400, people=100, followed=20, notifications=100)
    )

    assert len(token) == library.TOKEN_LENGTH
    for statement in reads.EXPECTED.values():
        assert len(session.execute(statement, [reads.PAGE]).fetchall()) == reads.PAGE


def test_each_writer_is_followed_by_others(session: psycopg.Connection) -> None:
    tokens = library.make_writers(session)

    assert len(tokens) == library.WRITERS
    assert work.count(session, "accounts_follow") == library.WRITERS * library.FOLLOWS


def test_each_file_for_the_parsers_has_rows() -> None:
    for name, content in imports.files(5).items():
        _, found = rows(Document(content))
        assert any(isinstance(row, Item) for row in found), name
